"""The device changes a batch exactly as the processor does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.processes import Processes
from gait.training.torch.batches import Sampling, SilhouetteBatches, on_device
from tests.gait.test_torch_training import PEOPLE

CPU, GPU = Processes(device=torch.device("cpu")), Processes(device=torch.device("cuda"))  # who makes batches for which
ALL = [
    {"name": "flip", "probability": 0.5},
    {"name": "rotate", "probability": 0.7, "degrees": 20},
    {"name": "affine", "probability": 0.7},
    {"name": "erase", "probability": 0.5},
    {"name": "flip", "probability": 0.5},
    {"name": "perspective", "probability": 0.7},
]
SAMPLING = Sampling(identities=3, sequences=6, frames=4, order="unordered", skip=0, augment=[], seed=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """Bodies with edges, off the centre, so that each change shows."""
    return made(tmp_path_factory.mktemp("silhouettes"))


def made(directory: Path) -> SequenceStore:
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (64, 64), "uint8")
    for person in range(3):
        for number in range(1, 7):
            frames = np.zeros((6, 64, 64), np.uint8)
            for frame in frames:
                left, top = rng.integers(14, 24), rng.integers(4, 12)
                frame[top:60, left : left + 14 + 3 * person] = 255
                frame[top + 10 : top + 16, left : left + 30] = 255
            writer.add(f"{person:03d}", f"nm-{number:02d}", "090", frames)
    settings = {"kind": "silhouette", "pixels": 64}
    writer.close(modality="silhouette", settings=settings, dataset="made", evidence="synthetic", fps=25, **PEOPLE)
    return SequenceStore.open(directory)


def batches(store: SequenceStore, augment: list[dict], who: Processes) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Six batches of network inputs, each computed on the CPU."""
    made_of = SilhouetteBatches(store, range(len(store.sequences)), replace(SAMPLING, augment=augment), who)
    return list(on_device(made_of, range(1, 7), 0, torch.device("cpu"), torch.float32))


@pytest.mark.parametrize(
    "augment",
    [[change] for change in [*ALL[:4], ALL[-1]]] + [ALL, []],
    ids=["flip", "rotate", "affine", "erase", "perspective", "all", "none"],
)
def test_the_changes_are_the_same(store: SequenceStore, augment: list[dict]) -> None:
    plain = batches(store, [], CPU)
    for (expected, identities), (actual, same), (unchanged, _) in zip(
        batches(store, augment, CPU), batches(store, augment, GPU), plain, strict=True
    ):
        assert torch.equal(identities, same)
        assert actual.shape == expected.shape == (18, 4, 64, 44)
        assert not augment or not torch.equal(expected, unchanged)
        interpolated = any(change["name"] in ("rotate", "affine", "perspective") for change in augment)
        if interpolated:
            # OpenCV knows 32 places between two pixels: 1/64 px off along both axes, and once more for each warp.
            warps = sum(change["name"] in ("rotate", "affine", "perspective") for change in augment)
            assert (actual - expected).abs().max() <= warps * 2 / 32
            assert (actual - expected).abs().mean() < 0.002 * warps
        else:
            assert torch.equal(actual, expected)


def test_without_changes_only_the_middle_columns_travel(store: SequenceStore) -> None:
    everyone = range(len(store.sequences))
    for who in (CPU, GPU):
        assert SilhouetteBatches(store, everyone, SAMPLING, who)[1].frames.shape == (18, 4, 64, 44)
    assert SilhouetteBatches(store, everyone, replace(SAMPLING, augment=ALL), GPU)[1].frames.shape == (18, 4, 64, 64)
