"""Training and embedding on a GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gait.data.sequences import SequenceStore
from gait.models import torch_model
from gait.training import torch_loop
from gait.training.checkpoints import Checkpoints
from gait.training.processes import Processes
from stages.frameworks import torch_training
from tests.gait import test_torch_training as alone

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    return alone.made_store(tmp_path_factory.mktemp("silhouettes"))


@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_falls_as_on_the_cpu(store: SequenceStore, mixed: bool) -> None:
    model, history = alone.trained(store, replace(alone.TRAINING, mixed_precision=mixed), workers=2)
    assert next(model.parameters()).is_cuda
    assert history[-1]["loss"] < history[0]["loss"] / 2


def test_the_first_losses_are_those_of_the_cpu(store: SequenceStore) -> None:
    training = replace(alone.TRAINING, iterations=5)
    on_cpu = Processes(device=torch.device("cpu"))
    found = [alone.trained(store, training, processes=processes)[1] for processes in (on_cpu, Processes())]
    np.testing.assert_allclose(*([row["loss"] for row in history] for history in found), rtol=1e-3)


def test_float16_is_scaled(store: SequenceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_loop, "mixed_type", lambda device: torch.float16)
    _, history = alone.trained(store, replace(alone.TRAINING, mixed_precision=True))
    assert history[-1]["loss"] < history[0]["loss"] / 2


def test_an_interrupted_training_goes_on(store: SequenceStore, tmp_path: Path) -> None:
    training = replace(alone.TRAINING, iterations=6)
    _, expected = alone.trained(store, training)
    for iterations in (3, 6):
        model = alone.network()
        checkpoints = Checkpoints(tmp_path, 0, lambda where, model=model: torch_model.save(model, where))
        _, history = alone.trained(store, replace(training, iterations=iterations), model, checkpoints=checkpoints)
    np.testing.assert_allclose(*([row["loss"] for row in rows] for rows in (expected, history)), rtol=1e-4)


def test_signatures_are_those_of_the_cpu(store: SequenceStore) -> None:
    everyone = range(len(store.sequences))
    on_cpu = Processes(device=torch.device("cpu"))
    found = [torch_training.embed(alone.network().eval(), store, everyone, where).values for where in (on_cpu, Processes())]
    np.testing.assert_allclose(*found, atol=1e-3 * np.abs(found[0]).max())
