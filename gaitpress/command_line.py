"""The command line of stages and commands: options, params.yaml, and errors in one line."""

from __future__ import annotations

import argparse
import ctypes
import io
import math
import os
import re
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from compress.errors import CompressionError
from gait.errors import DataError
from gaitpress import full_disk, outputs, params, putting_aside, started
from gaitpress.errors import StageError
from gaitpress.params import Params, ParamsError
from remote.errors import DeviceError, LinkLost

DURATIONS = Path("logs/durations.csv")  # of stages that have run: address, seconds
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
EXPECTED = (StageError, started.Edited, ParamsError, DataError, CompressionError, DeviceError, OSError)


def parser(doc: str | None, command: str | None = None) -> argparse.ArgumentParser:
    """An argument parser with the option that all stages and commands share.

    Args:
        doc: a module's docstring, which is the description.
        command: the name of a command of ``python -m gaitpress``; None for a stage.
    """
    prog = command and f"python -m gaitpress {command}"
    result = argparse.ArgumentParser(prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings (default: params.yaml)")
    return result


def number(text: str) -> int | float:
    """A number as it stands in params.yaml: 30 stays whole, so that it names the same folder everywhere.

    Raises:
        ValueError: it is no finite number.
    """
    value = int(text) if text.isdecimal() else float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def parse(described: argparse.ArgumentParser) -> tuple[argparse.Namespace, Params]:
    """Read the command line and params.yaml.

    Names in braces in a path stand for the option of that name, and ``{dataset}`` for params.yaml's dataset: with
    ``--model gaitset``, ``results/train/{model}`` is results/train/gaitset. So dvc.yaml puts no name of params.yaml into a
    shell command by itself.

    Raises:
        StageError: a name in braces is that of no option.
    """
    options = described.parse_args()
    settings = params.load(options.params)
    paths = {key: value for key, value in vars(options).items() if isinstance(value, Path)}
    # A path stands for nothing itself: {dataset} is the dataset's name also where --dataset is its folder.
    names = {**{key: value for key, value in vars(options).items() if key not in paths}, "dataset": settings.dataset}
    for key, path in paths.items():
        for name in re.findall(r"\{(\w+)\}", str(path)):
            if names.get(name) is None:
                known = ", ".join(f"{{{known}}}" for known, value in names.items() if value is not None)
                raise StageError(f"--{key.replace('_', '-')} {path}: nothing is called {{{name}}}; known here: {known}")
        setattr(options, key, Path(re.sub(r"\{(\w+)\}", lambda match: str(names[match[1]]), str(path))))
    if started.this is not None:
        started.this.check()
        outputs.take_up(started.this)
    return options, settings


def run(main: Callable[[], None]) -> None:
    """Run a stage as a program: expected errors end it with one line, anything else is reported as a bug."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack a character, as standard error may
    # A scheduler ends a job by this signal; outputs begun must go as they do on Ctrl-C.
    signal.signal(signal.SIGTERM, _terminated)
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        # Should DVC be killed, nobody would note what this makes, and the next run would start beside it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    start = time.monotonic()
    try:
        main()
        if started.this is not None:
            started.this.last_look = putting_aside.look_for_the_last_time
        if "DVC_STAGE" in os.environ:
            _note_duration(os.environ["DVC_STAGE"], time.monotonic() - start)
        if sys.stdout is not None:  # as it is where a program starts with stdout closed
            sys.stdout.flush()
    except EXPECTED as error:
        sys.exit(1 if _nobody_reads(error) else f"error: {full_disk.in_words(error, Path()) or error}{_then(error)}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; no output was written")
    except MemoryError as error:
        sys.exit(f"error: out of memory ({error})" if str(error) else "error: out of memory")
    except Exception as error:
        if words := full_disk.in_words(error, Path()):
            sys.exit(f"error: {words}")
        traceback.print_exc()
        sys.exit(f"error: a bug in gaitpress ({type(error).__name__}: {error}); please report it with the lines above")


def _then(error: Exception) -> str:
    """What to do about an error that does not say so itself."""
    return "; what is done stays done: run the same again" if isinstance(error, LinkLost) else ""


def _nobody_reads(error: BaseException) -> bool:
    """Whether an error means that the reader of stdout, such as `head`, has enough; nothing more is written then."""
    if not isinstance(error, BrokenPipeError) or sys.stdout is None:
        return False
    pipe = select.poll()
    pipe.register(sys.stdout.fileno(), select.POLLERR)
    if not pipe.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _note_duration(address: str, seconds: float) -> None:
    """Add a line to the list from which `python -m gaitpress forecast` tells what an edit will cost."""
    with suppress(OSError):  # no stage fails for this: its outputs are complete
        DURATIONS.parent.mkdir(exist_ok=True)
        with DURATIONS.open("a", encoding="utf-8") as file:
            file.write(f"{address},{seconds:.1f}\n")  # in one piece, for other jobs end as well


def _terminated(*_: Any) -> NoReturn:
    raise SystemExit("error: terminated; no output was written")
