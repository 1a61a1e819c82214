"""The stage train, by its command, where training starts from a file of weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from gait.models import torch_model
from tests.gait import foreign_networks as foreign
from tests.stages.device_world import World
from tests.toy import ROOT

BINS = [4, 1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("train"), (0,))


@pytest.fixture(scope="module")
def published() -> foreign.GaitSet:
    torch.manual_seed(0)
    return foreign.GaitSet(4, 8, 12, 6, BINS).eval()


def train(world: World, out: Path, iterations: int, **changes: Any) -> subprocess.CompletedProcess[str]:
    data = YAML(typ="safe", pure=True).load(world.params.read_text(encoding="utf-8"))
    entry = data["model"]["gaitset"]
    entry.update(architecture={"channels": [4, 8, 12], "embedding": 6, "bins": BINS}, width=1, **changes)
    entry["schedule"] = {"iterations": iterations, "milestones": [], "gamma": 0.1}
    params = world.where / "train.yaml"
    YAML().dump(data, params)
    command = [sys.executable, "-m", "stages.train", "--model", "gaitset", "--params", str(params), "--out", str(out)]
    command += ["--partition", str(world.where / "partition/gaitset.json")]
    command += ["--preprocessed", str(world.where / "preprocessed")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_no_iterations_take_published_weights_as_they_are(world: World, published: Any, tmp_path: Path) -> None:
    torch.save({"model": published.state_dict(), "iteration": 42000}, tmp_path / "GaitSet-42000.pt")
    done = train(world, tmp_path / "out", 0, init=str(tmp_path / "GaitSet-42000.pt"))
    assert done.returncode == 0, done.stderr
    assert "GaitSet-42000.pt: read as gaitset of OpenGait" in done.stdout
    frames = torch.rand(1, 5, 64, 44)
    with torch.inference_mode():
        expected = published(frames)
        found = torch_model.load(tmp_path / "out")(frames)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert json.loads((tmp_path / "out/history.json").read_text()) == []
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["params"] == sum(tensor.numel() for tensor in published.parameters())


def test_training_goes_on_from_what_was_trained_before(world: World, tmp_path: Path) -> None:
    assert train(world, tmp_path / "first", 2).returncode == 0
    done = train(world, tmp_path / "second", 1, init={"path": str(tmp_path / "first"), "bnneck": "by-part"})
    assert done.returncode == 0, done.stderr
    first, second = (torch_model.load(tmp_path / name).state_dict() for name in ("first", "second"))
    # One step of Adam moves a weight by about the learning rate.
    assert all(0 < (first[name] - second[name]).abs().max() < 2e-3 for name in first)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"\x80\x02cos\nsystem\n(S'touch owned'\ntR.", "posix system"),
        (b"weights", "no file of weights"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_and_leaves_no_model(
    world: World, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "weights.pt"
    if content is not None:
        file.write_bytes(content)
    done = train(world, tmp_path / "out", 0, init=str(file))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(file) in line
    assert said.split()[-1] in line
    assert not (tmp_path / "out").exists()
    assert not (ROOT / "owned").exists()
