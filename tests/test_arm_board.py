"""The whole DAG with a 64-bit ARM board over SSH that has no network: Debian under qemu, by both runtimes of processors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.arm_board import ArmBoard, lacking
from tests.support.toy import copy_repository, make_small, rates, run


@pytest.fixture
def board(tmp_path: Path, client: Path) -> Iterator[ArmBoard]:
    if reason := lacking():
        pytest.skip(reason)
    (tmp_path / "board").mkdir()
    board = ArmBoard(tmp_path / "board", client / ".ssh/id_ed25519")
    yield board
    board.close()


@pytest.mark.slow
def test_an_arm_board_without_network_goes_through_the_whole_dag(tmp_path: Path, board: ArmBoard) -> None:
    assert board.run("uname", "-m").strip() == "aarch64"
    assert board.run("sh", "-c", "cat /proc/net/dev | wc -l").strip() == "3"  # two lines of heading, and the loopback
    (tmp_path / "home").mkdir()
    where = copy_repository(tmp_path / "home")
    devices = {"arm": "onnxruntime", "arm-openvino": "openvino"}
    make_small(where / "params.yaml", models=["gaitset", "cnn2d"], devices=["local", *devices])
    for device, runtime in devices.items():
        run(["python", "-m", "remote", "add", device, board.address, "--runtime", runtime], where)
        run(["python", "-m", "remote", "trust", "--yes", device], where)
        assert f"{device}: usable" in run(["python", "-m", "remote", "check", device], where)
        run(["python", "-m", "remote", "probe", device], where)
        facts = json.loads((where / f"remote/facts/{device}.json").read_text())
        assert facts["arch"] == "aarch64" and "asimddp" in facts["isa"]
    run(["snakemake", "--cores", "2", "all"], where)
    for model in ("gaitset", "cnn2d"):
        here = rates(where, "local", model, 50)
        for device in devices:
            assert rates(where, device, model, 50)["rank1"] == here["rank1"], (model, device)
            for precision in ("fp32", "int8"):
                record = json.loads((where / f"results/benchmark/{device}/{model}/p50-{precision}.json").read_text())
                assert record["status"] == "ok" and record["latency_ms"]["p50"] > 0
