"""Stages and commands in the test's own process: their words, output and exit status, without a new Python's imports."""

from __future__ import annotations

import importlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from gaitpress import command_line
from remote.errors import DeviceError
from tests.support.toy import ROOT


def stage(name: str, *words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What ``python -m stages.<name>`` does and says."""
    return _ran(f"stages.{name}", words, cwd)


def keras_stage(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, for TensorFlow takes its number of threads once a process."""
    line = [sys.executable, "-m", f"stages.{name}", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, text=True, capture_output=True)


def command(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What ``python -m gaitpress`` does and says."""
    return _ran("gaitpress.__main__", words, cwd)


def remote(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What ``python -m remote`` does and says to whom it cannot ask anything."""
    with open(os.devnull) as nothing, mock.patch.object(sys, "stdin", nothing):
        return _ran("remote.__main__", words, cwd)


def _ran(module: str, words: tuple[object, ...], cwd: Path) -> subprocess.CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    line = [module, *map(str, words)]
    status = 0
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd), mock.patch.object(sys, "argv", line), _as_before():
        main = importlib.import_module(module).main
        try:
            if module.startswith("stages."):
                command_line.run(main)
            elif module.startswith("remote."):
                _run_remote(main)
            else:
                main()
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            status = 1 if isinstance(end.code, str) else end.code or 0
    return subprocess.CompletedProcess(line, status, out.getvalue(), err.getvalue())


def _run_remote(main: Callable[[], None]) -> None:
    """What stands at the end of remote/__main__.py."""
    try:
        main()
    except (DeviceError, OSError) as error:
        sys.exit(f"error: {error}")


@contextmanager
def _as_before() -> Iterator[None]:
    """Leave this process's signals and PyTorch's settings as they were."""
    handler = signal.getsignal(signal.SIGTERM)
    torch = sys.modules.get("torch")
    threads, exact = (torch.get_num_threads(), torch.get_deterministic_debug_mode()) if torch else (0, 0)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        if torch:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(exact)
