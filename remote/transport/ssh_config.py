"""Find a device's address and how to log in there, by the user's own SSH configuration (ssh_config(5))."""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from remote.errors import DeviceError

CONNECT_TIMEOUT_S = 15.0
MAX_JUMPS = 8
# Users and hosts become words of a ProxyCommand, so they must look like names, and never like options.
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\\@$-]*")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%-]*|[0-9a-fA-F:.]+(%[A-Za-z0-9_.-]+)?")


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
            raise DeviceError(f"{example}; names are made of letters, digits, dots, - and _")
        return cls(host, parts.username, port)


@dataclass(frozen=True)
class Endpoint:
    """A server to log in to.

    Attributes:
        host, port, user: its host and port, and the user there.
        key_name: its name in known_hosts, if that is not its host and port (HostKeyAlias).
        identities: the private keys to offer, of those that exist.
        known_hosts: the files of known host keys; new ones go to the first.
        connect_timeout_s: how long connecting may take.
        proxy_command: the words of a command whose streams lead there.
        jumps: the servers to go through, first to last.
    """

    host: str
    port: int
    user: str
    key_name: str | None
    identities: tuple[Path, ...]
    known_hosts: tuple[Path, ...]
    connect_timeout_s: float
    proxy_command: tuple[str, ...] | None
    jumps: tuple[Endpoint, ...]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def resolve(address: Address, paths: tuple[Path, ...] | None = None) -> Endpoint:
    """The server that an address means.

    Args:
        address: from devices.yaml.
        paths: configuration files; an earlier one goes before a later one; by default the user's and the machine's.

    Raises:
        DeviceError: a file is not a valid configuration.
    """
    from paramiko import SSHException

    if paths is None:
        paths = (Path.home() / ".ssh/config", Path("/etc/ssh/ssh_config"))
    lines = [line for path in paths for line in [*_lines(path, Path.home() / ".ssh", 0), "Host *"]]
    try:
        return _endpoint(lines, address, 0)
    except (SSHException, ValueError) as error:
        raise DeviceError(f"{paths[0]}: {' '.join(str(error).split())}") from None


def _lines(path: Path, base: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a file; the lines of an included file take the place of its Include."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    block = "Host *"
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        keyword = words[0].lower() if words else ""
        if keyword == "include" and len(words) == 2 and depth < MAX_JUMPS:
            for pattern in shlex.split(words[1]):
                full = Path(pattern).expanduser()
                full = full if full.is_absolute() else base / full
                for included in sorted(Path(full.anchor).glob(str(full.relative_to(full.anchor)))):
                    yield from _lines(included, base, depth + 1)
            yield block  # a block that begins in an included file ends with it
            continue
        if keyword in ("host", "match"):
            block = line
        yield line


def _endpoint(lines: list[str], address: Address, depth: int) -> Endpoint:
    from paramiko import SSHConfig

    # The first value of a keyword counts, so the values of the address come first.
    first = [f"{key} {value}" for key, value in (("Port", address.port), ("User", address.user)) if value]
    settings: dict[str, Any] = dict(SSHConfig.from_text("\n".join([*first, "Host *", *lines])).lookup(address.host))
    # The first of these two in the configuration counts.
    proxies = [key for key in settings if key in ("proxyjump", "proxycommand")]
    proxy = proxies[0] if proxies else None
    jumps: tuple[Endpoint, ...] = ()
    if proxy == "proxyjump" and settings[proxy].lower() != "none":
        if depth >= MAX_JUMPS:
            raise DeviceError(f"ProxyJump of {address.host} goes through more than {MAX_JUMPS} servers, or in a circle")
        hops = [Address.parse(f"ssh://{hop.strip().removeprefix('ssh://')}") for hop in settings[proxy].split(",")]
        # A jump in `Host *` is for all servers, but the jump server itself must not go through itself.
        for hop in hops if hops[0].host != address.host else []:
            jump = _endpoint(lines, hop, depth + 1)
            # The way to the first server is in its own configuration; each other one is reached through the one before.
            jumps += (*jump.jumps, replace(jump, jumps=())) if not jumps else (replace(jump, jumps=(), proxy_command=None),)
    command = settings.get("proxycommand") if proxy == "proxycommand" else None
    if command:
        command = command.replace("%n", address.host).replace("%%", "%")
    files = shlex.split(settings.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
    files += shlex.split(settings.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"))
    defaults = [f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa")]
    identities = [Path(file).expanduser() for file in settings.get("identityfile", defaults)]
    timeout = settings.get("connecttimeout", "none")
    return Endpoint(
        host=settings["hostname"],
        port=int(settings.get("port", 22)),
        user=settings.get("user") or getpass.getuser(),
        key_name=settings.get("hostkeyalias"),
        identities=tuple(path for path in identities if path.is_file()),
        known_hosts=tuple(Path(file).expanduser() for file in files if file.lower() != "none"),
        connect_timeout_s=float(timeout) if timeout.isdigit() and int(timeout) else CONNECT_TIMEOUT_S,
        proxy_command=tuple(shlex.split(command)) if command else None,
        jumps=jumps,
    )
