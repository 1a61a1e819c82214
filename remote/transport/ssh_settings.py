"""The settings that ssh_config(5) has for a host: asked from ssh itself, and read by paramiko only where there is no ssh."""

from __future__ import annotations

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
        ssh = home = None
        if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
            raise DeviceError(f"this system lists no user with the number {os.getuid()}: set USER to a name") from None
    if ssh is None or home is None:
        return _read(host, user, port)
    return _asked(ssh, host, user, port, own_home=os.path.realpath(home) == os.path.realpath(Path.home()))


def _asked(ssh: str, host: str, user: str | None, port: int | None, own_home: bool) -> dict[str, Any]:
    words = [ssh, "-G", "-T", *(("-l", user) if user else ()), *(("-p", str(port)) if port else ())]
    with tempfile.TemporaryDirectory(prefix="gaitpress-") as folder:
        written = Path(folder) / "config"
        if not own_home:
            # ssh looks for a home folder in the system's list of users, everything else in HOME.
            written.write_text(_at_home(), encoding="utf-8")
            words += ["-F", str(written)]
        try:
            done = subprocess.run(
                [*words, "--", host],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=ASK_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"`ssh -G {host}` did not end within {ASK_TIMEOUT_S:g} s: see Match exec in ~/.ssh/config"
            ) from None
        except OSError as error:
            raise DeviceError(f"{ssh} cannot be run: {error.strerror}") from None
    answered = "\nhostname " in f"\n{done.stdout}"
    if not answered and (done.returncode == 0 or OTHER_PROGRAM.search(done.stderr)):
        return _read(host, user, port)  # it is not OpenSSH's (dropbear), or older than -G (6.8)
    if done.returncode:
        why = done.stderr.replace(str(written), str(Path.home() / ".ssh/config")).strip().splitlines()
        raise DeviceError(why[0].strip() if why else f"`ssh -G {host}` ended with status {done.returncode}")
    found: dict[str, Any] = {"identityfile": []}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword == "identityfile":
            found[keyword].append(value)
        else:
            found.setdefault(keyword, value)
    return found


def _at_home() -> str:
    """The configuration with HOME as the home folder, as a file for `ssh -F`."""
    home = Path.home()
    text = "\n".join(_lines(home / ".ssh/config", home / ".ssh", 0))
    text = re.sub(r'(?<=[\s="])~(?=/)', str(home).replace("\\", r"\\"), text)
    known = " ".join(f'"{home}/.ssh/{name}"' for name in ("known_hosts", "known_hosts2"))
    return f"{text}\nHost *\nInclude {MACHINE}\nUserKnownHostsFile {known}\n"


def _lines(path: Path, base: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a file; the lines of an included file take the place of its Include."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    block = "Host *"
    for line in text.splitlines():
        keyword, value = _split(line)
        if keyword == "include" and depth < MAX_DEPTH:
            for pattern in _words(value, path):
                full = Path(pattern).expanduser()
                full = full if full.is_absolute() else base / full
                for included in sorted(Path(full.anchor).glob(str(full.relative_to(full.anchor)))):
                    yield from _lines(included, base, depth + 1)
            yield block  # a block that begins in an included file ends with it
            continue
        if keyword in ("host", "match"):
            block = line
        yield line


def _words(value: str, path: Path) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError as error:
        raise DeviceError(f"{path}: Include {value}: {error}") from None


def _split(line: str) -> tuple[str, str]:
    """The keyword of a line, in small letters, and its value."""
    keyword, _, value = re.sub(r"[\s=]+", " ", line.strip(), count=1).partition(" ")
    return keyword.lower(), value


def _read(host: str, user: str | None, port: int | None) -> dict[str, Any]:
    from paramiko import SSHConfig, SSHException

    own = Path.home() / ".ssh/config"
    # The first value of a keyword counts, so the values of the address come first.
    lines = [f"{key} {value}" for key, value in (("Port", port), ("User", user)) if value]
    try:
        for path in (own, MACHINE):
            lines += ["Host *", *(_plain(line, path) for line in _lines(path, path.parent, 0))]
        found = dict(SSHConfig.from_text("\n".join(lines)).lookup(host))
    except (SSHException, ValueError) as error:
        raise DeviceError(f"{own}: {' '.join(str(error).split())}") from None
    # The first of these two in the configuration counts, except `ProxyJump none`.
    proxies = [key for key in found if key in ("proxyjump", "proxycommand")]
    if proxies != ["proxyjump", "proxycommand"] or found["proxyjump"].lower() != "none":
        found = {key: value for key, value in found.items() if key not in proxies[1:]}
    return found


def _plain(line: str, path: Path) -> str:
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
        raise DeviceError(f"{path}: {line.strip()!r} is understood by ssh alone: install it here (Debian: openssh-client)")
    return line
