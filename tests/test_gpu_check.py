"""python -m benchmarks.gpu: prepared on a CPU, so that a quarter of an hour with a GPU is enough."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.common.plain import Plain
from benchmarks.gpu import __main__ as check
from benchmarks.gpu import parts, settings, table
from benchmarks.gpu.parts import Context, Part
from gaitpress import recipes
from tests.support import published
from tests.support.toy import ROOT

# What the machine with the GPU lacks of what is installed here.
LACKING = (
    "aiohttp", "dvc", "h5py", "hypothesis", "keras", "matplotlib", "mlflow", "moto", "onnxslim", "paramiko", "pydantic",
    "pyspng", "ruamel", "snakemake", "tensorflow", "tf2onnx", "threadpoolctl", "torch_pruning", "yaml",
)  # fmt: skip
WITHOUT = f"""
import runpy, sys
class Lacking:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {LACKING} else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Lacking(finder) for finder in sys.meta_path]
try:
    import pydantic
except ModuleNotFoundError:
    pass
else:
    sys.exit("pydantic was imported")
sys.argv = ["benchmarks.gpu", *sys.argv[1:]]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""
QUICK = ("casia-b-test", "data", "speed-gaitset", "oumvlp-test")


def checked(out: Path, *names: str) -> dict[str, Any]:
    """What the command prints and writes, on the CPU and without what a machine with a GPU may lack."""
    chosen = [option for name in names for option in ("--part", name)]
    command = [sys.executable, "-c", WITHOUT, "--device", "cpu", "--tiny", "--json", "--out", str(out), *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    (printed,) = done.stdout.splitlines()
    for name in names:
        assert f"== {name}: up to" in done.stderr
    result = json.loads(printed)
    assert result == json.loads(out.read_text())
    return result


def assert_whole(result: dict[str, Any]) -> None:
    for name, part in result["parts"].items():
        assert part["status"] == "passed", (name, part)
        assert part["figures"], name
        assert not part["left_out"], name


@pytest.mark.slow
def test_the_quick_parts_run_on_a_cpu_with_what_a_gpu_machine_has(tmp_path: Path) -> None:
    result = checked(tmp_path / "figures.json", *QUICK)
    assert list(result["parts"]) == [name for name in check.PARTS if name in QUICK]
    assert_whole(result)
    assert result["parts"]["speed-gaitset"]["figures"]["gaitset, bf16"]["iterations_per_s"] > 0


@pytest.mark.slow
def test_all_parts_run_on_a_cpu_with_what_a_gpu_machine_has(tmp_path: Path) -> None:
    result = checked(tmp_path / "figures.json", *check.PARTS)
    assert list(result["parts"]) == list(check.PARTS)
    assert_whole(result)


def test_the_settings_are_those_of_the_recipe() -> None:
    recipe = recipes.load("casia-b")
    torch_models = {name: entry for name, entry in recipe.model.items() if entry.framework == "torch"}
    assert settings.MODELS.keys() == torch_models.keys()
    for name, entry in torch_models.items():
        ours = settings.MODELS[name]
        assert ours.architecture == entry.architecture
        assert entry.width == 1
        assert {"skip": 0, **ours.sampling} == dict(entry.sampling)
        assert ours.loss == [term.model_dump() for term in entry.loss]
        assert ours.augment == [change.model_dump() for change in entry.augment]
        assert {"momentum": 0.9, "clip_norm": None, **ours.optimizer} == dict(entry.optimizer)
        assert ours.size == recipe.preprocess[entry.modality].pixels
    assert recipe.datasets["casia-b"].partition.train_subjects == settings.CLASSES


@pytest.mark.parametrize("name", published.SMALLER)
def test_the_plain_networks_have_the_same_maths(name: str) -> None:
    model = published.small(published.SMALLER[name]).double()
    frames = torch.rand(2, 4, *model.frame_shape, dtype=torch.float64)
    with torch.inference_mode():
        expected = model(frames)
        signatures, outputs = Plain(model)(frames)
        assert torch.allclose(signatures, expected, rtol=1e-9, atol=1e-12)
        assert (outputs is None) == (model.classifier is None)
        if model.classifier is not None and outputs is not None:
            assert torch.allclose(outputs, model.classifier(expected), rtol=1e-9, atol=1e-12)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GRACE_S", 0.5)


def run(work: Any, seconds: float = 20.0) -> dict[str, Any]:
    return parts.run(Part(work, seconds), torch.device("cpu"), True, 20.0)


@pytest.mark.usefixtures("impatient")
class TestParts:
    """Whatever a part does, the next ones run, and what it noted before is kept."""

    def test_one_that_passes(self) -> None:
        result = run(lambda context: context.note("speed", {"iterations_per_s": 3}))
        assert result["status"] == "passed"
        assert result["figures"] == {"speed": {"iterations_per_s": 3}}

    def test_one_that_fails_in_the_middle(self) -> None:
        def work(context: Context) -> None:
            context.tried("first", lambda: 1)
            context.tried("second", lambda: 1 / 0)
            context.tried("third", lambda: 3)

        result = run(work)
        assert result["status"] == "failed"
        assert result["figures"] == {"first": 1, "third": 3}
        assert result["failures"] == {"second": "ZeroDivisionError: division by zero"}

    @pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV])
    def test_one_that_is_killed(self, end: signal.Signals) -> None:
        def work(context: Context) -> None:
            context.note("first", 1)
            faulthandler.disable()  # pytest's would fill the screen
            os.kill(os.getpid(), end)

        result = run(work)
        assert result["status"] == "failed"
        assert result["figures"] == {"first": 1}
        assert result["failures"] == {"process": f"ended by {end.name}"}

    def test_one_that_hangs_ends_with_all_that_it_started(self, tmp_path: Path) -> None:
        def work(context: Context) -> None:
            context.note("first", 1)
            started = subprocess.Popen(["sleep", "600"])
            (tmp_path / "started").write_text(str(started.pid))
            time.sleep(600)

        result = run(work, 3.0)
        assert result["status"] == "stopped"
        assert result["figures"] == {"first": 1}
        assert result["seconds"] < 20
        started = int((tmp_path / "started").read_text())
        deadline = time.monotonic() + 10
        while _alive(started) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(started)

    def test_what_there_is_no_time_for_is_left_out(self) -> None:
        def work(context: Context) -> None:
            while context.left_s > 0:
                time.sleep(0.05)
            context.tried("late", lambda: 1)

        result = run(work, 0.5)
        assert result["status"] == "passed"
        assert result["left_out"] == {"late": "no time left"}

    def test_all_together_take_no_longer_than_they_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ("first", "second", "third", "fourth")
        monkeypatch.setattr(check, "PARTS", {name: Part(lambda context: time.sleep(600), 3.0) for name in names})
        options = argparse.Namespace(device="cpu", tiny=True, part=None, out=None, seconds=8.0)
        start = time.monotonic()
        result = check.checked(options)
        assert time.monotonic() - start < 16
        assert result["parts"]["first"]["status"] == "stopped"
        assert result["parts"]["fourth"]["status"] == "left out"


def _alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_a_gpu_the_error_says_what_to_do() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: no GPU that PyTorch can use (")
    assert "`--device cpu --tiny`" in done.stderr


RESULT: dict[str, Any] = {
    "device": "A Card", "date": "2031-02-03", "torch": "9.9", "tiny": False, "gpu_gib": 80.0,
    "parts": {
        "speed-gaitset": {
            "status": "passed", "failures": {}, "left_out": {},
            "figures": {"gaitset, bf16": {"iterations_per_s": 21.5, "limit_ratio": 0.42, "peak_gib": 7.25}},
        },
        "correctness": {"status": "failed", "figures": {}, "left_out": {}, "failures": {"the_loss_falls": "AssertionError"}},
    },
}  # fmt: skip


def test_the_page_has_the_table_and_the_figures_are_put_there(tmp_path: Path) -> None:
    page = tmp_path / "training.md"
    shutil.copy(check.PAGE, page)
    table.fill(page, RESULT)
    text = page.read_text()
    assert "Card, date: A Card, 2031-02-03, PyTorch 9.9" in text
    (gaitset,) = (line for line in text.splitlines() if line.startswith("| gaitset | "))
    assert [cell.strip() for cell in gaitset.split("|")[1:-1]] == [
        "gaitset", *[table.NONE] * 2, "21.5", *[table.NONE] * 5, "0.42", "7.25"
    ]  # fmt: skip
    assert "| correctness | failed: the_loss_falls |" in text
    assert text.replace(table.table(RESULT), "") == check.PAGE.read_text().replace(_in_page(check.PAGE), "")
    table.fill(page, None)
    assert table.table(None) in page.read_text()


def _in_page(page: Path) -> str:
    return page.read_text().partition(table.BEGIN + "\n")[2].partition("\n" + table.END)[0]


def test_figures_of_a_cpu_are_not_put_there(tmp_path: Path) -> None:
    page = tmp_path / "training.md"
    shutil.copy(check.PAGE, page)
    for result in ({**RESULT, "tiny": True}, {**RESULT, "gpu_gib": None}):
        with pytest.raises(ValueError, match="the table is for a GPU's"):
            table.fill(page, result)
    assert page.read_text() == check.PAGE.read_text()
