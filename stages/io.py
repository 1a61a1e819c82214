"""What every stage needs around its work: a command line, whole-or-nothing outputs, progress and clear errors."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from compress.errors import CompressionError
from gait.errors import DataError
from remote.errors import DeviceError
from stages import params
from stages.params import Params, ParamsError

T = TypeVar("T")
LOG_EVERY_S = 10.0


class StageError(Exception):
    """An input of a stage is missing or does not fit; the message names the file or key."""


EXPECTED = (StageError, ParamsError, DataError, CompressionError, DeviceError, OSError)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser described by a module's docstring, with the option that all stages share."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings (default: params.yaml)")
    return result


def number(text: str) -> int | float:
    """A number as it stands in params.yaml: 30 stays whole, so that it names the same folder everywhere."""
    return int(text) if text.isdecimal() else float(text)


def parse(described: argparse.ArgumentParser) -> tuple[argparse.Namespace, Params]:
    """Read the command line and params.yaml.

    Names in braces in a path stand for the option of that name, and ``{dataset}`` for params.yaml's dataset: with
    ``--model gaitset``, ``results/train/{model}`` is results/train/gaitset. So dvc.yaml puts no name of params.yaml into a
    shell command by itself.
    """
    options = described.parse_args()
    settings = params.load(options.params)
    names = {"dataset": settings.dataset, **vars(options)}
    for key, value in vars(options).items():
        if isinstance(value, Path):
            text = re.sub(r"\{(\w+)\}", lambda found: str(names.get(found[1], found[0])), str(value))
            setattr(options, key, Path(text))
    return options, settings


def run(main: Callable[[], None]) -> None:
    """Run a stage as a program: expected errors end it with one line, anything else is reported as a bug."""
    try:
        main()
    except EXPECTED as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; nothing was written")
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"error: a bug in gaitpress ({type(error).__name__}: {error}); please report it with the lines above")


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which appears as ``path`` (replacing what was there) only if the block succeeds."""
    partial = _partial(path)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to write, which appears as ``path`` (replacing what was there) only if the block succeeds."""
    partial = _partial(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    # The suffix stays last: savers such as Keras choose a format by it.
    return partial.with_suffix(path.suffix) if path.suffix else partial


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
