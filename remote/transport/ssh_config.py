"""Find a device's address and how to log in there, by the user's own SSH configuration (ssh_config(5))."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from remote.errors import DeviceError
from remote.transport.ssh_settings import settings

CONNECT_TIMEOUT_S = 15.0
MAX_JUMPS = 8
# Users and hosts become words of ssh and of a ProxyCommand, which a shell reads: they look like names, never like options.
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%-]*|[0-9a-fA-F:.]+(%[A-Za-z0-9_.-]+)?")
# What ssh prints anyway, for where it is not.
KNOWN_HOSTS = {
    "userknownhostsfile": "~/.ssh/known_hosts ~/.ssh/known_hosts2",
    "globalknownhostsfile": "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",
}
IDENTITIES = tuple(f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))


@dataclass(frozen=True)
class Address:
    """The parts of ``ssh://[user@]host[:port]``; the host may be an alias of the configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            DeviceError: the address is wrong; the message says why.
        """
        example = "must be ssh://user@host:port, or ssh:// and an alias of ~/.ssh/config"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise DeviceError(f"{error}; {example}") from None
        if (
            text != text.strip()
            or parts.scheme != "ssh"
            or parts.path.strip("/")
            or parts.query
            or parts.fragment
            or not parts.hostname
        ):
            raise DeviceError(example)
        if parts.password is not None:
            raise DeviceError("a password does not belong here: use a key, or type it when asked")
        # urlsplit turns the host to small letters, but an alias may have capital ones.
        host = parts.netloc.rpartition("@")[2]
        host = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
        if not HOST.fullmatch(host) or (parts.username is not None and not USER.fullmatch(parts.username)):
            raise DeviceError(f"{example}; names are made of letters, digits, dots, - and _ (others: User in ~/.ssh/config)")
        return cls(host, parts.username, port)


@dataclass(frozen=True)
class Endpoint:
    """A server to log in to.

    Attributes:
        host, port, user: its host and port, and the user there.
        key_name: its name in known_hosts, if that is not its host and port (HostKeyAlias).
        identities: the files of the keys to offer, private or public, of those that exist.
        identities_only: whether no other key of the agent is offered.
        agent: the socket of the agent that holds keys; None if there is none.
        known_hosts: the files of known host keys.
        revoked: a file of host keys that count no more; None if there is none.
        new_hosts: the user's own of these, which new keys go to; None if there is none.
        connect_timeout_s: how long connecting may take.
        proxy_command: a command for the user's shell, whose streams lead there.
        jumps: the servers to go through, first to last.
    """

    host: str
    port: int
    user: str
    key_name: str | None
    identities: tuple[Path, ...]
    identities_only: bool
    agent: Path | None
    known_hosts: tuple[Path, ...]
    revoked: Path | None
    new_hosts: Path | None
    connect_timeout_s: float
    proxy_command: str | None
    jumps: tuple[Endpoint, ...]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def resolve(address: Address) -> Endpoint:
    """The server that an address means, by the configuration of the user and of this machine.

    Raises:
        DeviceError: the configuration is not valid.
    """
    return _endpoint(address, 0)


def _endpoint(address: Address, depth: int) -> Endpoint:
    options = settings(address.host, address.user, address.port)
    host, port = options["hostname"], int(options.get("port", 22))
    user, key_name = options.get("user") or getpass.getuser(), options.get("hostkeyalias")
    ours = socket.gethostname()
    way = {"h": host, "n": address.host, "p": str(port), "r": user, "%": "%"}
    tokens = way | {
        "d": str(Path.home()), "i": str(os.getuid()), "k": key_name or address.host,
        "l": ours, "L": ours.partition(".")[0], "u": getpass.getuser(),
    }  # fmt: skip
    own, others = (
        tuple(_path(file, tokens) for file in _files(options.get(keyword, usual)) if file.lower() != "none")
        for keyword, usual in KNOWN_HOSTS.items()
    )
    timeout = options.get("connecttimeout", "none")
    command, revoked = options.get("proxycommand"), options.get("revokedhostkeys", "none")
    return Endpoint(
        host=host,
        port=port,
        user=user,
        key_name=key_name,
        identities=tuple(
            path
            for path in (_path(file, tokens) for file in options.get("identityfile") or IDENTITIES)
            if path.is_file() or path.with_name(f"{path.name}.pub").is_file()
        ),
        identities_only=options.get("identitiesonly", "no").lower() == "yes",
        agent=_agent(options.get("identityagent", "SSH_AUTH_SOCK"), tokens),
        known_hosts=own + others,
        revoked=_path(revoked, tokens) if revoked.lower() != "none" else None,
        new_hosts=own[0] if own else None,
        connect_timeout_s=float(timeout) if timeout.isdigit() and int(timeout) else CONNECT_TIMEOUT_S,
        proxy_command=_expanded(command, way) if command and command.lower() != "none" else None,
        jumps=_jumps(_expanded(options.get("proxyjump", "none"), way), address, depth),
    )


def _jumps(servers: str, address: Address, depth: int) -> tuple[Endpoint, ...]:
    if servers.lower() == "none":
        return ()
    if depth >= MAX_JUMPS:
        raise DeviceError(f"ProxyJump of {address.host} goes through more than {MAX_JUMPS} servers, or in a circle")
    try:
        hops = [Address.parse(f"ssh://{hop.strip().removeprefix('ssh://')}") for hop in servers.split(",")]
    except DeviceError as error:
        raise DeviceError(f"ProxyJump {servers} of {address.host}: {error}") from None
    first, *others = (_endpoint(hop, depth + 1) for hop in hops)
    # The way to the first server is in its own configuration; each other one is reached through the one before.
    return (
        *first.jumps,
        replace(first, jumps=()),
        *(replace(other, jumps=(), proxy_command=None) for other in others),
    )


def _agent(named: str, tokens: Mapping[str, str]) -> Path | None:
    """The socket that IdentityAgent names: a path, ``none``, or a variable that holds a path."""
    if named == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", named):
        path = os.environ.get(named.removeprefix("$"), "")
        return Path(path) if path else None
    return None if named.lower() == "none" else _path(named, tokens)


def _files(listed: str) -> list[str]:
    """The files in a list; ssh prints names with spaces without quotes."""
    files: list[str] = []
    for word in shlex.split(listed) if '"' in listed else listed.split():
        if files and not word.startswith(("/", "~", "%", "$")) and word.lower() != "none":
            files[-1] += f" {word}"
        else:
            files.append(word)
    return files


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    """A file by its name in the configuration.

    Raises:
        DeviceError: it names an environment variable that is not set, or the home of a user who is not there.
    """

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise DeviceError(f"~/.ssh/config has {text}, but the environment has no {match[1]}")
        return os.environ[match[1]]

    path = os.path.expanduser(re.sub(r"\$\{(\w+)\}", variable, _expanded(text, tokens)))
    if path.startswith("~"):
        raise DeviceError(f"~/.ssh/config has {text}, but this system lists no user {path[1:].partition('/')[0]}")
    return Path(path)


def _expanded(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)
