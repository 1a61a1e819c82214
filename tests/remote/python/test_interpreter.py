"""The choice of a device's Python, and its packages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.tags import cpython_tags
from packaging.utils import parse_wheel_filename

from remote.errors import DeviceError
from remote.python import interpreter
from remote.transport import connect
from simulator.ssh_server import Server

NEEDS = (("numpy", "onnxruntime"), "python")
NANO = {"version": [3, 8], "arch": "aarch64", "libc": ["glibc", "2.31"], "implementation": "cpython", "venvs": True}


def accepted(about: dict, wheel: str) -> bool:
    """Whether a wheel of this name fits ``wheel_tags``."""
    words = interpreter.wheel_tags(about)
    chosen = {key: [words[at + 1] for at, word in enumerate(words) if word == key] for key in ("--platform", "--abi")}
    version = tuple(map(int, words[words.index("--python-version") + 1].split(".")))
    tags = set(cpython_tags(version, chosen["--abi"], chosen["--platform"]))
    return bool(tags & parse_wheel_filename(wheel)[3])


@pytest.mark.parametrize(
    ("wheel", "fits"),
    [
        ("onnxruntime-1.19.2-cp38-cp38-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", True),
        ("onnxruntime-1.19.2-cp39-cp39-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", False),
        ("onnxruntime-1.19.2-cp38-cp38-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", False),
        ("numpy-1.24.4-cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", True),
        ("thing-1.0-cp38-cp38-manylinux_2_34_aarch64.whl", False),
        ("thing-1.0-cp38-cp38-musllinux_1_1_aarch64.whl", False),
    ],
)
def test_wheels_fit_the_devices_python_processor_and_libc(wheel: str, fits: bool) -> None:
    assert accepted(NANO, wheel) == fits


@pytest.mark.parametrize("change", [{"libc": ["musl", "1.2"]}, {"libc": ["", ""]}, {"implementation": "pypy"}])
def test_machines_without_wheels_are_reported(change: dict) -> None:
    with pytest.raises(DeviceError, match="no ready packages"):
        interpreter.wheel_tags({**NANO, **change})


def python(folder: Path, name: str, version: str, **more: bool) -> None:
    """A program that answers like a Python of this version."""
    folder.mkdir(exist_ok=True)
    about = {
        "version": json.loads(f"[{version}]"),
        "arch": "aarch64",
        "libc": ["glibc", "2.27"],
        "venvs": True,
        "wide": True,
    }
    (folder / name).write_text(f"#!/bin/sh\necho '{json.dumps(about | more)}'\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of the usual programs without Pythons."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/usr/bin", "/bin"):
        for program in Path(place).iterdir():
            if not program.name.startswith("python") and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return folder


def test_the_first_python_that_is_new_enough_is_taken(servers: Callable[..., Server], tools: Path) -> None:
    python(tools, "python3", "3, 6")
    python(tools, "python3.9", "3, 9", venvs=False)
    python(tools, "python3.8", "3, 8")
    python(tools, "python3.13", "3, 13", wide=False)
    with connect("nano", servers(PATH=str(tools)).address) as link:
        assert interpreter.suitable(link, NEEDS[0])["name"] == "python3.8"


def test_unsuitable_pythons_are_reported(servers: Callable[..., Server], tools: Path) -> None:
    python(tools, "python3", "3, 6")
    python(tools, "python3.9", "3, 9", venvs=False)
    python(tools, "python3.13", "3, 13", wide=False)
    with connect("nano", servers(PATH=str(tools)).address) as link, pytest.raises(DeviceError) as raised:
        interpreter.suitable(link, NEEDS[0])
    assert "python3 is 3.6" in str(raised.value)
    assert "sudo apt install python3.9-venv" in str(raised.value)
    assert "python3.13 (3.13) is a program of 32 bits" in str(raised.value)


def test_a_device_without_any_python_is_reported(servers: Callable[..., Server], tools: Path) -> None:
    with connect("nano", servers(PATH=str(tools)).address) as link, pytest.raises(DeviceError, match="there is none"):
        interpreter.suitable(link, NEEDS[0])


def test_an_environment_that_lacks_a_package_is_not_there(server: Server) -> None:
    place = server.home / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    (packages / "onnxruntime").mkdir()
    with connect("nano", server.address) as link:
        assert not interpreter.is_there(link, *NEEDS)
        (packages / "numpy").mkdir()
        assert interpreter.is_there(link, *NEEDS)


@pytest.mark.slow
def test_a_missing_network_on_both_sides_is_reported_and_leaves_no_environment(
    servers: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    for key, value in (("PIP_INDEX_URL", nowhere), ("PIP_EXTRA_INDEX_URL", nowhere), ("PIP_RETRIES", "0")):
        monkeypatch.setenv(key, value)
    server = servers(PIP_INDEX_URL=nowhere, PIP_EXTRA_INDEX_URL=nowhere, PATH=f"{Path(sys.base_prefix)}/bin:/usr/bin:/bin")
    with connect("nano", server.address) as link:
        with pytest.raises(DeviceError, match=r"cannot be installed: there: .*from here: .*option python"):
            interpreter.interpreter(link, {}, *NEEDS)
        assert not interpreter.is_there(link, *NEEDS)


@pytest.mark.slow
def test_packages_sent_from_here_need_no_new_pip_there(
    servers: Callable[..., Server], tools: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    """JetPack 5 has pip 20.0.2, which knows no platform of PEP 600."""
    wheels = tmp_path / "wheels"
    ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), "pip==20.0.2"]
    if subprocess.run(ask, capture_output=True).returncode:
        pytest.skip("there is no package registry here")
    old = f"""#!/bin/sh
{sys.base_prefix}/bin/python3 "$@" || exit
[ "$2" = venv ] || exit 0
for last in "$@"; do :; done
"$last/bin/python" -m pip install --quiet --no-index --find-links {wheels} pip==20.0.2
"""
    (tools / "python3").write_text(old)
    (tools / "python3").chmod(0o755)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null"}
    with connect("nano", servers(PATH=str(tools), **nowhere).address) as link:
        python = interpreter.interpreter(link, {}, *NEEDS)
        assert link.run([python, "-c", "import numpy, onnxruntime"]).code == 0
    assert "sending the packages from here" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("network", [True, False], ids=["its own network", "no network"])
def test_packages_are_installed_once_by_the_device_or_by_this_machine(
    servers: Callable[..., Server], network: bool, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), "packaging"]
    if subprocess.run(ask, capture_output=True).returncode:
        pytest.skip("there is no package registry here")
    more = {} if network else {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null"}
    server = servers(PATH=f"{Path(sys.base_prefix)}/bin:/usr/bin:/bin", **more)
    with connect("nano", server.address) as link:
        python = interpreter.interpreter(link, {}, *NEEDS)
        assert python == f"{server.home}/python/bin/python"
        output = capfd.readouterr().err
        assert ("sending the packages from here" in output) != network
        assert link.run([python, "-c", "import numpy, onnxruntime; print(onnxruntime.__version__)"]).code == 0
        assert interpreter.interpreter(link, {}, *NEEDS) == python
        assert "installing" not in capfd.readouterr().err
