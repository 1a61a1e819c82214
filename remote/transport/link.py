"""One connection over SSH: its commands, its heartbeat, and the guard on the device that cleans up at its end."""

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
from remote.transport import Finished, login, sending
from remote.transport.running import Collector
from remote.transport.scripts import BEAT_S, GUARD, KILL, SILENCE_S
from remote.transport.ssh_config import Endpoint

WINDOW, BUFFER = 1 << 22, 1 << 16
FAREWELL_S = 2.0  # the longest time to say that nothing runs any more
LOGIN_S = 60.0  # the longest time from the login to our first command
REMEMBERED = 1 << 12  # bytes of what a login shell says before our command
# A login shell may print what its user's files for it say (~/.bashrc). What comes before this mark is not our command's.
MARKED = 'printf "%s\\n" "$0"; printf "%s\\n" "$0" >&2\n'


class Link:
    """A connection to a device, and a guard that runs there until the connection ends.

    The guard answers a beat every BEAT_S seconds. If no beat comes for SILENCE_S seconds, or the connection closes, it ends
    all commands of the link, so that no orphan computes during the next measurement. If no answer comes for SILENCE_S
    seconds, this side closes the link.

    Attributes:
        home, scratch: see Transport.
        mark: the line that each command prints on both its streams before anything else.
    """

    def __init__(self, name: str, endpoint: Endpoint, judge: login.Judge):
        self._name = name
        self._id = secrets.token_hex(8)
        self.mark = f"gaitpress {self._id}"
        self._commands = itertools.count()
        self._running: set[str] = set()  # the ids of commands
        self._connections = login.connect((*endpoint.jumps, endpoint), judge)
        self._closed = threading.Event()
        self._heard = time.monotonic()
        try:
            self._guard = self._open(shlex.join(["exec", "sh", "-c", MARKED + GUARD, self.mark, self._id]))
            self._guard.settimeout(LOGIN_S)
            said = _Marked(self._guard.recv, self.mark)
            self._answers = io.BufferedReader(_Source(said), BUFFER)
            home = self._first_answer(said)
            self._guard.settimeout(None)
        except OSError as error:
            login.close(self._connections)
            raise self.lost(error) from None
        except BaseException:
            login.close(self._connections)
            raise
        self.home = home
        self.scratch = f"{home}/run/{self._id}"
        for loop in (self._beat, self._listen, self._watch):
            threading.Thread(target=loop, daemon=True).start()

    def _first_answer(self, said: _Marked) -> str:
        """The folder that the guard names.

        Raises:
            DeviceError: the login shell ran no command of ours, or the guard can have no folder.
        """
        try:
            home = self._answers.readline().decode(errors="surrogateescape").rstrip("\n")
        except TimeoutError:
            raise DeviceError(
                f"{self._name}: its login shell runs no command within {LOGIN_S:g} s{said.in_words()}; see ~/.bashrc there"
            ) from None
        if said.mark_seen and home:
            return home
        errors = _Marked(self._guard.recv_stderr, self.mark)
        reason = b"".join(iter(lambda: errors(BUFFER), b"")).decode(errors="replace").strip().replace("\n", "; ")
        if said.mark_seen:
            raise DeviceError(f"{self._name}: it cannot keep our files: {reason or 'its shell said nothing'}")
        raise DeviceError(f"{self._name}: its login shell ran no command of ours{said.in_words() or errors.in_words()}")

    @property
    def alive(self) -> bool:
        """Whether the link is usable, as far as this side knows."""
        return not self._closed.is_set() and self._connections[-1].is_active()

    def close(self) -> None:
        """Close the connection, which ends its commands on the device."""
        self._closed.set()
        # A connection that takes nothing more would keep us waiting.
        farewell = threading.Thread(target=self._end_guard, daemon=True)
        farewell.start()
        farewell.join(FAREWELL_S)
        login.close(self._connections)

    def _end_guard(self) -> None:
        """Close the guard's input; the guard does its work once the connection is gone."""
        with contextlib.suppress(OSError, EOFError):
            if not self._running:
                sending.send(self._guard, b"end\n")
            sending.end(self._guard)

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> SshProcess:
        """Start a command; see Transport.

        Raises:
            LinkLost: the connection is broken.
            DeviceError: a word or a variable's name cannot be passed to a command.
        """
        if any("\0" in word for word in (*argv, *env, *env.values())):
            raise DeviceError(f"{self._name}: the words of a command cannot hold a NUL character")
        if wrong := [name for name in env if not name or "=" in name]:
            raise DeviceError(f"{self._name}: {wrong[0]!r} cannot be the name of an environment variable")
        command_id = f"{self._id}.{next(self._commands)}"
        variables = [f"GAITPRESS_RUN={command_id}", *(f"{name}={value}" for name, value in env.items())]
        # The user's login shell, of any kind, sees quoted words alone. Our shell stays until the end, since its status names
        # a signal. The inner shell allows "=" in a program's name, where env would see a variable.
        words = [
            "exec",
            "sh",
            "-c",
            MARKED + 'env "$@"; exit $?',
            self.mark,
            *variables,
            "sh",
            "-c",
            'exec "$@"',
            "sh",
            *argv,
        ]
        self._running.add(command_id)
        return SshProcess(self, command_id, self._open(shlex.join(words)))

    def ended(self, command_id: str) -> None:
        """Note that a command has ended."""
        self._running.discard(command_id)

    def end(self, command_id: str) -> None:
        """End a command on the device; if that fails, close the link, which ends all its commands."""
        try:
            channel = self._open(shlex.join(["exec", "sh", "-c", KILL, "sh", command_id]))
            channel.settimeout(BEAT_S)
            if channel.recv_exit_status() == 0:
                self.ended(command_id)
            channel.close()
        except (DeviceError, OSError, EOFError):
            self.close()

    def _open(self, command: str) -> paramiko.Channel:
        try:
            channel = self._connections[-1].open_session(window_size=WINDOW, timeout=login.CHANNEL_TIMEOUT_S)
            channel.exec_command(command)
        except (OSError, EOFError) as error:
            # The reading thread may not have noticed yet, and another try must not get this link again.
            self._closed.set()
            raise self.lost(error) from None
        except paramiko.ChannelException:
            raise DeviceError(
                f"{self._name}: its SSH server refuses one more command at a time: MaxSessions in its sshd_config is too low"
            ) from None
        except paramiko.SSHException as error:
            raise self.lost(error) from None
        return channel

    def lost(self, why: object = "") -> LinkLost:
        """The error of a broken connection."""
        reason = " ".join(str(why).split())
        return LinkLost(f"{self._name}: the connection was lost{f' ({reason})' if reason else ''}")

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_S):
            with contextlib.suppress(OSError, EOFError):
                sending.send(self._guard, b"\n")

    def _watch(self) -> None:
        # Not where beats are sent: a connection that takes nothing more stops whoever sends.
        while not self._closed.wait(BEAT_S):
            if time.monotonic() - self._heard > SILENCE_S:
                self.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while self._answers.readline():
                self._heard = time.monotonic()
        self.close()


class SshProcess:
    """A command that runs on the device. See Process."""

    def __init__(self, link: Link, command_id: str, channel: paramiko.Channel):
        self._link = link
        self._id = command_id
        self._channel = channel
        self.stdin: IO[bytes] = io.BufferedWriter(_Sink(channel), BUFFER)
        self.stdout: IO[bytes] = io.BufferedReader(_Source(_Marked(channel.recv, link.mark)), BUFFER)
        self.errors = Collector(io.BufferedReader(_Source(_Marked(channel.recv_stderr, link.mark)), BUFFER))

    def wait(self) -> Finished:
        """See Process."""
        code = self._channel.recv_exit_status()
        stderr = self.errors.result()
        if code < 0:
            raise self._link.lost()
        self._link.ended(self._id)
        return Finished(128 - code if 128 < code <= 192 else code, b"", stderr)

    def kill(self) -> None:
        """See Process."""
        if not self._channel.exit_status_ready():
            if self._link.alive:
                self._link.end(self._id)
        elif self._channel.exit_status >= 0:
            self._link.ended(self._id)
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()


class _Marked:
    """Receives what comes after the first line that is a mark; without the mark, nothing.

    Attributes:
        mark_seen: whether the mark has come.
    """

    def __init__(self, receive: Callable[[int], bytes], mark: str):
        self.mark_seen = False
        self._receive = receive
        self._mark = f"{mark}\n".encode()
        self._before = b""

    def __call__(self, count: int) -> bytes:
        """Receive at most ``count`` bytes; none at the end."""
        while not self.mark_seen:
            data = self._receive(count)
            before, mark, after = (self._before + data).partition(self._mark)
            self.mark_seen, self._before = bool(mark), before[-REMEMBERED:]
            if after or not data:
                return after
        return self._receive(count)

    def in_words(self) -> str:
        """The last line before the mark, for a message."""
        lines = self._before.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"; it said: {last}" if last else ""


class _Source(io.RawIOBase):
    """The reading end of a channel's stream."""

    def __init__(self, receive: Callable[[int], bytes]):
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        with memoryview(target) as view:
            try:
                data = self._receive(len(view))
            except EOFError:
                return 0  # the connection broke; the command's status shows it
            view[: len(data)] = data
        return len(data)


class _Sink(io.RawIOBase):
    """The writing end of a channel; closing it ends the command's input."""

    def __init__(self, channel: paramiko.Channel):
        self._channel = channel

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            try:
                sending.send(self._channel, bytes(view))
            except (OSError, EOFError) as error:
                raise BrokenPipeError(str(error)) from None
            return len(view)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with contextlib.suppress(OSError, EOFError):
                sending.end(self._channel)
