"""Of a device whose Python cannot import what its runtime needs, the message says why, and what to type there."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from remote.errors import DeviceError
from remote.inventory import Device
from remote.python.imports import try_out
from remote.runtimes import runtime_on
from remote.transport import Transport, connect
from simulator.jetson import Jetson
from simulator.ssh_server import Server
from tests.support.device_world import World
from tests.support.toy import ROOT

NEEDS = ("numpy", "onnxruntime")
# Real instructions that no processor has: ud2 of x86, udf of ARM.
NO_INSTRUCTION = r"\x0f\x0b" if platform.machine() in ("x86_64", "AMD64") else r"\0\0\0\0"
ILLEGAL = f"""
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"{NO_INSTRUCTION}")
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
NEWER = 'raise ImportError("/lib/libm.so.6: version `GLIBC_2.38\' not found (required by onnxruntime.so)")'
LACKS_GOMP = "raise ImportError('libgomp.so.1: cannot open shared object file: No such file or directory')"
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def environment(place: Path, onnxruntime: str, version: str = "1.22.1", numpy: str = "") -> Path:
    """An environment with two packages that do what is given when they are imported; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    for name, content, number in (("numpy", numpy, "2.3.0"), ("onnxruntime", onnxruntime, version)):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(content)
        about = packages / f"{name}-{number}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    return place / "bin/python"


@pytest.fixture
def link(server: Server) -> Iterator[Transport]:
    with connect("pi4", server.address) as link:
        yield link


def message_of(link: Transport, python: Path) -> str:
    with pytest.raises(DeviceError) as raised:
        try_out(link, str(python), NEEDS)
    said = str(raised.value)
    assert said.startswith(f"pi4: {python} cannot be used: ")
    assert len(said.splitlines()) == 1
    return said.partition("cannot be used: ")[2]


def test_a_package_made_for_newer_processors_is_named_with_an_older_one(link: Transport, server: Server) -> None:
    said = message_of(link, environment(server.home / "python", ILLEGAL))
    assert said.startswith("onnxruntime 1.22.1 stops at an instruction that this ")
    assert "(SIGILL)" in said
    place = f"{server.where}/gaitpress-python"
    assert f"`python3 -m venv {place} && {place}/bin/pip install numpy 'onnxruntime<1.22'` there" in said
    assert f"python: {place}/bin/python under options of pi4 in devices.yaml" in said


def test_the_board_is_named_and_the_package_that_stops(servers: Callable[..., Server], tmp_path: Path) -> None:
    board = Jetson(tmp_path / "root", "nano")
    server = servers("nano", GAITPRESS_SIMULATED_ROOT=str(board.root))
    with connect("pi4", server.address) as link:
        said = message_of(link, environment(tmp_path / "theirs", "", numpy=ILLEGAL))
    assert said.startswith(f"numpy 2.3.0 stops at an instruction that this {board.kind.model} does not have")
    assert f"`{tmp_path}/theirs/bin/python -m pip install 'numpy<2.3'`" in said


# What the package does when it is imported, what is said of it, and what to do.
REASONS = (
    ("import ctypes; ctypes.string_at(0)", "crashes when it is imported (SIGSEGV)", "remove {own} there, and the next job"),
    ("import os; os.abort()", "crashes when it is imported (SIGABRT)", "pip install numpy 'onnxruntime<1.22'"),
    (KILLED, "was killed while it was imported (signal 9), most likely because memory ran out", "give it swap"),
    (
        "import ctypes; ctypes.CDLL('libx.so.1')",
        "cannot be imported: this system lacks libx.so.1",
        "package that has libx.so.1",
    ),
    (LACKS_GOMP, "cannot be imported: this system lacks libgomp.so.1", "sudo apt install libgomp1"),
    (NEWER, "was made for a newer system", "pip install numpy 'onnxruntime<1.22'"),
    ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError", "remove {own} there"),
    ("x = '\0'", "cannot be imported: ", "remove {own} there, and the next job installs it anew"),
)


def test_each_reason_has_a_remedy(link: Transport, server: Server) -> None:
    own = server.home / "python"
    python = environment(own, "")
    [package] = own.glob("lib/python*/site-packages/onnxruntime/__init__.py")
    for does, why, remedy in REASONS:
        package.write_text(does)
        said = message_of(link, python)
        assert said.startswith(f"onnxruntime 1.22.1 {why}"), said
        assert remedy.format(own=own) in said


def test_a_python_that_is_not_there_is_reported(link: Transport) -> None:
    with pytest.raises(DeviceError, match=r"pi4: /nowhere/python cannot be used: .*(not found|No such file)"):
        try_out(link, "/nowhere/python", NEEDS)


def test_check_probe_and_build_say_it_before_any_work(tmp_path: Path, server: Server) -> None:
    world = World(tmp_path, (0,))
    environment(server.home / "python", ILLEGAL)
    world.devices.write_text(f"local: {{transport: '{server.address}', runtime: onnxruntime}}\n")
    words = [sys.executable, "-m", "remote", "--devices", world.devices, "--facts", tmp_path / "seen"]
    checked, probed = (
        subprocess.run([*words, what, "local"], cwd=ROOT, capture_output=True, text=True) for what in ("check", "probe")
    )
    assert (checked.returncode, probed.returncode) == (1, 1)
    expected = "onnxruntime 1.22.1 stops at an instruction"
    (line,) = [line for line in checked.stdout.splitlines() if expected in line]
    assert line.startswith("fault    onnxruntime  local: ")
    assert expected in probed.stderr
    assert len(probed.stderr.splitlines()) == 1
    with pytest.raises(DeviceError, match=expected):
        world.build()
    assert not world.engine().exists()


def test_an_environment_that_works_is_said_to(server: Server) -> None:
    with runtime_on(Device("pi4", server.address, "onnxruntime", {"python": sys.executable})) as runtime:
        assert runtime.facts()["runtime"] == "onnxruntime"
    with connect("pi4", server.address) as link:
        try_out(link, sys.executable, NEEDS)
