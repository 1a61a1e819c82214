"""Files and tools of a board."""

import os
import re
import subprocess

# A simulated board says so here: the folder with its /etc, /proc, /sys and /usr.
SIMULATED = os.environ.get("GAITPRESS_SIMULATED_ROOT")
ROOT = SIMULATED or "/"
TOOL_S = 60  # how long a tool of the board may take


def at(*parts):
    """A path of the board."""
    return os.path.join(ROOT, *parts)


def text(path):
    """The text of a file, or "" if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def number(path):
    """The whole number in a file, or None."""
    match = re.match(r"\s*(-?\d+)\s*$", text(path))
    return int(match.group(1)) if match else None


def tool(name):
    """The path of one of the board's tools, or None."""
    for folder in ("usr/sbin", "usr/bin", "sbin", "bin"):
        path = at(folder, name)
        if os.access(path, os.X_OK):
            return path
    return None


def output(argv, answer=""):
    """(exit status, output of a tool); a tool that is missing has status 127, one that hangs 124."""
    if None in argv:
        return 127, "there is no such tool"
    try:
        done = subprocess.run(
            argv, input=answer.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TOOL_S, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, f"it did not answer within {TOOL_S} s"
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def privileged(argv):
    """The words of a command with root's rights that asks for no password."""
    sudo = tool("sudo")
    return [sudo, "-n", *argv] if sudo else argv


def may_be_root():
    """Whether the board's tools can run with root's rights; a user may be allowed them alone."""
    sudo = tool("sudo")
    if not sudo:
        return os.geteuid() == 0
    return any(output([sudo, "-n", *argv])[0] == 0 for argv in (["true"], [tool("nvpmodel") or "nvpmodel", "-q"]))
