"""Where a device is and how to log in there, as the user's own SSH configuration has it (ssh_config(5))."""

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
# They become words of a ProxyCommand, so they must not look like an option or like anything else than a name.
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\\@$-]*")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%-]*|[0-9a-fA-F:.]+(%[A-Za-z0-9_.-]+)?")


@dataclass(frozen=True)
class Address:
    """What ``ssh://[user@]host[:port]`` says; the host may be an alias of the configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """An address from its text.

        Raises:
            DeviceError: says what is wrong with it.
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
        # urlsplit makes names small, aliases have their own letters.
        host = parts.netloc.rpartition("@")[2]
        host = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
        if not HOST.fullmatch(host) or (parts.username is not None and not USER.fullmatch(parts.username)):
            raise DeviceError(f"{example}; names are made of letters, digits, dots, - and _")
        return cls(host, parts.username, port)


@dataclass(frozen=True)
class Endpoint:
    """A server to log in to.

    Attributes:
        host, port, user: where and as whom.
        key_name: what known_hosts calls it, if that is not its host and port (HostKeyAlias).
        identities: private keys to offer, those that exist.
        known_hosts: files of known host keys; new ones go to the first.
        connect_timeout_s: how long reaching it may take.
        proxy_command: the words of a command whose streams lead there.
        jumps: servers to go through, first to last.
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
        paths: configuration files, the first one's word goes before the next one's; by default the user's and the machine's.

    Raises:
        DeviceError: a file cannot be understood.
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
    """The lines of a file, with those of the files that it includes in their place."""
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

    # The first value of a keyword counts, so what the address says comes first.
    first = [f"{key} {value}" for key, value in (("Port", address.port), ("User", address.user)) if value]
    found: dict[str, Any] = dict(SSHConfig.from_text("\n".join([*first, "Host *", *lines])).lookup(address.host))
    # Of these two the one that comes first in the configuration counts.
    proxies = [key for key in found if key in ("proxyjump", "proxycommand")]
    proxy = proxies[0] if proxies else None
    jumps: tuple[Endpoint, ...] = ()
    if proxy == "proxyjump" and found[proxy].lower() != "none":
        if depth >= MAX_JUMPS:
            raise DeviceError(f"ProxyJump of {address.host} goes through more than {MAX_JUMPS} servers, or in a circle")
        hops = [Address.parse(f"ssh://{hop.strip().removeprefix('ssh://')}") for hop in found[proxy].split(",")]
        # What `Host *` says of all servers does not lead the one that they go through to itself.
        for hop in hops if hops[0].host != address.host else []:
            jump = _endpoint(lines, hop, depth + 1)
            # Only the first is reached by its own configuration, the others through the one before.
            jumps += (*jump.jumps, replace(jump, jumps=())) if not jumps else (replace(jump, jumps=(), proxy_command=None),)
    command = found.get("proxycommand") if proxy == "proxycommand" else None
    if command:
        command = command.replace("%n", address.host).replace("%%", "%")
    files = shlex.split(found.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
    files += shlex.split(found.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"))
    defaults = [f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa")]
    identities = [Path(file).expanduser() for file in found.get("identityfile", defaults)]
    timeout = found.get("connecttimeout", "none")
    return Endpoint(
        host=found["hostname"],
        port=int(found.get("port", 22)),
        user=found.get("user") or getpass.getuser(),
        key_name=found.get("hostkeyalias"),
        identities=tuple(path for path in identities if path.is_file()),
        known_hosts=tuple(Path(file).expanduser() for file in files if file.lower() != "none"),
        connect_timeout_s=float(timeout) if timeout.isdigit() and int(timeout) else CONNECT_TIMEOUT_S,
        proxy_command=tuple(shlex.split(command)) if command else None,
        jumps=jumps,
    )
