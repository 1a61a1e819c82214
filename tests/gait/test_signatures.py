import gc
import os
from pathlib import Path

import numpy as np
import pytest

from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.samples import owners, samples
from gait.errors import DataError
from gait.evaluation import signatures
from gait.evaluation.signatures import Signatures


def test_one_sample_a_sequence_is_its_own_average() -> None:
    collected = Signatures.collect([4, 2], np.ones((2, 1, 3, 5)))
    assert collected.averaged() is collected
    assert (collected.values.shape, collected.values.dtype) == ((2, 3, 5), np.float32)
    assert collected.positions.tolist() == [4, 2]


def test_the_unscaled_samples_of_a_sequence_are_averaged() -> None:
    collected = Signatures.collect([7, 7, 3], [np.array([[[3.0, 0]]]), np.array([[[0, 5.0]], [[2.0, 2]]])])
    means = collected.averaged()
    assert means.positions.tolist() == [7, 3]
    np.testing.assert_array_equal(means.values, [[[1.5, 2.5]], [[2, 2]]])
    assert collected.averaged() is means


def test_rows_must_fit_the_positions() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Signatures.collect([0], np.ones((2, 1, 1, 2)))
    with pytest.raises(ValueError, match="1 signatures for 2"):
        Signatures.collect([0, 1], np.ones((1, 1, 1, 2)))
    with pytest.raises(ValueError, match="do not fit"):
        Signatures.collect([0, 1], [np.ones((1, 1, 2)), np.ones((1, 1, 3))])
    with pytest.raises(DataError, match="no sequences"):
        Signatures.collect([], [])


def test_signatures_beyond_half_of_the_memory_are_in_a_file_that_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    collected = Signatures.collect(range(50), np.ones((50, 1, 10, 8)))
    assert isinstance(collected.values, np.memmap)
    assert collected.values[7, 3] == pytest.approx(np.ones(8))
    assert not list(tmp_path.iterdir())

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"No space left on device.*TMPDIR"):
        Signatures.collect(range(50), np.ones((50, 1, 10, 8)))
    gc.collect()


@pytest.mark.parametrize("shape", [[1, "frames", 64, 44], [1, 4, 64, 44]])
def test_owners_are_as_many_as_samples(tmp_path: Path, shape: list[int | str]) -> None:
    writer = StoreWriter(tmp_path, (64, 64), "uint8")
    for number, frames in enumerate((1, 4, 9)):
        writer.add("001", f"nm-0{number + 1}", "090", np.zeros((frames, 64, 64), np.uint8))
    facts = {"dataset": "own", "evidence": "published", "fps": 25, "identities": ["001"], "split": {}}
    writer.close(modality="silhouette", settings={"kind": "silhouette"}, **facts)
    store = SequenceStore.open(tmp_path)
    counts = [len(samples(store, sequence, shape)) for sequence in store.sequences]
    positions = [2, 0, 1]
    wanted = [position for position in positions for _ in range(counts[position])]
    assert owners(store, positions, shape) == wanted
