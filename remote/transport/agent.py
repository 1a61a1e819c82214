"""The keys of the user's SSH agent, and the public halves by which they are told from those in files."""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH

ANSWER_TIMEOUT_S = 60.0  # some agents ask their user about each key
PRIVATE_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"


def keys(listens: Path | None) -> dict[bytes, AgentKey]:
    """The keys of the agent that listens on a socket, by their public halves; none if no agent answers."""
    if listens is None:
        return {}
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(ANSWER_TIMEOUT_S)
    agent = AgentSSH()
    try:
        connection.connect(str(listens))
        # paramiko's own Agent knows the socket in SSH_AUTH_SOCK alone.
        agent._connect(connection)
    except (OSError, paramiko.SSHException):
        connection.close()
        return {}
    return {key.blob: key for key in agent.get_keys()}


def public(path: Path) -> bytes | None:
    """The public half of the key that a file names, without a passphrase; None if it cannot be read."""
    for file in (path, path.with_name(f"{path.name}.pub")):
        with contextlib.suppress(OSError, IndexError, binascii.Error, paramiko.SSHException):
            content = file.read_bytes()
            if not content.startswith(b"-----"):
                return base64.b64decode(content.split()[1], validate=True)
            if content.startswith(PRIVATE_BEGIN):
                return _public_half(base64.b64decode(b"".join(content.split(b"-----")[2].split())))
    return None


def _public_half(private: bytes) -> bytes:
    """The public half, which OpenSSH's form of a private key has in clear (PROTOCOL.key)."""
    message = paramiko.Message(private)
    message.get_bytes(len(b"openssh-key-v1\0"))
    for _ in ("cipher", "key derivation", "its options"):
        message.get_string()
    message.get_int()
    return message.get_string()
