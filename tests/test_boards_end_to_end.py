"""The whole DAG at toy scale with boards behind real SSH servers. They are played; TensorRT itself is not exercised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import bindings
from simulator.jetson import Jetson
from simulator.ssh_server import Server
from tests.support.toy import copy_repository, environment, make_small, rates, run

pytestmark = pytest.mark.slow
BATCHES = {"export.max_batch": 4, "benchmark.sweep": [4]}
SNAKEMAKE = ["snakemake", "--cores", "2", "all"]


def add(kind: str, where: Path, tmp_path: Path, servers) -> tuple[Jetson, Server]:
    """Start a board and make it known by the name of its kind, as a user does."""
    return board_named(kind, kind, where, tmp_path, servers)


def board_named(name: str, kind: str, where: Path, tmp_path: Path, servers) -> tuple[Jetson, Server]:
    """Start a board and make it known by a name."""
    board = Jetson(tmp_path / f"root-{name}", kind)
    bindings.install(board)  # without a compiler trtexec runs each sequence, which only takes longer
    server = servers(name, known=False, GAITPRESS_SIMULATED_ROOT=str(board.root))
    remote = [sys.executable, "-m", "remote"]
    run([*remote, "add", name, server.address, "--runtime", "tensorrt", "--option", f"python={sys.executable}"], where)
    run([*remote, "trust", name, "--yes"], where)
    return board, server


def record(where: Path, device: str, precision: str) -> dict:
    return json.loads((where / f"results/benchmark/{device}/gaitset/p50-{precision}.json").read_text())


def written(where: Path) -> dict[str, int]:
    """When each result was written."""
    return {
        str(path.relative_to(where)): path.stat().st_mtime_ns
        for folder in ("data", "results", "remote/facts")
        for path in (where / folder).rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


def test_the_oldest_and_the_newest_tensorrt_take_part_with_the_networks_of_opset_11(tmp_path: Path, servers) -> None:
    where = copy_repository(tmp_path / "repository")
    devices = {"nano-7": "7.1.3", "agx-thor-11": "11.4.1.1"}
    for kind in devices:
        add(kind, where, tmp_path, servers)
    axes = {"models": ["gaitset"], "modalities": ["silhouette"], "devices": list(devices)}
    make_small(where / "params.yaml", **axes, **{"precisions": ["fp32", "fp16", "int8"], "export.opset": 11})
    run(SNAKEMAKE, where)

    for device, version in devices.items():
        for precision in ("fp32", "fp16", "int8"):
            figures = record(where, device, precision)
            if (device, precision) == ("nano-7", "int8"):
                assert figures["status"] == "skipped"
                continue
            assert (figures["status"], figures["reason"], figures["evidence"]) == ("ok", None, "simulated")
            assert figures["engine"]["version"] == version
            assert figures["latency_ms"]["p50"] > 0
            assert figures["energy_mj_per_inference"] > 0
            options = figures["protocol"]["options"]
            assert "--noDataTransfers" not in options
            assert ("--explicitBatch" in options, "--noCudaGraph" in options) == (device == "nano-7", device != "nano-7")


def test_two_boards_are_measured_at_once_and_a_third_runs_only_its_branch(tmp_path: Path, servers) -> None:
    where = copy_repository(tmp_path / "repository")
    nano, behind_nano = add("nano", where, tmp_path, servers)
    orin, behind_orin = add("orin-nano", where, tmp_path, servers)
    assert behind_nano.known.split()[1:] != behind_orin.known.split()[1:]
    axes = {"models": ["gaitset"], "modalities": ["silhouette"], "devices": ["nano", "orin-nano"]}
    make_small(where / "params.yaml", **axes, **BATCHES)
    run(SNAKEMAKE, where)

    skipped = record(where, "nano", "int8")
    assert (skipped["status"], skipped["evidence"]) == ("skipped", "simulated")
    assert "no INT8 hardware" in skipped["reason"]
    for device, precision, version in (
        ("nano", "fp32", "8.2.1"),
        ("orin-nano", "fp32", "10.3.0"),
        ("orin-nano", "int8", "10.3.0"),
    ):
        figures = record(where, device, precision)
        assert (figures["status"], figures["reason"]) == ("ok", None)
        assert (figures["evidence"], figures["data"]) == ("simulated", "synthetic")
        assert (figures["variant"]["device"], figures["engine"]["version"]) == (device, version)
        assert figures["device"]["board"] == {"nano": nano, "orin-nano": orin}[device].kind.model
        assert figures["latency_ms"]["p50"] > 0
        assert figures["energy_mj_per_inference"] > 0
        assert (figures["signature"]["file"], figures["signature"].get("activations")) == (
            "tensorrt.onnx",
            "int8" if precision == "int8" else None,
        )
        assert [(point["batch"], point["reason"]) for point in figures["sweep"]] == [(4, None)]
    # The same network, in fp32, on two boards.
    accuracies = [rates(where, device, "gaitset", 50) for device in axes["devices"]]
    assert accuracies[0] == accuracies[1]
    page = (where / "results/report/index.html").read_text(encoding="utf-8")
    assert "simulated" in page
    assert "no INT8 hardware" in page
    assert "Nothing to be done" in run(SNAKEMAKE, where)

    # It boots in the middle of its first build and comes up with another L4T.
    before, calls = written(where), (nano.calls, orin.calls)
    xavier, _ = add("xavier-nx", where, tmp_path, servers)
    xavier.fault = "reboot"
    make_small(where / "params.yaml", **{**axes, "devices": ["nano", "orin-nano", "xavier-nx"]}, **BATCHES)
    stopped = subprocess.run(SNAKEMAKE, cwd=where, env=environment(), capture_output=True, text=True)
    assert stopped.returncode
    assert "xavier-nx: the connection was lost" in stopped.stderr
    assert "its facts no longer hold (l4t: 35.4.1 -> 35.4.2)" in stopped.stderr
    run([sys.executable, "-m", "remote", "probe", "xavier-nx"], where)
    run(SNAKEMAKE, where)
    assert (nano.calls, orin.calls) == calls
    ran = {path for path, moment in written(where).items() if before.get(path) != moment}
    assert {path for path in ran if not path.startswith(("results/report/", "results/track/"))} == {
        "remote/facts/xavier-nx.json",
        *(f"results/build/xavier-nx/gaitset/p50-{precision}/{name}" for precision in ("fp32", "int8")
          for name in ("build.json", "engine.plan", "metrics.json")),
        *(f"results/{stage}/xavier-nx/gaitset/p50-{precision}.json" for stage in ("benchmark", "recognise")
          for precision in ("fp32", "int8")),
    }  # fmt: skip
    assert {record(where, "xavier-nx", precision)["status"] for precision in ("fp32", "int8")} == {"ok"}
