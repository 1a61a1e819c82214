from collections import Counter

import numpy as np

from gait import sampling


def test_batches_hold_p_identities_with_k_sequences_each() -> None:
    names = [f"{person:03d}" for person in range(10) for _ in range(5)]
    batches = sampling.identity_batches(names, 4, 3, np.random.default_rng(0))
    for _ in range(20):
        batch = next(batches)
        counts = Counter(names[position] for position in batch)
        assert len(counts) == 4
        assert set(counts.values()) == {3}
        assert len(set(batch)) == len(batch)


def test_sequences_repeat_only_when_an_identity_has_too_few() -> None:
    batch = next(sampling.identity_batches(["a", "b", "b", "b"], 2, 3, np.random.default_rng(0)))
    assert batch.count(0) == 3
    assert sorted(position for position in batch if position) == [1, 2, 3]


def test_frames_are_drawn_without_replacement_when_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    assert len(set(sampling.unordered_frames(30, 30, rng))) == 30
    assert len(sampling.unordered_frames(3, 12, rng)) == 12


def test_flow_batches_hold_equal_shares_of_each_condition() -> None:
    kinds = ["nm"] * 60 + ["bg"] * 20 + ["cl"] * 20
    batches = sampling.balanced_batches(kinds, 30, np.random.default_rng(0))
    for _ in range(10):
        counts = Counter(kinds[position] for position in next(batches))
        assert set(counts.values()) == {10}


def test_balanced_batches_use_every_sample_of_a_condition_before_repeating_one() -> None:
    batches = sampling.balanced_batches(["nm"] * 12, 4, np.random.default_rng(0))
    assert sorted(np.concatenate([next(batches) for _ in range(3)])) == list(range(12))
