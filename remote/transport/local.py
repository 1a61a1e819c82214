"""This machine as a device: commands are child processes, and files stay in their places."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from remote.errors import DeviceError
from remote.transport import NO_ENVIRONMENT, Finished
from remote.transport.running import Collector, finish
from remote.transport.scripts import LOCAL_GUARD


class LocalProcess:
    """A process on this machine, in its own process group, so that its children end with it. See Process."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]):
        try:
            self._process = subprocess.Popen(
                argv,
                env={**os.environ, **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise DeviceError(f"{argv[0]!r} cannot be run here: {error}") from None
        assert self._process.stderr is not None
        self.errors = Collector(self._process.stderr)

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def stdin(self) -> IO[bytes]:
        """See Process."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """See Process."""
        assert self._process.stdout is not None
        return self._process.stdout

    def wait(self) -> Finished:
        """See Process."""
        code = self._process.wait()
        return Finished(code, b"", self.errors.result())

    def kill(self) -> None:
        """See Process."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.errors.result()
        # Unsent input has no reader any more, so closing may fail.
        for stream in (self.stdin, self.stdout, self.errors.stream):
            with contextlib.suppress(OSError, ValueError):
                stream.close()


class LocalTransport:
    """This machine, whose paths are ours. See Transport."""

    far = False
    lost = False
    python = sys.executable

    def __init__(self, name: str = "local"):
        self.name = name
        self.after_reconnecting: list[Callable[[], None]] = []
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._id = secrets.token_hex(8)
        self._guard: subprocess.Popen[bytes] | None = None
        self._started: list[LocalProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._guard:
            # Without the word "end", as when this process is killed, the guard ends the commands that still run.
            assert self._guard.stdin is not None
            with contextlib.suppress(BrokenPipeError), self._guard.stdin as guard:  # the guard may have been killed
                guard.write(b"end\n" if all(process.ended for process in self._started) else b"")
            self._guard = None
        if self._scratch:
            self._scratch.cleanup()
            self._scratch = None

    @property
    def home(self) -> str:
        """See Transport."""
        try:
            home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gaitpress"
            home.mkdir(parents=True, exist_ok=True)
        except RuntimeError:  # as in a container whose user the system does not list
            raise DeviceError(f"{self.name}: this user has no home: set HOME, or XDG_CACHE_HOME for our files") from None
        except OSError as error:
            raise DeviceError(f"{self.name}: {home} cannot be made: {error.strerror}; or set XDG_CACHE_HOME") from None
        return str(home)

    @property
    def scratch(self) -> str:
        """See Transport; a folder among this machine's temporary files."""
        self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="gaitpress-")
        return self._scratch.name

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] = NO_ENVIRONMENT,
        timeout_s: float | None = None,
        on_line: Callable[[str], None] | None = None,
        repeatable: bool = False,
    ) -> Finished:
        """See Transport."""
        process = self.start(argv, env)
        return finish(process, process.errors, stdin, timeout_s, on_line, Path(argv[0]).name)

    def start(self, argv: Sequence[str], env: Mapping[str, str] = NO_ENVIRONMENT) -> LocalProcess:
        """See Transport."""
        if self._guard is None:
            command = ["sh", "-c", LOCAL_GUARD, "sh", self._id]
            self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        process = LocalProcess(argv, {"GAITPRESS_RUN": self._id, **env})
        self._started = [*(other for other in self._started if not other.ended), process]
        return process

    def send(self, source: Path, target: str) -> None:
        """See Transport."""
        _copy(source, Path(target))

    def place(self, source: Path) -> str:
        """See Transport."""
        return str(source.absolute())

    def fetch(self, source: str, target: Path, keep: bool = False) -> None:
        """See Transport."""
        _copy(Path(source), target)


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        if target.exists() and target.samefile(source):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:
        raise DeviceError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
