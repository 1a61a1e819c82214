"""The error for too little memory names the settings to lower."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from gait.data.prepared.sequences import SequenceStore
from gait.embedding import embed
from gait.errors import DataError
from gait.models.gaitset import GaitSet
from gait.processes import Processes
from tests.gait import test_torch_training as alone

LOWER = "lower sampling.identities, sampling.sequences or sampling.frames"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    return alone.made_store(tmp_path_factory.mktemp("silhouettes"))


def beyond_all_memory() -> None:
    torch.empty(2**60)


def as_a_gpu_tells() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 11.17 GiB.")


def as_cudnn_tells() -> None:
    raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")


class Greedy(GaitSet):
    """A network that allocates memory or raises the errors of a lack of it."""

    ask: Callable[[], None] = staticmethod(beyond_all_memory)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        self.ask()
        return super().forward(frames)


def greedy(ask: Callable[[], None]) -> Greedy:
    model = Greedy(alone.network().architecture)
    model.ask = ask
    return model


@pytest.mark.parametrize("ask", [beyond_all_memory, as_a_gpu_tells, as_cudnn_tells])
def test_a_training_that_needs_too_much_memory_names_the_settings_to_lower(
    store: SequenceStore, ask: Callable[[], None]
) -> None:
    with pytest.raises(DataError, match=f"out of memory: a batch is 3 x 2 sequences of 4 frames; {LOWER}, set mixed_prec"):
        alone.trained(store, alone.TRAINING, greedy(ask))


def test_mixed_precision_is_no_remedy_if_it_is_in_use(store: SequenceStore) -> None:
    with pytest.raises(DataError, match=f"{LOWER}, or share the batch between more GPUs with train.processes"):
        alone.trained(store, replace(alone.TRAINING, mixed_precision=True), greedy(as_a_gpu_tells))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_no_memory_holds_is_reported_too(store: SequenceStore, workers: int) -> None:
    drawn = replace(alone.SAMPLING, frames=[4, 10**15])
    with pytest.raises(DataError, match=f"out of memory: a batch is 3 x 2 sequences of {10**15} frames; {LOWER}"):
        alone.trained(store, replace(alone.TRAINING, sampling=drawn), workers=workers)


def test_other_faults_keep_their_own_message(store: SequenceStore) -> None:
    def fail() -> None:
        raise RuntimeError("expected scalar type Half but found Float")

    with pytest.raises(RuntimeError, match="expected scalar type"):
        alone.trained(store, alone.TRAINING, greedy(fail))


def test_embedding_names_the_sequence(store: SequenceStore) -> None:
    with pytest.raises(DataError, match="out of memory: embedding 000-nm-01-090, which has 6 frames; leave nothing else"):
        embed(greedy(as_a_gpu_tells), store, [0, 1], Processes())
