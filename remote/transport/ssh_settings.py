"""The settings that ssh_config(5) has for a host: asked from ssh itself, and read by paramiko only where there is no ssh."""

from __future__ import annotations

import glob
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remote.errors import DeviceError

MACHINE = Path("/etc/ssh/ssh_config")
ASK_TIMEOUT_S = 60.0  # `Match exec` and CanonicalizeHostname may take a while
OTHER_PROGRAM = re.compile(r"usage:|(unknown|invalid|illegal) option", re.IGNORECASE)
MAX_DEPTH = 8  # of files that include files
NAMED = ("all", "host", "originalhost", "user", "localuser")  # the criteria of Match that paramiko reads as ssh does
ALL_HOSTS = "Host *"
INSTALL = "install it here (Debian: openssh-client)"
AS_BYTES: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}  # names of files are bytes
COMMANDS = ("proxycommand", "localcommand", "remotecommand", "knownhostscommand")  # a # in them is the command's


def settings(host: str, user: str | None, port: int | None) -> dict[str, Any]:
    """The settings for a host, by keyword in small letters.

    Args:
        host: a host or an alias, which must not look like an option.
        user, port: those of an address; they go before the configuration's.

    Returns:
        Texts, and a list of them for ``identityfile``; some still have tokens such as %h.

    Raises:
        DeviceError: the configuration is wrong; the message has its file.
    """
    ssh = shutil.which("ssh")
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # ssh does nothing for a user without an entry, as in some containers
        if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
            raise DeviceError(f"this system lists no user with the number {os.getuid()}: set USER to a name") from None
        unlisted = f"it needs an entry for the user {os.getuid()} in /etc/passwd"
        return _read(host, user, port, unlisted if ssh else INSTALL)
    if ssh is None:
        return _read(host, user, port, INSTALL)
    return _asked(ssh, host, user, port, own_home=os.path.realpath(home) == os.path.realpath(Path.home()))


def _asked(ssh: str, host: str, user: str | None, port: int | None, own_home: bool) -> dict[str, Any]:
    words = [ssh, "-G", "-T", *(("-l", user) if user else ()), *(("-p", str(port)) if port else ())]
    with tempfile.TemporaryDirectory(prefix="gaitpress-") as folder:
        copies = _Copies(Path(folder))
        if not own_home:
            # ssh looks for a home folder in the system's list of users, everything else in HOME.
            words += ["-F", str(copies.all())]
        try:
            done = subprocess.run(
                [*words, "--", host],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape", timeout=ASK_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"`ssh -G {host}` did not end within {ASK_TIMEOUT_S:g} s: see Match exec in ~/.ssh/config"
            ) from None
        except OSError as error:
            raise DeviceError(f"{ssh} cannot be run: {error.strerror}") from None
    answered = "\nhostname " in f"\n{done.stdout}"
    if not answered and (done.returncode == 0 or OTHER_PROGRAM.search(done.stderr)):
        return _read(host, user, port, INSTALL)  # it is not OpenSSH's (dropbear), or older than -G (6.8)
    if done.returncode:
        why = copies.named(done.stderr).strip().splitlines()
        raise DeviceError(why[0].strip() if why else f"`ssh -G {host}` ended with status {done.returncode}")
    options: dict[str, Any] = {"identityfile": []}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword == "identityfile":
            options[keyword].append(value)
        else:
            options.setdefault(keyword, value)
    return options


class _Copies:
    """Copies of the configuration for an ssh whose home folder is not HOME: line by line, with HOME in the place of ~.

    The lines of Include name the copies of the files that they mean, so it is ssh that says for which hosts these count.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._of: dict[Path, Path] = {}
        self._home = str(Path.home()).replace("\\", r"\\").replace('"', r"\"")

    def all(self) -> Path:
        """Write the copies; returns the file for `ssh -F`."""
        home = Path.home() / ".ssh"
        own, machine = self._copy(home / "config", home), self._copy(MACHINE, MACHINE.parent)
        known = " ".join(f'"{self._home}/.ssh/{name}"' for name in ("known_hosts", "known_hosts2"))
        whole = self._folder / "config"
        whole.write_text(f'Include "{own}"\nHost *\nInclude "{machine}"\nUserKnownHostsFile {known}\n', **AS_BYTES)
        return whole

    def named(self, text: str) -> str:
        """A message of ssh with the names of the user's own files."""
        for path, copy in self._of.items():
            text = text.replace(str(copy), str(path))
        return text

    def _copy(self, path: Path, base: Path) -> Path:
        """The copy of a file; the file itself if it cannot be read, which ssh says or, if it is missing, passes over."""
        if path not in self._of:
            try:
                text = path.read_text(**AS_BYTES)
            except OSError:
                return path
            self._of[path] = self._folder / f"{len(self._of)}.config"  # before what it includes: that may be itself
            self._of[path].write_text("\n".join(self._line(line, path, base) for line in text.split("\n")), **AS_BYTES)
        return self._of[path]

    def _line(self, line: str, path: Path, base: Path) -> str:
        keyword, value = _split(line)
        if keyword == "include" and value:
            copies = " ".join(f'"{self._copy(included, base)}"' for included in _included(value, path, base))
            return f"Include {copies}" if copies else ""
        if keyword == "match" or keyword in COMMANDS:  # a shell reads them, and goes by HOME
            return line
        line = re.sub(r"(?<=[\s=])~/(\S*)", lambda path: f'"{self._home}/{path[1]}"', line)
        return line.replace('"~/', f'"{self._home}/')


def _lines(path: Path, base: Path, depth: int, remedy: str, outer: str = ALL_HOSTS) -> Iterator[str]:
    """Yield the lines of a file; the lines of an included file take the place of its Include, in the block ``outer``.

    Raises:
        DeviceError: a block lies within a block that is not of all hosts.
    """
    try:
        text = path.read_text(**AS_BYTES)
    except OSError:
        return
    block = outer
    for line in text.splitlines():
        keyword, value = _split(line)
        if keyword == "include" and depth < MAX_DEPTH:
            for included in _included(value, path, base):
                yield from _lines(included, base, depth + 1, remedy, block)
            yield block  # a block that begins in an included file ends with it
            continue
        if keyword in ("host", "match"):
            if not re.fullmatch(r"(host \*|match all)( #.*)?", " ".join(_split(outer))):
                raise _for_ssh_alone(path, f"{line.strip()} within {outer.strip()}", remedy)
            block = line
        yield line


def _included(value: str, path: Path, base: Path) -> list[Path]:
    """The files that an Include of the file ``path`` means."""
    patterns = (Path(base, os.path.expanduser(word)) for word in _words(value, path))
    return [Path(file) for pattern in patterns for file in sorted(glob.glob(str(pattern)))]


def _words(value: str, path: Path) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError as error:
        raise DeviceError(f"{path}: Include {value}: {error}") from None


def _split(line: str) -> tuple[str, str]:
    """The keyword of a line, in small letters, and its value."""
    keyword, _, value = re.sub(r"[\s=]+", " ", line.strip(), count=1).partition(" ")
    return keyword.lower(), value


def _read(host: str, user: str | None, port: int | None, remedy: str) -> dict[str, Any]:
    from paramiko import SSHConfig, SSHException

    own = Path.home() / ".ssh/config"
    # The first value of a keyword counts, so the values of the address come first.
    lines = [f"{key} {value}" for key, value in (("Port", port), ("User", user)) if value]
    try:
        for path in (own, MACHINE):
            lines += ["Host *", *(_plain(line, path, remedy) for line in _lines(path, path.parent, 0, remedy))]
        options = dict(SSHConfig.from_text("\n".join(lines)).lookup(host))
    except (SSHException, ValueError) as error:
        raise DeviceError(f"{own}: {' '.join(str(error).split())}") from None
    # The first of these two in the configuration counts, except `ProxyJump none`.
    proxies = [key for key in options if key in ("proxyjump", "proxycommand")]
    if proxies != ["proxyjump", "proxycommand"] or options["proxyjump"].lower() != "none":
        options = {key: value for key, value in options.items() if key not in proxies[1:]}
    return options


def _plain(line: str, path: Path, remedy: str) -> str:
    """A line without its comment.

    Raises:
        DeviceError: paramiko would read the line in another way than ssh.
    """
    keyword, value = _split(line)
    if keyword and not keyword.startswith("#") and keyword not in COMMANDS:
        line = re.match(r'(?:"[^"]*"|(?<!\s)#|[^"#]|"(?!.*"))*', line)[0].rstrip()  # type: ignore[index]
    criteria = [word.lower() for word in value.split()]
    strange = keyword == "match" and (criteria[:1] != ["all"] and any(word not in NAMED for word in criteria[::2]))
    if strange or (keyword == "canonicalizehostname" and criteria[:1] != ["no"]):
        raise _for_ssh_alone(path, line.strip(), remedy)
    return line


def _for_ssh_alone(path: Path, line: str, remedy: str) -> DeviceError:
    return DeviceError(f"{path}: {line!r} is understood by ssh alone: {remedy}")
