"""One connection over SSH: its commands, its heartbeat, and the guard on the device that tidies up when it ends."""

from __future__ import annotations

import contextlib
import io
import itertools
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import paramiko

from remote.errors import DeviceError, LinkLost
from remote.transport import Finished, login
from remote.transport.running import Collector
from remote.transport.scripts import BEAT_S, GUARD, KILL, SILENCE_S
from remote.transport.ssh_config import Endpoint

WINDOW, BUFFER = 1 << 22, 1 << 16


class Link:
    """A connection to a device, and the guard that runs there as long as it lasts.

    The guard answers a beat every BEAT_S seconds. When it hears none for SILENCE_S seconds, or the connection closes, it
    ends all commands of the link: no orphan goes on computing during the next measurement. When no answer comes for so
    long, this side closes the link too.

    Attributes:
        home, scratch: see Transport.
    """

    def __init__(self, name: str, endpoint: Endpoint, judge: login.Judge):
        self._name = name
        self._number = secrets.token_hex(8)
        self._commands = itertools.count()
        self._running: set[str] = set()
        self._connections = login.connect((*endpoint.jumps, endpoint), judge)
        self._closed = threading.Event()
        self._heard = time.monotonic()
        try:
            self._guard = self._open(shlex.join(["exec", "sh", "-c", GUARD, "sh", self._number]))
            self._answers = self._guard.makefile("rb")
            home = self._answers.readline().decode(errors="surrogateescape").rstrip("\n")
            if not home:
                said = self._guard.makefile_stderr("rb").read().decode(errors="replace").strip()
                raise DeviceError(f"{name}: it cannot keep our files: {said or 'its shell said nothing'}")
        except OSError as error:
            login.close(self._connections)
            raise self.lost(error) from None
        except BaseException:
            login.close(self._connections)
            raise
        self.home = home
        self.scratch = f"{home}/run/{self._number}"
        for work in (self._beat, self._listen):
            threading.Thread(target=work, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the link is usable, as far as this side knows."""
        return not self._closed.is_set() and self._connections[-1].is_active()

    def close(self) -> None:
        """Close the connection, which ends its commands on the device."""
        self._closed.set()
        # Close the guard's input first: the guard does its work once the connection is gone.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            if not self._running:
                self._guard.sendall(b"end\n")
            self._guard.shutdown_write()
        login.close(self._connections)

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> SshProcess:
        """Start a command; see Transport.

        Raises:
            LinkLost: the connection broke before.
        """
        if any("\0" in word for word in (*argv, *env, *env.values())):
            raise DeviceError(f"{self._name}: the words of a command cannot hold a NUL character")
        if faulty := [name for name in env if not name or "=" in name]:
            raise DeviceError(f"{self._name}: {faulty[0]!r} cannot be the name of an environment variable")
        number = f"{self._number}.{next(self._commands)}"
        variables = [f"GAITPRESS_RUN={number}", *(f"{name}={value}" for name, value in env.items())]
        # The login shell, whichever it is, only sees quoted words. Ours stays until the end, for its status names a signal;
        # the inner one takes a program's name for a name even if there is "=" in it.
        words = ["exec", "sh", "-c", 'env "$@"; exit $?', "sh", *variables, "sh", "-c", 'exec "$@"', "sh", *argv]
        self._running.add(number)
        return SshProcess(self, number, self._open(shlex.join(words)))

    def ended(self, number: str) -> None:
        """Note that a command has ended."""
        self._running.discard(number)

    def end(self, number: str) -> None:
        """End a command on the device; if that cannot be done, end the link, which does it too."""
        try:
            channel = self._open(shlex.join(["exec", "sh", "-c", KILL, "sh", number]))
            channel.settimeout(BEAT_S)
            if channel.recv_exit_status() == 0:
                self.ended(number)
            channel.close()
        except (LinkLost, OSError, EOFError):
            self.close()

    def _open(self, command: str) -> paramiko.Channel:
        try:
            channel = self._connections[-1].open_session(window_size=WINDOW, timeout=login.CHANNEL_TIMEOUT_S)
            channel.exec_command(command)
        except (OSError, EOFError) as error:
            # The thread that reads may not have seen it yet: who tries again must not get this link again.
            self._closed.set()
            raise self.lost(error) from None
        except paramiko.SSHException as error:
            raise self.lost(error) from None
        return channel

    def lost(self, why: object = "") -> LinkLost:
        """The error that tells that it broke."""
        text = " ".join(str(why).split())
        return LinkLost(f"{self._name}: the connection was lost{f' ({text})' if text else ''}")

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_S):
            with contextlib.suppress(OSError, EOFError):
                self._guard.sendall(b"\n")
            if time.monotonic() - self._heard > SILENCE_S:
                self.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while self._answers.readline():
                self._heard = time.monotonic()
        self.close()


class SshProcess:
    """A command that runs on the device. See Process."""

    def __init__(self, link: Link, number: str, channel: paramiko.Channel):
        self._link = link
        self._number = number
        self._channel = channel
        self.stdin: IO[bytes] = io.BufferedWriter(_Sink(channel), BUFFER)
        self.stdout: IO[bytes] = io.BufferedReader(_Source(channel.recv), BUFFER)
        self.errors = Collector(io.BufferedReader(_Source(channel.recv_stderr), BUFFER))

    def wait(self) -> Finished:
        """See Process."""
        code = self._channel.recv_exit_status()
        said = self.errors.result()
        if code < 0:
            raise self._link.lost()
        self._link.ended(self._number)
        return Finished(128 - code if 128 < code <= 192 else code, b"", said)

    def kill(self) -> None:
        """See Process."""
        if not self._channel.exit_status_ready():
            if self._link.alive:
                self._link.end(self._number)
        elif self._channel.exit_status >= 0:
            self._link.ended(self._number)
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()


class _Source(io.RawIOBase):
    """A stream of a channel to read from."""

    def __init__(self, receive: Callable[[int], bytes]):
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        with memoryview(target) as view:
            try:
                data = self._receive(len(view))
            except EOFError:
                return 0  # the connection broke, which the command's status tells
            view[: len(data)] = data
        return len(data)


class _Sink(io.RawIOBase):
    """A channel to write to; closing it is the end of the command's input."""

    def __init__(self, channel: paramiko.Channel):
        self._channel = channel

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            try:
                self._channel.sendall(bytes(view))
            except (OSError, EOFError) as error:
                raise BrokenPipeError(str(error)) from None
            return len(view)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with contextlib.suppress(OSError, EOFError):
                self._channel.shutdown_write()
