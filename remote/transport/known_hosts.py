"""Read and add host keys in the user's known_hosts files, in OpenSSH's format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from remote.errors import DeviceError, HostKeyRefused

KRL_BEGIN = b"SSHKRL\n"


@dataclass(frozen=True)
class HostKey:
    """A public key of a server.

    Attributes:
        kind: its type, such as ssh-ed25519.
        blob: its content, in base 64.
    """

    kind: str
    blob: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ``ssh-keygen -l`` shows it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True)
class Entry:
    """A line of a known_hosts file."""

    marker: str
    patterns: str
    key: HostKey
    path: Path
    line: int

    def names(self, host: str) -> bool:
        """Whether the line is about a host, whose name is as ``host_name`` writes it."""
        if self.patterns.startswith("|1|"):
            return _hashes(self.patterns, host)
        listed = self.patterns.lower().split(",")
        if any(_matches(pattern[1:], host) for pattern in listed if pattern.startswith("!")):
            return False
        return any(_matches(pattern, host) for pattern in listed)


def host_name(host: str, port: int) -> str:
    """The name of a server in known_hosts: ``host``, or ``[host]:port`` for other ports than 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def read(paths: Iterable[Path]) -> list[Entry]:
    """The readable lines of the files; missing files have none."""
    entries = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            if entry := _entry(line, path, number):
                entries.append(entry)
    return entries


def known(entries: Iterable[Entry], host: str) -> list[Entry]:
    """The lines with a key that a host may show, without revoked keys."""
    entries = list(entries)
    revoked = {entry.key for entry in entries if entry.marker == "@revoked"}
    return [entry for entry in entries if not entry.marker and entry.names(host) and entry.key not in revoked]


def check(entries: Sequence[Entry], host: str, key: HostKey, remedy: str) -> None:
    """Refuse a server whose key is not known.

    Args:
        entries: the lines of the files.
        host: the server, as ``host_name`` writes it.
        key: the key that it showed.
        remedy: the command that makes the key known.

    Raises:
        HostKeyRefused: the key is new, changed or revoked; the message says which.
    """
    if any(entry.marker == "@revoked" and entry.key == key for entry in entries):
        raise HostKeyRefused(f"HOST KEY REVOKED: {host} shows the key {key.fingerprint}, which is marked @revoked")
    listed = known(entries, host)
    if any(entry.key == key for entry in listed):
        return
    if listed:
        old = listed[0]
        raise HostKeyRefused(
            f"HOST KEY CHANGED: {host} shows the key {key.fingerprint} ({key.kind}), but {old.path} line {old.line} has "
            f"{old.key.fingerprint}: somebody may be listening in. If the device was set up anew: "
            f"ssh-keygen -f {old.path} -R '{host}', then {remedy}"
        )
    raise HostKeyRefused(f"the host key of {host} is not known ({key.kind} {key.fingerprint}); {remedy}")


def refuse_revoked(path: Path, host: str, key: HostKey) -> None:
    """Refuse a server whose key is in the file of RevokedHostKeys.

    Raises:
        HostKeyRefused: it is, or the file cannot be read; then ssh refuses all keys too.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HostKeyRefused(f"{host}: RevokedHostKeys {path} cannot be read: {error.strerror}") from None
    if content.startswith(KRL_BEGIN):
        raise HostKeyRefused(
            f"{host}: RevokedHostKeys {path} is a binary list, which is not read here: list the keys as text"
        )
    if any(line.split()[:2] == [key.kind.encode(), key.blob.encode()] for line in content.splitlines()):
        raise HostKeyRefused(f"HOST KEY REVOKED: {host} shows the key {key.fingerprint}, which is in {path}")


def pin(path: Path, host: str, key: HostKey) -> None:
    """Add a key to a known_hosts file; the other lines stay."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        unfinished = size and file.read(1) != b"\n"
        file.write(f"{chr(10) if unfinished else ''}{host} {key.kind} {key.blob}\n".encode())


def _entry(line: str, path: Path, number: int) -> Entry | None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Entry(marker, words[0], HostKey(words[1], words[2]), path, number)


def _hashes(hashed: str, host: str) -> bool:
    try:
        _, _, salt, digest = hashed.split("|")
        expected = hmac.new(base64.b64decode(salt), host.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(expected, base64.b64decode(digest))
    except (binascii.Error, ValueError):
        return False


def _matches(pattern: str, host: str) -> bool:
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(sign) or re.escape(sign) for sign in pattern), host) is not None
