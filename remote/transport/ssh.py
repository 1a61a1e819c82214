"""A device over SSH: one connection for all commands and files, made again when it breaks."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self, TypeVar

from remote.digest import sha256
from remote.errors import DeviceError, LinkLost, LoginRefused, Unreachable
from remote.transport import NO_ENVIRONMENT, Finished, login
from remote.transport.link import Link, SshProcess
from remote.transport.running import finish
from remote.transport.scripts import GIVE, RECEIVE
from remote.transport.ssh_config import Address, resolve

CHUNK = 1 << 18
# A server that is just starting is waited for a little, a device that was lost as long as a board takes to boot.
FIRST_WAITS_S = (0.5, 1.5)
LATER_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
ATTEMPTS = 5  # of what is done again after a lost link

T = TypeVar("T")


class SshTransport:
    """A device over SSH; see Transport."""

    far = True
    python = "python3"

    def __init__(self, name: str, address: str, judge: login.Judge | None = None):
        self.name = name
        try:
            self.endpoint = resolve(Address.parse(address))
        except DeviceError:
            raise
        except RuntimeError:  # of pathlib: as in a container whose user the system does not list
            raise DeviceError(f"{name}: this user has no home, and so no SSH keys: set HOME") from None
        self.after_reconnecting: list[Callable[[], None]] = []
        self._judge = judge or login.judge_by_known_hosts(name)
        self._link: Link | None = None
        self._placed: dict[str, str] = {}
        self._connecting = threading.RLock()  # what is restored uses the new connection
        self._restoring = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._link:
            self._link.close()
            self._link = None

    @property
    def lost(self) -> bool:
        """See Transport."""
        return self._link is not None and not self._link.alive

    @property
    def home(self) -> str:
        """See Transport."""
        return self._connected().home

    @property
    def scratch(self) -> str:
        """See Transport."""
        return self._connected().scratch

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

        def once() -> Finished:
            process = self.start(argv, env)
            return finish(process, process.errors, stdin, timeout_s, on_line, f"{self.name}: {argv[0]}")

        return self._persistently(once) if repeatable else once()

    def start(self, argv: Sequence[str], env: Mapping[str, str] = NO_ENVIRONMENT) -> SshProcess:
        """See Transport."""
        # Nothing has begun as long as this does not return, so it may be tried again.
        return self._persistently(lambda: self._connected().start(argv, env))

    def send(self, source: Path, target: str) -> None:
        """See Transport."""
        digest = sha256(source)
        self._persistently(lambda: self._send(source, target, digest))

    def place(self, source: Path) -> str:
        """See Transport."""
        digest = sha256(source)
        if digest not in self._placed:
            target = f"{self.home}/files/{digest}"
            self._persistently(lambda: self._send(source, target, digest))
            self._placed[digest] = target
        return self._placed[digest]

    def fetch(self, source: str, target: Path, keep: bool = False) -> None:
        """See Transport."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        known: list[str] = []
        try:
            partial.unlink(missing_ok=True)
            self._persistently(lambda: self._fetch(source, partial, known, keep))
            partial.replace(target)
        except OSError as error:
            raise DeviceError(f"{target} cannot be written: {error.strerror}") from None
        finally:
            partial.unlink(missing_ok=True)

    def _send(self, source: Path, target: str, digest: str) -> None:
        size = source.stat().st_size
        process = self._script(RECEIVE, target, digest, str(size), f"{target}.{digest[:12]}.part")
        with _conversation(process):
            answer = process.stdout.readline().decode().split()
            if answer[:1] == ["from"]:
                with source.open("rb") as file:
                    file.seek(int(answer[1]))
                    _pump(file, process.stdin, int(answer[1]), size, f"{source.name} to {self.name}")
                process.stdin.close()
                answer = process.stdout.readline().decode().split()
            done = process.wait()
        if done.code == 75:
            raise LinkLost(f"{self.name}: {source.name} did not arrive whole {_brief(done.stderr)}".rstrip())
        if answer != ["there"]:
            raise DeviceError(f"{self.name}: {target} ({size / 1e6:.1f} MB) cannot be written there: {_brief(done.stderr)}")

    def _fetch(self, source: str, partial: Path, known: list[str], keep: bool) -> None:
        begun = partial.stat().st_size if partial.exists() else 0
        process = self._script(GIVE, source, str(begun), f"{self.home}/files" if keep else "")
        with _conversation(process):
            head = process.stdout.readline().decode().split()
            if len(head) == 2:
                if known and known != head[:1]:
                    partial.unlink()
                    known.clear()
                    raise LinkLost(f"{self.name}: {source} changed while it was fetched")
                known[:] = head[:1]
                with partial.open("ab") as file:
                    _pump(process.stdout, file, begun, int(head[1]), f"{Path(source).name} from {self.name}")
            done = process.wait()
        if done.code:
            raise DeviceError(f"{self.name}: {source} cannot be read there: {_brief(done.stderr)}")
        if sha256(partial) != head[0]:
            partial.unlink()
            raise LinkLost(f"{self.name}: {source} did not arrive as it is there")

    def _script(self, script: str, *words: str) -> SshProcess:
        return self._connected().start(["sh", "-c", script, "sh", *words], NO_ENVIRONMENT)

    def _connected(self) -> Link:
        """The connection, renewed if it broke; threads that ask at the same time wait and get the same one."""
        with self._connecting:
            if self._link and self._link.alive:
                return self._link
            if self._restoring:  # the attempt in progress starts anew
                raise Unreachable(f"{self.name}: the connection was lost again")
            reconnecting = self._link is not None
            if self._link:
                self._link.close()
            waits = iter(LATER_WAITS_S if reconnecting else FIRST_WAITS_S)
            while True:
                try:
                    self._link = Link(self.name, self.endpoint, self._judge)
                    if reconnecting:
                        self._restore(self._link)
                    return self._link
                except LoginRefused as error:
                    # It let us in before: a board that boots answers before it lets users in (pam_nologin).
                    if not reconnecting or (wait_s := next(waits, None)) is None:
                        raise
                    print(f"{error}; it let us in before, so trying again", file=sys.stderr, flush=True)
                    time.sleep(wait_s)
                except LinkLost as error:
                    if (wait_s := next(waits, None)) is None:
                        raise Unreachable(f"{self.name} cannot be reached: {error}") from None
                    time.sleep(wait_s)

    def _restore(self, link: Link) -> None:
        """Call the restore functions on a new connection; close it if one fails."""
        self._restoring = True
        self._placed.clear()
        try:
            for restore in self.after_reconnecting:
                restore()
        except BaseException:
            link.close()
            raise
        finally:
            self._restoring = False

    def _persistently(self, action: Callable[[], T]) -> T:
        """Do a repeatable action, and again when the link breaks meanwhile, but not for ever."""
        for attempt in range(1, ATTEMPTS):
            try:
                return action()
            except Unreachable:
                raise
            except LinkLost as error:
                print(f"{error}; trying again ({attempt} of {ATTEMPTS - 1})", file=sys.stderr, flush=True)
        return action()


@contextlib.contextmanager
def _conversation(process: SshProcess) -> Iterator[None]:
    """End the process at the end, whatever happens; if it stops reading early, its status explains why."""
    try:
        yield
    finally:
        process.kill()


def _pump(source: IO[bytes], sink: IO[bytes], begin: int, end: int, what: str) -> None:
    """Copy the bytes from ``begin`` to ``end`` until either side stops; on a terminal show a bar."""
    from tqdm import tqdm

    left = end - begin
    with tqdm(desc=what, total=end, initial=begin, unit="B", unit_scale=True, delay=2, leave=False, disable=None) as bar:
        while left and (chunk := source.read(min(CHUNK, left))):
            try:
                sink.write(chunk)
                sink.flush()
            except BrokenPipeError:
                return  # the status of the other side says why
            left -= len(chunk)
            bar.update(len(chunk))


def _brief(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
