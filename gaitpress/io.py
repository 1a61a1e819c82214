"""What every stage needs around its work: a command line, whole-or-nothing outputs, progress and clear errors."""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import math
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from compress.errors import CompressionError
from gait.errors import DataError
from gaitpress import params, started
from gaitpress.params import Params, ParamsError
from remote.errors import DeviceError

T = TypeVar("T")
LOG_EVERY_S = 10.0
DURATIONS = Path("logs/durations.csv")  # of stages that have run: address, seconds
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class StageError(Exception):
    """An input of a stage is missing or does not fit; the message names the file or key."""


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
        setattr(options, key, Path(re.sub(r"\{(\w+)\}", lambda found: str(names[found[1]]), str(path))))
    if started.this is not None:
        started.this.check()
        _take_up(started.this)
    return options, settings


def _take_up(this: started.Started) -> None:
    """Put in place what this stage has finished before, from all that it starts from now, and end."""
    paths = [Path(out) for out in this.outs]
    if not this.keeps or not all(any(started.asides(_real(path))) for path in paths):
        return
    content = this.content()
    kept = {path: started.aside(_real(path), content or "") for path in paths}
    if not all(aside.exists() for aside in kept.values()):
        return
    for path, aside in kept.items():
        with new_directory(path) if aside.is_dir() else new_file(path) as partial:
            if aside.is_dir():
                partial.rmdir()
            aside.rename(partial)
        print(f"{path}: taken up as it was finished before")
    sys.exit()


def run(main: Callable[[], None]) -> None:
    """Run a stage as a program: expected errors end it with one line, anything else is reported as a bug."""
    # A scheduler ends a job by this signal; outputs begun must go as they do on Ctrl-C.
    signal.signal(signal.SIGTERM, _terminated)
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        # Should DVC be killed, nobody would note what this makes, and the next run would start beside it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    start = time.monotonic()
    try:
        main()
        if started.this is not None:
            started.this.last_look = _look_for_the_last_time
        if "DVC_STAGE" in os.environ:
            _note_duration(os.environ["DVC_STAGE"], time.monotonic() - start)
    except EXPECTED as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; no output was written")
    except MemoryError as error:
        sys.exit(f"error: out of memory ({error})" if str(error) else "error: out of memory")
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"error: a bug in gaitpress ({type(error).__name__}: {error}); please report it with the lines above")


def _note_duration(address: str, seconds: float) -> None:
    """Add a line to the list from which `python -m gaitpress forecast` tells what an edit will cost."""
    with suppress(OSError):  # no stage fails for this: its outputs are complete
        DURATIONS.parent.mkdir(exist_ok=True)
        with DURATIONS.open("a", encoding="utf-8") as file:
            file.write(f"{address},{seconds:.1f}\n")  # in one piece, for other jobs end as well


def _terminated(*_: Any) -> NoReturn:
    raise SystemExit("error: terminated; no output was written")


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which appears as ``path`` (replacing what was there) only if the block succeeds.

    Raises:
        StageError: there is something else than a directory; nothing is lost and no work is done.
    """
    declared, path = path, _real(path)
    if path.exists() and not path.is_dir():
        raise StageError(f"{path}: is in the way of the directory to write; move it aside")
    partial, former = _partial(path), _partial(path, "former")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed and had this one's number
    partial.mkdir()
    try:
        yield partial
        _confirm(declared, partial)
        if path.exists():
            path.rename(former)
        try:
            partial.rename(path)
        except BaseException:
            if former.exists():
                former.rename(path)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def resumed_directory(path: Path, key: str) -> Iterator[Path]:
    """Like :func:`new_directory`, but what a block that failed or was killed has written is there for the next one.

    Args:
        path: the directory to make.
        key: stands for all inputs of the work; what was begun with another key is thrown away.

    Raises:
        StageError: another process is at the same work. One that the block raises says that its inputs do not fit, so that
            nothing is kept.
    """
    with begun(path, key) as directory:
        yield directory
        (directory / "key").unlink()
        with new_directory(path) as partial:
            partial.rmdir()
            directory.rename(partial)


def begun_path(path: Path) -> Path:
    """Where :func:`begun` keeps what is for ``path``."""
    return path.with_name(f".{path.name}.begun")


@contextmanager
def begun(path: Path, key: str) -> Iterator[Path]:
    """A directory beside ``path``, which holds what a block that failed or was killed has written there.

    It is gone once a block succeeds. Arguments and errors are those of :func:`resumed_directory`.
    """
    directory = begun_path(path)
    directory.mkdir(parents=True, exist_ok=True)
    lock, holding = os.open(directory, os.O_RDONLY), False
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holding = True
        except BlockingIOError:
            raise StageError(f"{path}: another process is making it") from None
        if started.this is not None:
            started.this.check()
        noted = directory / "key"
        if not noted.exists() or noted.read_text(encoding="utf-8") != key:
            for old in directory.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            noted.write_text(key, encoding="utf-8")
        yield directory
        shutil.rmtree(directory, ignore_errors=True)
    except (StageError, started.Edited) as error:
        # What an edit has spoiled goes on from here once it is taken back, unless it was finished.
        if holding and getattr(error, "kept", True):
            shutil.rmtree(directory, ignore_errors=True)
        raise
    finally:
        os.close(lock)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to write, which appears as ``path`` (replacing what was there) only if the block succeeds."""
    partial = _partial(path)
    try:
        yield partial
        _confirm(path, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _real(path: Path) -> Path:
    """Where an output is: of a link, such as to a folder kept on a larger disk, its target, for the link stays."""
    return path.resolve() if path.is_symlink() else path


def _confirm(path: Path, finished: Path) -> None:
    """See, before an output that DVC will record is put in place, whether it is made of what DVC will say.

    Args:
        path: of the output.
        finished: where it is.

    Raises:
        Edited: it is not; the output is put aside.
    """
    this = started.this
    if this is None or not this.declares(path):
        return
    try:
        this.confirm()
    except started.Edited as error:
        raise _put_aside(this, {path: finished}, error) from None
    this.placed.append(path)


def _look_for_the_last_time() -> int:
    """The exit status of a stage that has done its work: 1 if something was edited since its outputs were put in place."""
    this = started.this
    if this is None or not this.placed:  # such as a process that helped to train
        return 0
    try:
        this.confirm()
    except started.Edited as error:
        told = _put_aside(this, {path: _real(path) for path in this.placed}, error)
        print(f"error: {told}", file=sys.stderr)
        return 1
    return 0


def _put_aside(this: started.Started, finished: Mapping[Path, Path], error: started.Edited) -> started.Edited:
    """Keep outputs that must not be recorded, if they can be taken up once the edit is taken back; what to say."""
    again = f"run it again, such as by `dvc repro {this.address}`"
    content = this.content() if this.keeps else None
    if content is None:
        return started.Edited(f"{error}; {again}")
    for path, place in finished.items():
        aside = started.aside(_real(path), content)
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    kept = started.Edited(
        f"{error}. It is kept as {aside}. Take the edit back and {again}: it is taken up as it stands. "
        "Or leave the edit and do the same: it is made anew"
    )
    kept.kept = True
    return kept


def _partial(path: Path, what: str = "partial") -> Path:
    """A hidden name beside ``path`` that no other process uses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: savers such as Keras choose a format by it.
    return path.with_name(f".{path.stem}.{what}-{os.getpid()}{path.suffix}")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, sorted and indented so that versions compare well."""
    with new_file(path) as partial:
        partial.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StageError: the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path}: no such file; run `dvc repro` to make it") from None
    except ValueError as error:
        raise StageError(f"{path}: not valid JSON ({error})") from None


def progress(iterable: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
    """Show how far a loop has come: a bar on a terminal, else a plain line every ten seconds."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(iterable, total=total, desc=label)
        return
    start = said = time.monotonic()
    done = 0
    for done, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - said >= LOG_EVERY_S:
            said = now
            left = f", {(now - start) * (total - done) / done:.0f} s left" if total else ""
            print(f"{label}: {done}{f'/{total}' if total else ''} in {now - start:.0f} s{left}", file=sys.stderr)
    print(f"{label}: {done} done in {time.monotonic() - start:.1f} s", file=sys.stderr)
