"""Find or make a Python with a runtime's packages on a device: its entry names one, or we install an environment there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from remote.errors import DeviceError
from remote.python.imports import try_out
from remote.transport import Transport

CANDIDATES = ("python3", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9", "python3.8")
OLDEST = (3, 8)
# The script by which a Python describes itself; we may not be able to use that Python.
ABOUT = """
import json, platform, sys
try:
    import ensurepip, venv
    venvs = True
except ImportError:
    venvs = False
about = {"version": list(sys.version_info[:2]), "implementation": sys.implementation.name, "venvs": venvs}
about["wide"] = sys.maxsize > 2**32  # the processor and the kernel of a 32-bit Python may have 64 bits
about.update(arch=platform.machine(), libc=list(platform.libc_ver()))
print(json.dumps(about))
"""
# Succeeds if the environment is there and fits the Python that it would run with: systems get upgraded.
THERE = """
place=$1; shift
version=$("$place/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null | tail -n 1)
[ -n "$version" ] || exit 1
for package in "$@"; do [ -d "$place/lib/python$version/site-packages/$package" ] || exit 1; done
"""


def interpreter(link: Transport, options: Mapping[str, Any], packages: Sequence[str], folder: str) -> str:
    """The path of a Python on the device that has the packages; install them there if need be.

    Args:
        link: the way to the device.
        options: the device's options. If ``python`` names an interpreter, this does not check it: its first script will
            fail if it lacks the packages.
        packages: the packages by the names that both pip and ``import`` know; the last is the runtime's.
        folder: the folder of our own environment with them.

    Raises:
        DeviceError: there is no fitting Python, or the packages cannot be installed; the message says what to do.
    """
    if "python" in options:
        return str(options["python"])
    if link.python == sys.executable:
        return link.python
    place = environment(link, folder)
    if not is_there(link, packages, folder):
        about = suitable(link, packages)
        print(f"{link.name}: installing {' and '.join(packages)} into {place} there; once", file=sys.stderr, flush=True)
        _install(link, about, place, packages)
    return f"{place}/bin/python"


def environment(link: Transport, folder: str) -> str:
    """The path of our own environment on a device."""
    return f"{link.home}/{folder}"


def is_there(link: Transport, packages: Sequence[str], folder: str) -> bool:
    """Whether our own environment is on a device and fits its Python."""
    return link.run(["sh", "-c", THERE, "sh", environment(link, folder), *packages], repeatable=True).code == 0


def suitable(link: Transport, packages: Sequence[str]) -> dict[str, Any]:
    """The description of the first Python of the device for which the packages can be installed.

    Raises:
        DeviceError: there is none; the message lists the others.
    """
    rejected = []
    script = 'for python in "$@"; do printf "%s\\t" "$python"; "$python" -c "$about" 2>/dev/null || echo; done'
    done = link.run(["sh", "-c", script, "sh", *CANDIDATES], env={"about": ABOUT}, repeatable=True)
    name = ""
    for line in done.stdout.decode(errors="replace").splitlines():
        before, tab, text = line.rpartition("\t")
        name = before if tab else name
        try:
            about = {"name": name, **json.loads(text)}
        except (ValueError, TypeError):
            continue  # such as the words of a Python that greets
        version = ".".join(map(str, about["version"]))
        if tuple(about["version"]) < OLDEST:
            rejected.append(f"{name} is {version}")
        elif not about["wide"]:
            rejected.append(f"{name} ({version}) is a program of 32 bits, which the packages are not made for")
        elif not about["venvs"]:
            rejected.append(f"{name} ({version}) has no venv module: sudo apt install python{version}-venv")
        else:
            return about
    there = "; ".join(rejected) or "there is none"
    raise DeviceError(
        f"{link.name}: {packages[-1]} needs a 64-bit Python of 3.8 or later there ({there}); "
        f"install one, or name one that has {' and '.join(packages)} with the option python"
    )


def wheel_tags(about: Mapping[str, Any]) -> list[str]:
    """The options of ``pip download`` that choose wheels for a Python on another machine.

    Raises:
        DeviceError: there are no wheels for such a machine.
    """
    kind, version = about["libc"]
    match = re.match(r"2\.(\d+)", version)
    if kind != "glibc" or not match or about["implementation"] != "cpython":
        raise DeviceError(f"there are no ready packages for {about['implementation']} on {kind or 'this libc'} {version}")
    arch, number = about["arch"], "".join(map(str, about["version"]))
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in range(int(match[1]), 16, -1)]
    platforms += [f"manylinux2014_{arch}", f"manylinux2010_{arch}", f"manylinux1_{arch}", f"linux_{arch}"]
    tags = [word for platform in platforms for word in ("--platform", platform)]
    abis = [word for abi in (f"cp{number}", "abi3", "none") for word in ("--abi", abi)]
    return [
        "--implementation",
        "cp",
        "--python-version",
        number[0] + "." + number[1:],
        *abis,
        *tags,
        "--only-binary",
        ":all:",
    ]


def _install(link: Transport, about: Mapping[str, Any], place: str, packages: Sequence[str]) -> None:
    partial = f"{link.scratch}/python"
    python = f"{partial}/bin/python"
    # The environment gets its name when it is whole. After the move its Python still works, but not its scripts.
    done = link.run([about["name"], "-m", "venv", "--clear", partial])
    if done.code:
        raise DeviceError(f"{link.name}: no environment can be made there: {_last(done.stderr or done.stdout)}")
    put(link, about, python, packages)
    link.run(["sync"])  # a board that loses its power now must not have the name without the files
    link.run(["rm", "-rf", "--", place])  # an environment of a Python that is gone
    link.run(["mv", "-T", "-n", "--", partial, place])
    try_out(link, f"{place}/bin/python", packages)


def put(link: Transport, about: Mapping[str, Any], python: str, packages: Sequence[str]) -> None:
    """Install packages into an environment of ours on a device: by its own network, else with wheels from here.

    Args:
        link: the way to the device.
        about: what ``ABOUT`` says of a Python there of the same version.
        python: the environment's Python.
        packages: as pip takes them.

    Raises:
        DeviceError: neither does; the message says why.
    """
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:"]
    # The pip of an older system knows no newer names of platforms: it would refuse the packages, or find an old version.
    network = ["--retries", "1", "--timeout", "10"]
    direct = link.run([*pip, *network, "--upgrade", "pip"])
    if not direct.code:
        direct = link.run([*pip, *network, *packages])
    if direct.code:
        why = _last(direct.stderr)
        print(f"{link.name}: its own pip could not: {why}; sending the packages from here", file=sys.stderr, flush=True)
        wheels = f"{link.scratch}/wheels"
        with tempfile.TemporaryDirectory() as folder:
            for wheel in _download(link.name, about, ["pip", *packages], Path(folder), why):
                link.send(wheel, f"{wheels}/{wheel.name}")
        link.run([*pip, "--no-index", "--find-links", wheels, "--upgrade", "pip"])
        sent = link.run([*pip, "--no-index", "--find-links", wheels, *packages])
        if sent.code:
            raise DeviceError(f"{link.name}: the packages cannot be installed there: {_last(sent.stderr)}")


def _download(name: str, about: Mapping[str, Any], packages: Sequence[str], folder: Path, why: str) -> Iterator[Path]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--dest", str(folder)]
    done = subprocess.run([*command, *wheel_tags(about), *packages], capture_output=True, check=False)
    if done.returncode:
        raise DeviceError(
            f"{name}: {' and '.join(packages[1:])} cannot be installed: there: {why}; from here: {_last(done.stderr)}; "
            "or name a Python that has them with the option python"
        )
    yield from sorted(folder.iterdir())


def _last(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").strip().splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Error" in line]
    return (errors or lines or ["it said nothing"])[-1].strip()
