"""How commands and files reach a device: by processes of this machine, or over SSH."""

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
        stdout: what it wrote; empty after ``Process.wait``, for there the caller reads it.
        stderr: what it complained.
    """

    code: int
    stdout: bytes
    stderr: bytes


class Process(Protocol):
    """A command that runs on a device, with its standard streams as binary files; what it complains is collected."""

    @property
    def stdin(self) -> IO[bytes]: ...

    @property
    def stdout(self) -> IO[bytes]: ...

    def wait(self) -> Finished:
        """Wait until it ends.

        Raises:
            LinkLost: the device cannot be reached any more; the command is ended there.
        """
        ...

    def kill(self) -> None:
        """End it and what it started, if it still runs, and close its streams."""
        ...


class Transport(Protocol):
    """The way to one device. A context: at its end the connection is closed and what still runs over it is ended.

    What a command is made of reaches it word by word, whatever the words hold; no shell reads them.

    A command whose connection ends before it does gets SIGTERM on the device, and SIGKILL ten seconds later. One that must
    outlive the link, to put something back, starts itself anew without GAITPRESS_RUN in its environment (``env -u``).

    Attributes:
        name: the device's name, for messages.
        far: what goes there travels: it is another machine, or is taken for one.
        python: a Python of 3.6 or later there, for scripts that need nothing else.
        home: the folder for our files on the device; absolute, and it exists.
        scratch: a folder of this connection's own below it, removed when the connection ends.
        lost: the connection has broken, and nobody has used it since.
        after_reconnecting: called, in order, when a lost connection has been made again.
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
            env: what is added to its environment.
            timeout_s: how long it may take, in seconds.
            on_line: called with each line of both its streams as it comes, without the line's end.
            repeatable: doing it twice does no harm, so it is done again after a lost link.

        Raises:
            TimedOut: it took longer; it has been ended.
            LinkLost: the connection broke meanwhile; the command is ended on the device.
        """
        ...

    def start(self, argv: Sequence[str], env: Mapping[str, str] = NO_ENVIRONMENT) -> Process:
        """Start a command and talk to it through its streams."""
        ...

    def send(self, source: Path, target: str) -> None:
        """Copy a file to the device: verified by its SHA-256, whole or not at all, and not at all if it is there already.

        What a lost link leaves half done is continued.

        Raises:
            DeviceError: it does not fit on the device's disk, or may not be written.
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
            target: where it goes; replaced if it is there.
            keep: let it stay on the device where ``place`` looks for it, so that it need not be sent back.
        """
        ...


def connect(name: str, address: str) -> Transport:
    """The transport of a device.

    Args:
        name: the device's name.
        address: "local", or ``ssh://[user@]host[:port]``; the connection is made when it is first needed.

    Raises:
        DeviceError: the address or the user's SSH configuration cannot be understood.
    """
    if address == "local":
        from remote.transport.local import LocalTransport

        return LocalTransport(name)
    from remote.transport.ssh import SshTransport

    return SshTransport(name, address)
