"""The ways by which commands and files reach a device: processes of this machine, or SSH."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol, Self

NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    Attributes:
        code: its exit status; -n if signal n ended it.
        stdout: its standard output; empty after ``Process.wait``, because there the caller reads it.
        stderr: its standard error.
    """

    code: int
    stdout: bytes
    stderr: bytes


class Process(Protocol):
    """A command that runs on a device, with standard input and output as binary files; its standard error is collected."""

    @property
    def stdin(self) -> IO[bytes]: ...

    @property
    def stdout(self) -> IO[bytes]: ...

    def wait(self) -> Finished:
        """Wait until the command ends.

        Raises:
            LinkLost: the device cannot be reached any more, which ends the command there.
        """
        ...

    def kill(self) -> None:
        """End the command and its children, if they still run, and close its streams."""
        ...


class Transport(Protocol):
    """The way to a device. A context: its end closes the connection and ends the commands that still run over it.

    The words of a command reach it as they are, whatever they hold; no shell reads them.

    A command whose connection ends before it does gets SIGTERM on the device, and SIGKILL ten seconds later. A command that
    must outlive the link, to put something back, starts itself anew without GAITPRESS_RUN in its environment (``env -u``).

    Attributes:
        name: the device's name, for messages.
        far: whether data must travel: the device is another machine, or counts as one.
        python: a Python of 3.6 or later there, for scripts that need nothing else.
        home: the folder for our files on the device; absolute, and it exists.
        scratch: a folder below it for this connection alone, removed when the connection ends.
        lost: whether the connection has broken, and nobody has used it since.
        after_reconnecting: functions to call, in order, when a lost connection is renewed.
    """

    name: str
    far: bool
    python: str
    after_reconnecting: list[Callable[[], None]]

    @property
    def lost(self) -> bool: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    @property
    def home(self) -> str: ...

    @property
    def scratch(self) -> str: ...

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
        """Run a command to its end.

        Args:
            argv: program and arguments.
            stdin: its whole standard input; none by default.
            env: variables to add to its environment.
            timeout_s: how long it may take, in seconds.
            on_line: called with each line of both its streams as it comes, without the line's end.
            repeatable: whether running it twice does no harm; then it runs again after a lost link.

        Raises:
            TimedOut: the command took longer, and was ended.
            LinkLost: the connection broke meanwhile, which ends the command on the device.
        """
        ...

    def start(self, argv: Sequence[str], env: Mapping[str, str] = NO_ENVIRONMENT) -> Process:
        """Start a command and talk to it through its streams."""
        ...

    def send(self, source: Path, target: str) -> None:
        """Copy a file to the device unless it is there already: verified by its SHA-256, whole or not at all.

        After a lost link it continues where it stopped.

        Raises:
            DeviceError: the file does not fit on the device's disk, or may not be written.
            LinkLost: the link broke again and again.
        """
        ...

    def place(self, source: Path) -> str:
        """The path on the device of a file with this content: ``home/files/<sha256>``, sent if it is not there.

        On this machine it is the file itself.
        """
        ...

    def fetch(self, source: str, target: Path, keep: bool = False) -> None:
        """Copy a file from the device, verified and whole or not at all.

        Args:
            source: its path on the device.
            target: its new path here; an existing file is replaced.
            keep: whether it stays on the device where ``place`` looks for it, so that nobody need send it back.
        """
        ...


def connect(name: str, address: str) -> Transport:
    """The transport of a device.

    Args:
        name: the device's name.
        address: "local", or ``ssh://[user@]host[:port]``; the first use makes the connection.

    Raises:
        DeviceError: the address or the user's SSH configuration is not valid.
    """
    if address == "local":
        from remote.transport.local import LocalTransport

        return LocalTransport(name)
    from remote.transport.ssh import SshTransport

    return SshTransport(name, address)
