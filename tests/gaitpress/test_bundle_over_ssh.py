"""What was built for a device and measured there, shipped to it: its program runs there, with its listed packages alone."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gaitpress.inputs import open_test
from remote.transport import Transport, connect
from simulator import bindings
from simulator.jetson import Jetson
from simulator.ssh_server import Server
from stages.probe import probe
from tests.support.study import Study, claimed, ship
from tests.support.walks import RANK1, dump

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Everything up to the networks."""
    (tmp_path / "study").mkdir()
    return Study(tmp_path / "study", percentiles=(50,))


def measured_on(study: Study, server: Server, runtime: str) -> None:
    """Build and measure its one variant on a device."""
    entry = {"transport": server.address, "runtime": runtime, "options": {"python": sys.executable}}
    YAML().dump({"local": entry}, study.devices)
    probe("local", study.devices, study.facts)
    assert study.build(50)["status"] == "ok"
    assert study.benchmark(50)["status"] == "ok"


def typed(device: Transport, *words: str | Path) -> str:
    """What a command prints there; it must succeed."""
    done = device.run([*map(str, words)], timeout_s=600)
    assert done.code == 0, done.stderr.decode()
    return done.stdout.decode()


def packed(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


def unpacked(device: Transport, archive: Path, where: Path) -> None:
    """Send an archive to a device and unpack it there."""
    device.send(archive, f"{where}.zip")
    typed(device, sys.executable, "-m", "zipfile", "-e", f"{where}.zip", where)


def installed(device: Transport, shipped: Path) -> Path:
    """The Python of an environment there with what the bundle lists, made as its README says."""
    typed(device, sys.executable, "-m", "venv", shipped / ".venv")
    done = device.run(
        [str(shipped / ".venv/bin/pip"), "install", "-q", "-r", str(shipped / "requirements.txt")], timeout_s=600
    )
    if done.code:
        pytest.skip(f"no package registry: {done.stderr.decode().splitlines()[-1]}")
    return shipped / ".venv/bin/python"


def sent(study: Study, device: Transport, server: Server, tmp_path: Path) -> tuple[Path, Path]:
    """The bundle and the test walks, there; its checksums hold."""
    unpacked(device, ship(study, tmp_path / "gait.zip"), server.where / "shipped")
    walks = tmp_path / "walks"
    walks.mkdir()
    test_set, store = open_test(study.test, study.where / "preprocessed")
    dump("casia-b", study.where / "raw/walkers", test_set, store, walks)
    unpacked(device, packed(walks), server.where / "walks")
    shipped = server.where / "shipped/gait"
    typed(device, "sh", "-c", 'cd "$0" && sha256sum --check --strict SHA256SUMS', shipped)
    return shipped, server.where / "walks"


def test_an_engine_of_onnx_runtime_is_as_accurate_there_as_its_record_says(
    study: Study, server: Server, tmp_path: Path
) -> None:
    measured_on(study, server, "onnxruntime")
    with connect("board", server.address) as device:
        shipped, walks = sent(study, device, server, tmp_path)
        assert (shipped / "engine/engine.onnx").read_bytes() == (study.engine(50) / "engine.onnx").read_bytes()
        python = installed(device, shipped)
        for options in ([], ["--engine"]):
            assert json.loads(typed(device, python, "-I", "-c", RANK1, shipped, walks, *options)) == claimed(study)


def test_an_engine_of_tensorrt_is_as_accurate_on_its_simulated_board_as_its_record_says(
    study: Study, servers: Callable[..., Server], tmp_path: Path
) -> None:
    board = Jetson(tmp_path / "root", "orin-nano")
    if not bindings.install(board):
        pytest.skip("there is no C compiler here for the board's libcudart")
    [cuda] = board.root.glob("usr/local/cuda*/lib64")
    server = servers("orin-nano", GAITPRESS_SIMULATED_ROOT=str(board.root), LD_LIBRARY_PATH=str(cuda))
    measured_on(study, server, "tensorrt")
    with connect("board", server.address) as device:
        shipped, walks = sent(study, device, server, tmp_path)
        assert (shipped / "engine/engine.plan").read_bytes() == (study.engine(50) / "engine.plan").read_bytes()
        assert "The device is simulated" in (shipped / "MODEL_CARD.md").read_text()
        assert "onnxruntime" not in (shipped / "requirements.txt").read_text()
        python = installed(device, shipped)
        identify = [python, shipped / "identify.py", "--engine", "--gallery", walks, "--probe", walks]
        printed = device.run([*map(str, identify)]).stderr.decode()
        assert printed == "error: there are no Python bindings of TensorRT for this Python\n"
        # On a board they are in the system's folder, where a simulated one has none of its own.
        [packages] = python.parents[1].glob("lib/python*/site-packages")
        (packages / "system.pth").write_text(f"{board.root}/usr/lib/python3/dist-packages\n")
        before = len(board.calls)
        assert json.loads(typed(device, python, "-I", "-c", RANK1, shipped, walks, "--engine")) == claimed(study)
        assert board.calls[before:] == ["tensorrt.Runtime"]
