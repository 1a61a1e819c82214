"""Why a Python of a device cannot import what a runtime needs, and what to type there."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Sequence

from remote.errors import DeviceError
from remote.transport import Transport

# Each line goes out before the import that may end the process. The first is about the Python and its machine.
TRY = """
import json, os, platform, sys
try:
    from importlib.metadata import version
except ImportError:
    def version(name):
        raise LookupError
def say(*values):
    print(json.dumps(values), flush=True)
try:
    with open(os.environ.get("GAITPRESS_SIMULATED_ROOT", "") + "/proc/device-tree/model", errors="replace") as file:
        machine = file.read().strip("\\0\\n ")
except OSError:
    machine = ""
say(os.path.expanduser("~"), machine or platform.machine())
for name in sys.argv[1:]:
    try:
        number = version(name)
    except Exception:
        number = ""
    say(name, number)
    __import__(name)
"""
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE}
# Debian's and Ubuntu's packages of libraries that wheels take for granted.
SYSTEM = {
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libatomic.so.1": "libatomic1",
    "libgfortran.so.5": "libgfortran5",
    "libopenblas.so.0": "libopenblas0",
    "libnuma.so.1": "libnuma1",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
}


def try_out(link: Transport, python: str, packages: Sequence[str]) -> None:
    """Import the packages with a Python of the device, as it will be done.

    Args:
        link: the way to the device.
        python: a Python there.
        packages: by the names that both pip and ``import`` know.

    Raises:
        DeviceError: the Python is not there or cannot import a package; the message says which, why, and what to type.
    """
    done = link.run([python, "-c", TRY, *packages], repeatable=True)
    if not done.code:
        return
    said = [json.loads(line) for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("[")]
    last = _last(done.stderr)
    if len(said) < 2:
        raise DeviceError(f"{link.name}: {python} cannot be used: {last}")
    (home, machine), (package, version) = said[0], said[-1]
    own = python.removesuffix("/bin/python") if python.startswith(f"{link.home}/") else None
    another = _another(link, python, own, home, packages)
    if own is None and "No module named" in last and package in last:
        install = another.format(" ".join(packages))
        raise DeviceError(f"{link.name}: {python} cannot be used: it has no {package} ({last}); there: {install}")
    why, remedy = _explained(-done.code, last, machine, package, version, another, own)
    raise DeviceError(f"{link.name}: {python} cannot be used: {' '.join([package, version]).strip()} {why}; {remedy}")


def _explained(
    number: int, last: str, machine: str, package: str, version: str, another: str, own: str | None
) -> tuple[str, str]:
    """Why an import failed, and what to do."""
    older = another.format(f"'{package}<{'.'.join(version.split('.')[:2])}'" if version else f"an older {package}")
    if number == signal.SIGILL:
        why = f"stops at an instruction that this {machine} does not have (SIGILL): it was made for newer processors"
        return why, f"take an older one, {older}; or another runtime (--runtime of `python -m remote add`)"
    if number == signal.SIGKILL:
        return (
            "was killed while it was imported (signal 9), most likely because memory ran out",
            "end other programs there, or give it swap",
        )
    anew = f"remove {own} there, and the next job installs it anew" if own else "install it anew there"
    if number in CRASHES:
        why = f"crashes when it is imported ({signal.Signals(number).name})"
        return why, f"its files may be damaged: {anew}; if it crashes again, take an older one, {older}"
    if "failed to map segment from shared object" in last:
        why = f"cannot be loaded: no program may run from its disk (mount option noexec; {last})"
        return why, "name a Python on another disk by the option python"
    if match := re.search(r"(\S+\.so[.\d]*): cannot open shared object file", last):
        debian = SYSTEM.get(match[1])
        how = f"sudo apt install {debian}" if debian else f"install the system's package that has {match[1]}"
        return f"cannot be imported: this system lacks {match[1]} ({last})", how
    if re.search(r"version `(GLIBC|GLIBCXX|CXXABI)_[\d.]+' not found", last):
        return f"was made for a newer system ({last})", f"take an older one, {older}"
    return f"cannot be imported: {last}", f"{anew}, for its files may be damaged"


def _another(link: Transport, python: str, own: str | None, home: str, packages: Sequence[str]) -> str:
    """The command that gives a device another version, with {} for it, and what to do then."""
    if own is None:
        return f"`{python} -m pip install {{}}`"
    # Not into our own environment, which is removed and made anew as we need.
    place, others = f"{home}/gaitpress-python", " ".join(packages[:-1])
    make = f"`python3 -m venv {place} && {place}/bin/pip install {others} {{}}` there"
    return f"{make} and python: {place}/bin/python under options of {link.name} in devices.yaml"


def _last(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return (errors or lines or ["it said nothing"])[-1]
