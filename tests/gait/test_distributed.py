"""Two processes compute the results of one, in each step of training and in embedding."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gait.data.prepared.sequences import SequenceStore
from gait.embedding import embed
from gait.errors import DataError
from gait.processes import Processes
from gaitpress.sessions import in_processes
from tests.gait import test_torch_training as alone
from tests.support import distributed
from tests.support.toy import ROOT

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
Start = Callable[..., None]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    return alone.made_store(tmp_path_factory.mktemp("silhouettes"))


@pytest.fixture
def together(store: SequenceStore) -> Start:
    def start(out: Path, what: str, processes: int = 2) -> None:
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--rdzv-backend", "c10d"]
        launcher += ["--rdzv-endpoint", "localhost:0", "--local-addr", "localhost"]
        command = [sys.executable, *launcher, "-m", "tests.support.distributed", str(store.directory), str(out), what]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]

    return start


@pytest.mark.slow
def test_a_step_from_equal_weights_is_the_same(store: SequenceStore, together: Start, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    start = [alone.network().double().state_dict()]
    for _ in range(distributed.STEPS):
        start.append(distributed.steps(store, Processes(), start)[-1])
    torch.save(start[:-1], tmp_path / "weights.pt")
    together(tmp_path, "steps")
    weights_after = torch.load(tmp_path / "computed.pt", weights_only=True)
    for before, expected, after in zip(start, start[1:], weights_after, strict=False):
        for name, value in expected.items():
            assert (after[name] - value).abs().max() <= 1e-10 * (value - before[name]).abs().max().clamp(min=1)
        assert any((value != before[name]).any() for name, value in expected.items())


@pytest.mark.slow
def test_the_first_losses_in_float32_are_the_same(store: SequenceStore, together: Start, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    _, expected = alone.trained(store, alone.replace(alone.TRAINING, iterations=5))
    together(tmp_path, "losses")
    history = json.loads((tmp_path / "found.json").read_text())
    np.testing.assert_allclose([row["loss"] for row in history], [row["loss"] for row in expected], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("losses", ["both", "triplet"])
def test_a_classifier_is_trained_together_or_left_alone(together: Start, tmp_path: Path, losses: str) -> None:
    out = tmp_path / losses
    out.mkdir()
    together(out, "classifier")
    history = json.loads((out / "found.json").read_text())
    assert len(history) == 5
    assert all(np.isfinite(row["loss"]) for row in history)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_signatures_are_the_same_and_in_order(store: SequenceStore, together: Start, tmp_path: Path, processes: int) -> None:
    torch.set_num_threads(1)
    expected = embed(alone.network().eval(), store, range(len(store.sequences)), Processes())
    together(tmp_path, "embed", processes)
    assert np.array_equal(torch.load(tmp_path / "computed.pt", weights_only=True).numpy(), expected.values)


@pytest.mark.slow
def test_a_training_is_tested_by_the_first_process_s_network(together: Start, tmp_path: Path) -> None:
    together(tmp_path, "tested")
    in_the_test, afterwards = torch.load(tmp_path / "computed.pt", weights_only=True)
    assert torch.equal(in_the_test, afterwards)


def test_what_a_cluster_says_of_its_pods_is_not_taken_for_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "4", "RANK": "1", "MASTER_ADDR": "pod-0", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    in_processes(1)
    with Processes.joined() as processes:
        assert (processes.rank, processes.size) == (0, 1)


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(DataError, match="a batch of 6 sequences cannot be shared evenly by 4 processes"):
        Processes(0, 4).share(6)
