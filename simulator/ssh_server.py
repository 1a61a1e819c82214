"""Real OpenSSH servers on loopback, each a normal process with its own keys, settings and port, and proxies before them."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
START_S = 10.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def new_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), "-C", "test"]
    subprocess.run(command, check=True)
    return path


class Server:
    """An SSH server with its files in the folder ``where``; its sessions keep Gaitpress's files in ``cache``."""

    def __init__(self, where: Path, authorized: Path, **env: str) -> None:
        where.mkdir(parents=True, exist_ok=True)
        self.where = where
        self.port = free_port()
        self.cache = where / "cache"
        self.host_key = new_key(where / "host_key")
        (where / "tmp").mkdir()
        own = {"HOME": where, "TMPDIR": where / "tmp", "XDG_CACHE_HOME": self.cache, "GAITPRESS_MACHINE": where}
        self.env = {**{name: str(value) for name, value in own.items()}, **env}
        (where / "authorized_keys").write_text(authorized.with_suffix(".pub").read_text())
        self.settings = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": str(self.host_key),
            "PidFile": str(where / "pid"),
            "AuthorizedKeysFile": str(where / "authorized_keys"),
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "yes",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def home(self) -> Path:
        return self.cache / "gaitpress"

    @property
    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def known(self) -> str:
        """The server's line in known_hosts."""
        return f"[127.0.0.1]:{self.port} {' '.join(self.host_key.with_suffix('.pub').read_text().split()[:2])}\n"

    def start(self) -> None:
        # One line of the settings must hold all variables of its sessions.
        env = " ".join(f'"{name}={value}"' for name, value in self.env.items())
        lines = [*(f"{key} {value}" for key, value in self.settings.items()), f"SetEnv {env}"]
        (self.where / "config").write_text("\n".join(lines) + "\n")
        with suppress(OSError):
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd as root needs it
        assert SSHD
        log = self.where / "log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as written:
            command = [SSHD, "-D", "-e", "-f", str(self.where / "config")]
            self._process = subprocess.Popen(command, stderr=written, stdin=subprocess.DEVNULL, start_new_session=True)
        # A connection would not prove it: one to a port where nobody listens may reach itself.
        until = time.monotonic() + START_S
        while b"Server listening on" not in log.read_bytes()[before:]:
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < until, "the SSH server does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server and all its sessions at once, as if a board lost its power; its commands run on for a while."""
        if self._process is None or self._process.poll() is not None:
            return
        # A session is a process of its own, in another process group.
        sessions = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.kill()
        self._process.wait()
        for session in sessions:
            for process in [*_descendants(session), int(session)]:
                if "sshd" in _name(process):
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)

    def reboot(self, down_s: float, orderly: bool = False) -> None:
        """End the board's processes, empty what lies in memory, and come up again after some seconds.

        Args:
            down_s: how long it does not answer.
            orderly: whether its programs are ended before its connections, as when it shuts down; else all end at once.
        """
        if orderly:
            for process in self._programs():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
            time.sleep(0.5)
        self.kill()
        for process in self._programs():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.where / "tmp")
        (self.where / "tmp").mkdir()
        time.sleep(down_s)
        self.start()

    def _programs(self) -> list[int]:
        """The ids of the processes that its sessions have started."""
        mark = f"GAITPRESS_MACHINE={self.where}".encode()
        ids = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in entry.read_bytes().split(b"\0"):
                    ids.append(int(entry.parent.name))
        return ids

    def agents(self, command: str) -> list[int]:
        """The ids of Gaitpress's processes on the server with a command, such as "benchmark"."""
        pids = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError, IndexError):
                words = entry.read_bytes().split(b"\0")
                if words[1].startswith(str(self.home).encode()) and words[2] == command.encode():
                    pids.append(int(entry.parent.name))
        return pids


class Silent:
    """A port that accepts connections and sends nothing."""

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        return self._listener.getsockname()[1]

    def __exit__(self, *exception: object) -> None:
        self._listener.close()


def _descendants(pid: str) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [process for child in children for process in (int(child), *_descendants(child))]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


class Cutter:
    """A TCP proxy that cuts its first connections: each after the bytes towards the server in its entry of ``after``."""

    def __init__(self, target: int, after: list[int]) -> None:
        self.port = free_port()
        self.after = list(after)
        self.cuts = 0
        self.connections = 0
        self.up = 0
        self._target = target
        self._frozen = threading.Event()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def freeze(self) -> None:
        """Pass no more bytes in either direction, and close nothing, as if a cable were out."""
        self._frozen.set()

    def cut(self) -> None:
        """Cut all connections."""
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Accept no new connections."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(("127.0.0.1", self._target))
                for end in (near, far):  # else each small packet would wait for an acknowledgement
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends += [near, far]
                allowed = self.after.pop(0) if self.after else None
                threading.Thread(target=self._copy, args=(near, far, allowed, True), daemon=True).start()
                threading.Thread(target=self._copy, args=(far, near, None, False), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, allowed: int | None, up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1 << 14):
                while self._frozen.is_set():
                    time.sleep(0.05)
                passed += len(data)
                self.up += len(data) * up
                sink.sendall(data)
                if allowed is not None and passed >= allowed:
                    self.cuts += 1
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def through(server: Server, after: list[int]) -> tuple[Cutter, str]:
    """A proxy before a server, and the server's address through it; known_hosts gets the server's key."""
    proxy = Cutter(server.port, after)
    (Path.home() / ".ssh/known_hosts").write_text(server.known.replace(str(server.port), str(proxy.port)))
    return proxy, server.address.replace(str(server.port), str(proxy.port))
