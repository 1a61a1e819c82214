"""docs/own-criterion.md: its files are taken from the page, and networks of both frameworks are pruned by them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from scipy.stats import gmean

from gait.networks import torch_model
from gaitpress import params
from tests.support.published import SMALLER, small
from tests.support.toy import ROOT, copy_repository, run
from workflow import code_deps
from workflow.dvc.stages import read_yaml

PAGE = (ROOT / "docs/own-criterion.md").read_text(encoding="utf-8")
FILES = {
    match[1]: match[0].removeprefix("```python\n").removesuffix("```")
    for match in re.finditer(r"```python\n# (\S+)\n.*?```", PAGE, re.DOTALL)
}
(ENTRY,) = (YAML(typ="safe", pure=True).load(StringIO(block)) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
GEOMETRIC, FISHER, NOISY = (f"compress/pruning/criteria/{name}.py" for name in ("geometric-mean", "fisher", "noisy-mean"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the page's first criterion, chosen as the page says."""
    where = copy_repository(tmp_path_factory.mktemp("home"))
    (where / GEOMETRIC).write_text(FILES[GEOMETRIC], encoding="utf-8")
    choose(where, ENTRY["prune"]["criterion"])
    return where


def choose(where: Path, criterion: str) -> None:
    file = where / "params.yaml"
    file.write_text(re.sub(r"(?m)^(  criterion: )[\w-]+", rf"\g<1>{criterion}", file.read_text(encoding="utf-8")), "utf-8")


def python(where: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=where, capture_output=True, text=True)


def prune(where: Path, model: str, dense: Path, out: Path) -> subprocess.CompletedProcess[str]:
    (dense / "settings.json").write_text("{}", encoding="utf-8")
    settings = out.with_name("params.yaml")  # without reconstruction, which needs data
    text = (where / "params.yaml").read_text(encoding="utf-8")
    settings.write_text(text.replace("reconstruct: true", "reconstruct: false"), encoding="utf-8")
    stage = ("-m", "stages.prune", "--params", settings, "--model", model, "--percentile", 50)
    return python(where, *stage, "--dense", dense, "--out", out)


def best(kernels: np.ndarray, count: int) -> np.ndarray:
    """The positions of the filters with the greatest geometric means, ascending; by SciPy."""
    return np.sort(np.argsort(gmean(np.abs(kernels.reshape(len(kernels), -1).astype(np.float64)), axis=1))[-count:])


@pytest.fixture(scope="module")
def gaitset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small network, and where it lies."""
    dense, where = small(SMALLER["gaitset"], 0.5), tmp_path_factory.mktemp("dense")
    torch_model.save(dense, where)
    return dense, where


def test_the_page_adds_one_file_and_changes_one_line(home: Path) -> None:
    assert list(FILES) == [GEOMETRIC, FISHER, NOISY]
    assert run(["git", "status", "--porcelain", "-uall"], home).splitlines() == [" M params.yaml", f"?? {GEOMETRIC}"]
    assert run(["git", "diff", "--numstat"], home).split() == ["1", "1", "params.yaml"]
    prune_alone = {"stages": {"prune": read_yaml(home / "dvc.yaml")["stages"]["prune"]}}
    assert list(code_deps.faults(prune_alone, ["gaitset"], home)) == []


def test_a_pytorch_network_is_pruned_by_it(home: Path, gaitset: tuple[Any, Path], tmp_path: Path) -> None:
    dense, where = gaitset
    done = prune(home, "gaitset", where, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    before, after = dense.state_dict(), torch_model.load(tmp_path / "out").state_dict()
    layer = "frame1.conv.weight"
    kept = best(before[layer].numpy(), len(after[layer]))
    assert 0 < len(kept) < len(before[layer])
    assert np.array_equal(before[layer].numpy()[kept], after[layer].numpy())
    assert json.loads((tmp_path / "out/settings.json").read_text())["prune"]["criterion"] == "geometric-mean"


@pytest.mark.slow
def test_a_keras_network_is_pruned_by_it(home: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("gaitpress.frameworks.keras_models", reason="needs TensorFlow")
    entry = params.load(ROOT / "params.yaml").model["cnn2d"].model_copy(update={"width": 0.125})
    dense = library.build("cnn2d", entry, 5)
    (tmp_path / "dense").mkdir()
    library.save(dense, tmp_path / "dense")
    done = prune(home, "cnn2d", tmp_path / "dense", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    before, after = (model.get_layer("conv1").get_weights()[0] for model in (dense, library.load(tmp_path / "out")))
    kept = best(np.moveaxis(before, -1, 0), after.shape[-1])
    assert 0 < len(kept) < before.shape[-1]
    assert np.array_equal(before[..., kept], after)


@pytest.mark.slow
def test_a_criterion_of_effects_looks_at_training_data(home: Path, gaitset: tuple[Any, Path], tmp_path: Path) -> None:
    """As the file asks for them; what it gets is tested in tests/stages/test_prune_by_data.py."""
    module: dict[str, Any] = {}
    exec(FILES[FISHER], module)
    assert module["scores"](np.array([[1.0, -2.0], [3.0, 0.0]])).tolist() == [5, 2]
    _, where = gaitset
    try:
        (home / FISHER).write_text(FILES[FISHER], encoding="utf-8")
        choose(home, "fisher")
        message = prune(home, "gaitset", where, tmp_path / "out").stderr.splitlines()[-1]
        assert message.startswith(
            "error: prune.criterion or prune.reconstruct needs training data: say where with --training"
        )
    finally:
        (home / FISHER).unlink()
        choose(home, "geometric-mean")


def test_scores_by_chance_follow_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    module: dict[str, Any] = {}
    exec(FILES[NOISY], module)
    weights = np.random.default_rng(0).normal(size=(16, 9))
    first, again, other = (module["scores"](weights, seed=seed) for seed in ("1/conv1", "1/conv1", "1/conv2"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    share = first / np.abs(weights).mean(1)
    assert ((share >= 0.5) & (share <= 1)).all()


@pytest.mark.slow
def test_what_is_checked_is_reported_as_on_the_page(home: Path, gaitset: tuple[Any, Path], tmp_path: Path) -> None:
    errors = re.findall(r"^ +(error: .*)$", PAGE, re.MULTILINE)
    _, where = gaitset
    try:
        code = FILES[GEOMETRIC].replace("np.maximum(np.abs(weights), SMALLEST)", "weights")
        (home / GEOMETRIC).write_text(code, encoding="utf-8")
        assert prune(home, "gaitset", where, tmp_path / "out").stderr.splitlines()[-1] == errors[1]
        (home / GEOMETRIC).write_text(FILES[GEOMETRIC].replace("weights", "kernels"), encoding="utf-8")
        assert prune(home, "gaitset", where, tmp_path / "out").stderr.splitlines()[-1] == errors[2]
        assert not (tmp_path / "out").exists()
        choose(home, "geometric_mean")
        assert python(home, "-m", "gaitpress", "params").stderr == f"{errors[0]}\n"
    finally:
        (home / GEOMETRIC).write_text(FILES[GEOMETRIC], encoding="utf-8")
        choose(home, "geometric-mean")
