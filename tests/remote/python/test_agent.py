"""The agent's file, run as a process as on a device."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.python import agent
from remote.runtimes.onnxruntime.runtime import PACKAGE
from tests.support.onnx_files import linear

AGENT, CONDITIONS = Path(agent.__file__), Path(agent.__file__).with_name("conditions.py")
PART = PACKAGE.part
ALLOWED = {AGENT: {"numpy"}, CONDITIONS: set(), PART: {"numpy", "onnxruntime"}}
ONNX_RUNTIME = agent.opened(PART, {})


@pytest.mark.parametrize("script", ALLOWED, ids=lambda path: path.name)
def test_it_is_written_in_python_3_8_and_stands_alone(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names) | ALLOWED[script]


def test_facts_are_the_same_every_time() -> None:
    facts = agent.facts(ONNX_RUNTIME)
    assert facts == agent.facts(ONNX_RUNTIME)
    assert facts["runtime_version"] == onnxruntime.__version__
    assert facts["cores"] >= 1
    json.dumps(facts)


@pytest.mark.parametrize(
    ("cpuinfo", "name", "isa"),
    [
        ("processor : 0\nmodel name\t: A CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512_vnni\n\nprocessor : 1\n", "A CPU @ 2 GHz",
         ["avx2", "avx512_vnni"]),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n", None,
         ["asimd", "asimddp"]),
        ("", None, []),
    ],
)  # fmt: skip
def test_processors_of_both_families_are_known_by_their_cpuinfo(cpuinfo: str, name: str | None, isa: list[str]) -> None:
    cpu = agent._cpu(cpuinfo)
    assert (cpu["name"], cpu["isa"]) == (name, isa)


def test_the_device_tree_names_the_board(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Nano Developer Kit\0")
    assert agent.facts(ONNX_RUNTIME, tmp_path)["board"] == "NVIDIA Jetson Nano Developer Kit"


@pytest.mark.parametrize(("present", "count"), [("0-3\n", 4), ("0\n", 1), ("0-1,4,6-7\n", 5)])
def test_cores_that_a_power_mode_switches_off_count_too(tmp_path: Path, present: str, count: int) -> None:
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    (tmp_path / "sys/devices/system/cpu/present").write_text(present)
    assert agent.facts(ONNX_RUNTIME, tmp_path)["cores"] == count


def test_without_a_list_of_the_kernel_the_cores_that_are_on_count(tmp_path: Path) -> None:
    assert agent.facts(ONNX_RUNTIME, tmp_path)["cores"] == os.cpu_count()


@pytest.mark.parametrize(
    "arguments",
    [["build", "--onnx", "no.onnx", "--engine", "e"], ["benchmark", "--engine", "no.onnx", "--example", "no.npy"]],
)
def test_a_failure_is_an_answer_with_exit_status_1(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, AGENT, "--part", PART, *arguments], cwd=tmp_path, capture_output=True)
    assert done.returncode == 1
    assert "no.onnx" in json.loads(done.stdout)["error"]


def test_an_unknown_command_is_refused() -> None:
    done = subprocess.run([sys.executable, AGENT, "format-disk"], capture_output=True, text=True)
    assert done.returncode
    assert "invalid choice" in done.stderr


def test_a_benchmark_times_at_least_the_queries_and_the_seconds_asked_for(tmp_path: Path) -> None:
    engine = linear(tmp_path / "engine.onnx")
    np.save(tmp_path / "example.npy", np.ones((1, 4), np.float32))
    few = agent.benchmark(ONNX_RUNTIME, engine, tmp_path / "example.npy", 1, 0.0, 0.2, 1)
    assert sum(few["samples_ms"]) / 1000 <= 0.2 + max(few["samples_ms"])
    assert len(few["samples_ms"]) > 1
    many = agent.benchmark(ONNX_RUNTIME, engine, tmp_path / "example.npy", 1, 0.0, 0.0, 500)
    assert len(many["samples_ms"]) == 500
    assert min(many["samples_ms"]) > 0
    assert many["reference_ms_before"] > 0


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=3),
    st.integers(10**6 + 1, 10**7),
)
def test_energy_counters_that_start_again_lose_nothing(counters: list[tuple[int, int]], limit: int) -> None:
    before = [start for start, _ in counters]
    after = [(start + spent) % limit for start, spent in counters]
    assert agent.spent_uj(before, after, [("", limit)] * len(counters)) == sum(spent for _, spent in counters)


def test_no_energy_counter_is_a_reason_and_not_a_zero(tmp_path: Path) -> None:
    assert agent.energy(ONNX_RUNTIME, "engine", "example", 1, 1, tmp_path) == {
        "reason": "no RAPL energy counters under /sys/class/powercap"
    }


def test_energy_is_read_from_the_package_counters(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0\n"), ("energy_uj", "1000000\n"), ("max_energy_range_uj", "262143328850\n")):
        (zone / name).write_text(text)
    engine = linear(tmp_path / "engine.onnx")
    np.save(tmp_path / "example.npy", np.ones((1, 4), np.float32))
    energy = agent.energy(ONNX_RUNTIME, engine, tmp_path / "example.npy", 1, 0.05, tmp_path)
    assert energy["gross_mj"] == 0  # a counter that stands still
    assert energy["queries"] >= 1
    assert "RAPL" in energy["scope"]


def test_what_other_programs_do_meanwhile_is_noted(tmp_path: Path) -> None:
    """Beside a program that keeps a core busy, the agent's own work does not count."""
    engine, example = linear(tmp_path / "engine.onnx"), tmp_path / "example.npy"
    np.save(example, np.ones((1, 4), np.float32))

    def others() -> float:
        share = agent.benchmark(ONNX_RUNTIME, engine, example, 1, 0.0, 1.5, 1)["others"]
        assert share is not None
        return float(share)

    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        beside = others()
        spinning.kill()
    assert beside > 0.4  # a whole core, unless the two must share one
    assert agent.busy_s(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("cpu  100 20 30 4000 500 6 7 37 8 9\ncpu0 1 2\n")
    assert agent.busy_s(tmp_path) == 200 / os.sysconf("SC_CLK_TCK")
