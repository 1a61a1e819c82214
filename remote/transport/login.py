"""Log in to a server: connect through the servers before it, check its host key, and use the user's keys or password."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paramiko

from remote.errors import DeviceError, LinkLost, LoginRefused
from remote.transport import agent, known_hosts
from remote.transport.known_hosts import HostKey
from remote.transport.ssh_config import Endpoint

HANDSHAKE_TIMEOUT_S = AUTH_TIMEOUT_S = CHANNEL_TIMEOUT_S = 20.0
KEEPALIVE_S = 15

# Paramiko logs errors with tracebacks; ours tell the same in one line.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

# What else a server may allow, by the word of paramiko's complaint: what servers set up by guides may leave out.
COMMON = {
    "kex": "KexAlgorithms curve25519-sha256", "host key": "HostKeyAlgorithms ssh-ed25519",
    "ciphers": "Ciphers aes256-ctr", "macs": "MACs hmac-sha2-256",
}  # fmt: skip

# Takes a server, its name in known_hosts and the key that it shows; raises DeviceError if the key cannot be trusted.
Judge = Callable[[Endpoint, str, HostKey], None]


def judge_by_known_hosts(device: str) -> Judge:
    """A judge that accepts a server if the user's known_hosts files have its key."""

    def judge(endpoint: Endpoint, name: str, key: HostKey) -> None:
        remedy = f"see its fingerprint and accept it by: python -m remote trust {device}"
        known_hosts.check(known_hosts.read(endpoint.known_hosts), name, key, remedy)

    return judge


def connect(servers: Sequence[Endpoint], judge: Judge) -> list[paramiko.Transport]:
    """Log in to servers, each reached through the one before.

    Returns:
        The connections to them.

    Raises:
        LinkLost: a server cannot be reached now.
        LoginRefused: a server refuses the login.
        DeviceError: a host key cannot be trusted.
    """
    opened: list[paramiko.Transport] = []
    try:
        for server in servers:
            opened.append(shake_hands(server, opened[-1] if opened else None, judge))
            _authenticate(opened[-1], server)
    except BaseException:
        close(opened)
        raise
    return opened


def close(opened: Sequence[paramiko.Transport]) -> None:
    """Close connections, the last one first."""
    for connection in reversed(opened):
        with contextlib.suppress(OSError, EOFError):
            connection.close()


def shake_hands(server: Endpoint, through: paramiko.Transport | None, judge: Judge) -> paramiko.Transport:
    """Connect to a server and check its host key, without logging in.

    Args:
        server: the server's address and settings.
        through: the connection to the server before it; None if there is none.
        judge: checks its host key.

    Raises:
        LinkLost: the server cannot be reached now.
        DeviceError: there is no host of this name, or its key cannot be trusted.
    """
    with _one_line_errors(server):
        connection = paramiko.Transport(_socket(server, through))
    connection.banner_timeout = server.connect_timeout_s
    connection.auth_timeout = AUTH_TIMEOUT_S
    connection.channel_timeout = CHANNEL_TIMEOUT_S
    connection.daemon = True
    name = server.key_name or known_hosts.host_name(server.host, server.port)
    kinds = {entry.key.kind for entry in known_hosts.known(known_hosts.read(server.known_hosts), name)}
    options = connection.get_security_options()
    # A server may have keys of several types: prefer a type for which known_hosts has its key.
    options.key_types = sorted(options.key_types, key=lambda kind: _type_of_key(kind) not in kinds)
    try:
        with _one_line_errors(server):
            connection.start_client(timeout=HANDSHAKE_TIMEOUT_S + server.connect_timeout_s)
        key = connection.get_remote_server_key()
        shown = HostKey(key.get_name(), key.get_base64())
        if server.revoked:
            known_hosts.refuse_revoked(server.revoked, name, shown)
        judge(server, name, shown)
        connection.set_keepalive(KEEPALIVE_S)
    except BaseException:
        connection.close()
        raise
    return connection


def _type_of_key(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _socket(server: Endpoint, through: paramiko.Transport | None) -> Any:
    if through is not None:
        return through.open_channel("direct-tcpip", (server.host, server.port), ("127.0.0.1", 0), timeout=CHANNEL_TIMEOUT_S)
    if server.proxy_command:
        ours, theirs = socket.socketpair()
        # The command ends when our end of the pair is closed.
        with theirs:
            # It is the user's own, and ssh gives it to the user's shell in these words.
            words = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {server.proxy_command}"]
            subprocess.Popen(words, stdin=theirs.fileno(), stdout=theirs.fileno())
        return ours
    connected = socket.create_connection((server.host, server.port), timeout=server.connect_timeout_s)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


@contextlib.contextmanager
def _one_line_errors(server: Endpoint) -> Iterator[None]:
    """Raise an error whose one line says why a server cannot be reached."""
    try:
        yield
    except socket.gaierror as error:
        raise DeviceError(f"{server}: no host of this name: {error.strerror}") from None
    except TimeoutError:
        raise LinkLost(
            f"{server}: no answer within {server.connect_timeout_s:g} s; is it on, and in this network?"
        ) from None
    except ConnectionRefusedError:
        raise LinkLost(f"{server}: connection refused; is an SSH server running there, on this port?") from None
    except paramiko.ChannelException as error:
        raise LinkLost(f"{server}: the server before it cannot reach it: {error.text}") from None
    except paramiko.ssh_exception.IncompatiblePeer as error:
        allow = next(
            (f"; let its sshd_config also allow {usual}" for word, usual in COMMON.items() if word in str(error)), ""
        )
        raise DeviceError(f"{server}: it speaks SSH only in ways that are not known here: {error}{allow}") from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        text = getattr(error, "strerror", None) or " ".join(str(error).split()) or "the connection was closed"
        raise LinkLost(f"{server}: no SSH connection: {text}") from None


def _authenticate(connection: paramiko.Transport, server: Endpoint) -> None:
    """Offer the configured keys, the agent's keys and, on a terminal, a password; store none of these."""
    tried: list[str] = []
    unusable: list[str] = []
    right, wanted = "", []
    for name, key in _keys(server, unusable):
        tried.append(name)
        try:
            wanted = connection.auth_publickey(server.user, key)
            if not wanted:
                return
            right = name
            break
        except (paramiko.SSHException, EOFError, OSError) as error:
            if len(tried) == 1 and (isinstance(error, EOFError | OSError) or not connection.is_active()):
                raise LinkLost(f"{server}: the connection was closed during the login") from None  # no refusal was heard
            if isinstance(error, paramiko.AuthenticationException):
                continue
            why = " ".join(str(error).split()) or "the connection was closed"
            if len(tried) > 1 and not connection.is_active():  # MaxAuthTries
                why = "the server takes no more tries; name its key by IdentityFile in ~/.ssh/config"
            raise LoginRefused(f"{server}: the login failed: {why} (tried: {', '.join(tried)})") from None
    if sys.stdin is not None and sys.stdin.isatty():
        try:
            if not connection.auth_password(server.user, getpass.getpass(f"{server}'s password: ")):
                return
        except (paramiko.SSHException, EOFError, OSError):
            tried.append("a password")
    if right:
        more = "the password was not right" if tried[-1] != right else "which can be typed at a terminal alone"
        raise LoginRefused(f"{server}: permission denied: it takes {right}, and asks for more ({', '.join(wanted)}), {more}")
    if unusable and not tried:
        raise LoginRefused(f"{server}: permission denied: no key can be offered: {'; '.join(unusable)}")
    offered = ", ".join(tried) or "nothing, since there is no key and no agent"
    passed = f"; not offered: {', '.join(unusable)}" if unusable else ""
    raise LoginRefused(
        f"{server}: permission denied (tried: {offered}{passed}); let it know your key: "
        f"ssh-copy-id -p {server.port} {server.user}@{server.host}"
    )


def _keys(server: Endpoint, unusable: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield keys with their names: those that the configuration names first, for a server allows only so many tries.

    Args:
        server: the server.
        unusable: gets what cannot be offered, with the reason.
    """
    held = agent.keys(server.agent)
    locked, offered = [], set()
    for path in server.identities:
        public = agent.public(path)
        name, key = str(path), held.get(public) if public else None
        if key is None:
            try:
                key = paramiko.PKey.from_path(path)
            except TypeError:
                locked.append(path)  # the file has a passphrase
                continue
            except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
                unusable.append(f"{path} {_why_unusable(path, error)}")
                continue
        public = public or key.asbytes()
        if public not in offered:
            offered.add(public)
            yield name, key
    for public, key in held.items() if not server.identities_only else ():
        if public not in offered:
            yield f"the agent's key {key.comment or key.get_name()}", key
    if sys.stdin is None or not sys.stdin.isatty():
        unusable += [f"{path} has a passphrase: type `ssh-add {path}`" for path in locked]
        return
    for path in locked:
        with contextlib.suppress(ValueError, TypeError, OSError, paramiko.SSHException):
            passphrase = getpass.getpass(f"passphrase of {path}: ").encode()
            yield str(path), paramiko.PKey.from_path(path, passphrase)


def _why_unusable(path: Path, error: Exception) -> str:
    """Why the key of a file cannot be offered."""
    try:
        begin = path.read_bytes()[:32]
    except FileNotFoundError:
        return "has a public half alone here, and no agent has the private one"
    except OSError as fault:
        return f"cannot be read: {fault.strerror}"
    if begin.startswith(b"PuTTY-User-Key-File"):
        return f"is a key of PuTTY: type `puttygen {path} -O private-openssh -o NEW`, and name the new file"
    if begin.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return "is the public half of a key: name the private one"
    if isinstance(error, paramiko.pkey.UnknownKeyType):
        return f"is of a kind that is not known here ({error.key_type})"
    return f"is damaged, or no key: see `ssh-keygen -y -f {path}`"
