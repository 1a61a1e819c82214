"""Training GaitSet on silhouettes that are easy to tell apart."""

import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.errors import DataError
from gait.models import gaitbase, gaitset
from gait.networks import torch_model
from gait.processes import Processes
from gait.training.checkpoints import Checkpoints
from gait.training.torch import loop as torch_loop
from gait.training.torch.batches import Sampling
from tests.support.families import some
from tests.support.killing import kill_once_there
from tests.support.toy import ROOT

SAMPLING = Sampling(identities=3, sequences=2, frames=4, order="unordered", skip=0, augment=[], seed=3)
TRAINING = torch_loop.TorchTraining(
    iterations=30, decay="step", milestones=[25], gamma=0.1, lr=1e-3, optimizer="adam", momentum=0.9, weight_decay=0.0,
    clip_norm=None,
    loss=[{"name": "triplet", "weight": 1, "margin": 0.2}], sampling=SAMPLING, freeze_batch_norm=False,
    mixed_precision=False, seed=3,
)  # fmt: skip
PEOPLE: dict[str, Any] = {"identities": ["000", "001", "002"], "split": {}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """Three people of different width."""
    return made_store(tmp_path_factory.mktemp("silhouettes"))


def made_store(directory: Path) -> SequenceStore:
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (64, 64), "uint8")
    for person in range(3):
        for number in range(1, 5):
            frames = np.zeros((6, 64, 64), np.uint8)
            half = 5 + 4 * person
            frames[:, 4:60, 32 - half : 32 + half] = 255
            frames[rng.random(frames.shape) < 0.1] = 0
            writer.add(f"{person:03d}", f"nm-{number:02d}", "090", frames)
    settings = {"kind": "silhouette", "pixels": 64}
    writer.close(modality="silhouette", settings=settings, dataset="made", evidence="synthetic", fps=25, **PEOPLE)
    return SequenceStore.open(directory)


def network() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build({"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}, 0.125, 3)


def residual() -> gaitbase.GaitBase:
    torch.manual_seed(0)
    return gaitbase.build({"channels": [64, 128, 256, 512], "embedding": 256, "bins": [16]}, 0.0625, 3)


def trained(store: SequenceStore, training=TRAINING, model=None, **around):
    model = model or network()
    return model, torch_loop.fit(model, store, list(range(len(store.sequences))), training, **around)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("mixed", some([False, True], True))
def test_the_loss_falls(store: SequenceStore, mixed: bool) -> None:
    _, history = trained(store, replace(TRAINING, mixed_precision=mixed))
    assert history[-1]["loss"] < history[0]["loss"] / 2


@pytest.mark.parametrize("optimizer", some(["sgd", "adamw"], "sgd"))
def test_other_optimizers_learn_too(store: SequenceStore, optimizer: str) -> None:
    lr = {"sgd": 0.05, "adamw": 1e-3}[optimizer]
    _, history = trained(store, replace(TRAINING, optimizer=optimizer, lr=lr, weight_decay=1e-3))
    assert history[-1]["loss"] < history[0]["loss"] / 2


@pytest.mark.slow
def test_sixteen_bit_floats_are_trained_with_a_scaled_loss(store: SequenceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_loop, "mixed_type", lambda device: torch.float16)
    _, history = trained(store, replace(TRAINING, mixed_precision=True, iterations=20))
    assert history[-1]["loss"] < history[0]["loss"] / 1.5
    assert all(np.isfinite(row["loss"]) for row in history)


def test_the_same_seed_gives_the_same_weights(store: SequenceStore) -> None:
    one, other = (trained(store, replace(TRAINING, iterations=3))[0] for _ in range(2))
    assert same(one, other)


def test_weights_stay_float32(store: SequenceStore) -> None:
    model, _ = trained(store, replace(TRAINING, iterations=2, mixed_precision=True))
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_the_learning_rate_falls_at_the_milestones_as_pytorchs_scheduler_has_it(store: SequenceStore) -> None:
    training = replace(TRAINING, iterations=12, milestones=[9, 4, 4], gamma=0.5)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], training.lr)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, sorted(training.milestones), training.gamma)
    for iteration in range(1, 13):
        assert training.lr_at(iteration) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("decay", ["cosine", "one-cycle", "restarts"])
def test_the_learning_rate_falls_as_pytorchs_scheduler_of_that_name_has_it(decay: str) -> None:
    training, steps = replace(TRAINING, iterations=12, decay=decay, milestones=None), 12
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], training.lr)
    schedules = torch.optim.lr_scheduler
    scheduler: Any = {
        "cosine": lambda: schedules.CosineAnnealingLR(optimizer, steps),
        # PyTorch's reaches its least rate at the last step; ours would reach 0 at the step after that.
        "one-cycle": lambda: schedules.OneCycleLR(
            optimizer, training.lr, total_steps=steps + 1, pct_start=(0.3 * steps + 1) / (steps + 1), final_div_factor=1e9
        ),
        "restarts": lambda: schedules.CosineAnnealingWarmRestarts(optimizer, steps // 3, T_mult=2),
    }[decay]()
    for iteration in range(1, steps + 1):
        assert training.lr_at(iteration) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-9)
        optimizer.step()
        scheduler.step()


def test_a_training_that_diverges_is_reported_with_its_iteration_and_the_last_good_checkpoint(
    store: SequenceStore, tmp_path: Path
) -> None:
    model = network()
    checkpoints = Checkpoints(tmp_path, 0, lambda where: torch_model.save(model, where))
    wild = replace(TRAINING, optimizer="sgd", lr=1e30)
    with pytest.raises(DataError, match=rf"diverged in iteration 2: .*; the last good checkpoint: {tmp_path}.*, after 1"):
        trained(store, wild, model, checkpoints=checkpoints)
    checkpoint = checkpoints.load()
    assert checkpoint is not None
    assert len(checkpoint[1]["history"]) == 1


def test_gradients_are_clipped(store: SequenceStore) -> None:
    # With plain SGD a step is the learning rate times the gradient.
    training = replace(TRAINING, optimizer="sgd", momentum=0.0, lr=1.0, clip_norm=1e-3, iterations=1)
    model, _ = trained(store, training)
    before = network().state_dict()
    moved = torch.cat([(value - before[name]).flatten() for name, value in model.state_dict().items()])
    assert moved.norm() == pytest.approx(1e-3, rel=1e-2)


def test_frozen_batch_norms_keep_statistics_and_weights(store: SequenceStore) -> None:
    loss = [{"name": "triplet", "weight": 1, "margin": 0.2}, {"name": "cross_entropy", "weight": 1, "scale": 16}]
    training = replace(TRAINING, iterations=2, loss=loss, freeze_batch_norm=True)
    before = residual()
    model, _ = trained(store, training, residual())
    norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms
    for name, value in model.state_dict().items():
        frozen = any(name.startswith(f"{norm}.") for norm in norms)
        assert torch.equal(value, before.state_dict()[name]) == frozen, name


class TestInterrupted:
    """Trainings that go on from a checkpoint end as those that were never interrupted."""

    def checkpoints(self, where: Path, model: Any, every_s: float = 0) -> Checkpoints:
        return Checkpoints(where, every_s, lambda path: torch_model.save(model, path))

    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_by_an_exception(self, store: SequenceStore, tmp_path: Path, optimizer: str) -> None:
        class Interrupted(Exception): ...

        class Watcher:
            def step(self, done: int, total: int) -> None: ...

            def row(self, number: int, values: Mapping[str, float]) -> None:
                if number == 5:
                    raise Interrupted

        training = replace(TRAINING, iterations=8, milestones=[3, 6], optimizer=optimizer)
        whole, expected = trained(store, training)
        model = network()
        with pytest.raises(Interrupted):
            trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model), watcher=Watcher())
        again = network()
        _, history = trained(store, training, again, checkpoints=self.checkpoints(tmp_path, again))
        assert same(whole, again)
        assert history == expected

    def test_with_random_numbers_in_the_network(self, store: SequenceStore, tmp_path: Path) -> None:
        class Dropping(gaitset.GaitSet):
            def forward(self, frames: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.dropout(super().forward(frames), 0.5, self.training)

        def build() -> Dropping:
            torch.manual_seed(0)
            return Dropping(network().architecture)

        training = replace(TRAINING, iterations=6)
        whole, _ = trained(store, training, build())
        model = build()
        trained(store, replace(training, iterations=3), model, checkpoints=self.checkpoints(tmp_path, model))
        again = build()
        trained(store, training, again, checkpoints=self.checkpoints(tmp_path, again))
        assert same(whole, again)

    def test_a_complete_one_is_not_trained_again(self, store: SequenceStore, tmp_path: Path) -> None:
        training = replace(TRAINING, iterations=3)
        model = network()
        _, expected = trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model, 1e9))
        again = network()
        _, history = trained(store, training, again, checkpoints=self.checkpoints(tmp_path, again))
        assert history == expected
        assert same(model, again)

    @pytest.mark.slow
    def test_by_kill_9_at_any_moment(self, store: SequenceStore, tmp_path: Path) -> None:
        training = replace(TRAINING, iterations=80, milestones=[80])
        program = f"""
import sys
from dataclasses import replace
from pathlib import Path
import torch
from tests.gait import test_torch_training as here
torch.set_num_threads(1)
training = replace(here.TRAINING, iterations=80, milestones=[80])
model = here.network()
checkpoints = here.Checkpoints(Path({str(tmp_path / "kept")!r}), 0.05, lambda where: here.torch_model.save(model, where))
here.trained(here.SequenceStore.open(Path({str(store.directory)!r})), training, model, checkpoints=checkpoints)
here.torch_model.save(model, Path({str(tmp_path)!r}))
"""
        command = [sys.executable, "-c", program]
        later_s = np.random.default_rng().uniform(0, 0.3)
        kill_once_there(command, ROOT, tmp_path / "kept/checkpoint", later_s=later_s)
        assert subprocess.run(command, cwd=ROOT).returncode == 0
        torch.set_num_threads(1)
        whole, _ = trained(store, training)
        assert same(whole, torch_model.load(tmp_path))

    def test_a_disk_that_is_full_loses_no_earlier_checkpoint(
        self, store: SequenceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = network()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        saves = 0

        def save(where: Path) -> None:
            nonlocal saves
            saves += 1
            # No file may grow beyond this: writing fails as it does where there is no room.
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000 if saves > 2 else limits[0], limits[1]))
            try:
                torch_model.save(model, where)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        checkpoints = Checkpoints(tmp_path, 0, save)
        training = replace(TRAINING, iterations=5)
        expected, _ = trained(store, training, model, checkpoints=checkpoints)
        assert "warning: no checkpoint after 5" in capsys.readouterr().err
        checkpoint = checkpoints.load()
        assert checkpoint is not None
        assert checkpoint[1]["done"] == 2
        again = network()
        trained(store, training, again, checkpoints=self.checkpoints(tmp_path, again))
        assert same(expected, again)

    def test_a_damaged_checkpoint_is_reported(self, store: SequenceStore, tmp_path: Path) -> None:
        model = network()
        training = replace(TRAINING, iterations=2)
        trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model))
        (tmp_path / "checkpoint/training.safetensors").write_bytes(b"\0" * 100)
        with pytest.raises(DataError, match=r"checkpoint is damaged .* remove it to train from the start"):
            trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model))

    def test_a_checkpoint_of_another_model_is_reported(self, store: SequenceStore, tmp_path: Path) -> None:
        model = network()
        training = replace(TRAINING, iterations=2)
        trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model))
        with pytest.raises(DataError, match="checkpoint does not fit"):
            trained(store, training, residual(), checkpoints=self.checkpoints(tmp_path, model))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_however_they_are_made(store: SequenceStore, workers: int) -> None:
    training = replace(TRAINING, iterations=4)
    assert same(trained(store, training)[0], trained(store, training, workers=workers)[0])


def test_one_process_needs_no_distributed_set_up() -> None:
    with Processes.joined() as processes:
        assert processes.first
        assert not torch.distributed.is_initialized()


def test_whoever_asks_gets_the_batches_of_a_training_with_its_losses(store: SequenceStore) -> None:
    """A training that learns nothing tells the same losses."""
    model, history = trained(store, replace(TRAINING, iterations=3, lr=0.0))
    everyone = list(range(len(store.sequences)))
    asked = torch_loop.batches_with_losses(model, store, everyone, SAMPLING, TRAINING.loss)
    for row, (frames, loss) in zip(history, asked, strict=False):
        assert frames.shape == (6, 4, 64, 44)
        assert float(loss(model(frames)).detach()) == pytest.approx(row["loss"], rel=1e-4)


def test_losses_of_batches_take_in_the_classifier(store: SequenceStore) -> None:
    model = residual().eval()
    terms = [{"name": "triplet", "weight": 0.5}, {"name": "cross_entropy", "weight": 2.0, "scale": 16}]
    asked = torch_loop.batches_with_losses(model, store, list(range(12)), SAMPLING, terms)
    (frames, loss), parts = next(asked), []
    with torch.inference_mode():
        signatures = model(frames)
        for term in terms:
            alone = next(torch_loop.batches_with_losses(model, store, list(range(12)), SAMPLING, [{**term, "weight": 1}]))[1]
            parts.append(term["weight"] * alone(signatures))
        assert float(loss(signatures)) == pytest.approx(float(sum(parts)), rel=1e-6)
        assert float(parts[1]) > 0
