from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gait.training import sampling


def test_batches_hold_p_identities_with_k_sequences_each() -> None:
    own = [list(range(5 * person, 5 * person + 5)) for person in range(10)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        batch = sampling.identity_batch(own, 4, 3, rng)
        counts = Counter(position // 5 for position in batch)
        assert len(counts) == 4
        assert set(counts.values()) == {3}
        assert len(set(batch)) == len(batch)


def test_sequences_repeat_only_when_an_identity_has_too_few() -> None:
    batch = sampling.identity_batch([[0], [1, 2, 3]], 2, 3, np.random.default_rng(0))
    assert batch.count(0) == 3
    assert sorted(position for position in batch if position) == [1, 2, 3]


def test_frames_are_drawn_without_replacement_when_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    assert len(set(sampling.unordered_frames(30, 30, rng))) == 30
    assert len(sampling.unordered_frames(3, 12, rng)) == 12


def test_flow_batches_hold_equal_shares_of_each_condition() -> None:
    kinds = ["nm"] * 60 + ["bg"] * 20 + ["cl"] * 20
    batches = sampling.BalancedBatches(kinds, 30, 0)
    for number in range(10):
        counts = Counter(kinds[position] for position in batches[number])
        assert set(counts.values()) == {10}


def test_shares_are_equal_over_batches_if_they_cannot_be_in_each() -> None:
    kinds = ["nm"] * 60 + ["bg"] * 20 + ["cl"] * 20
    batches = sampling.BalancedBatches(kinds, 10, 0)
    counts = Counter(kinds[position] for number in range(3) for position in batches[number])
    assert set(counts.values()) == {10}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 12))
def test_every_sample_of_a_condition_comes_before_one_comes_again(kinds: list[str], size: int) -> None:
    batches = sampling.BalancedBatches(kinds, size, 0)
    drawn = [int(position) for number in range(12) for position in batches[number]]
    for kind in set(kinds):
        own = [position for position in drawn if kinds[position] == kind]
        laps = range(0, len(own) - kinds.count(kind) + 1, kinds.count(kind))
        assert all(len(set(own[lap : lap + kinds.count(kind)])) == kinds.count(kind) for lap in laps)


@given(st.permutations(range(12)))
def test_a_batch_is_the_same_in_any_order_of_batches(order: list[int]) -> None:
    kinds = ["nm"] * 7 + ["bg"] * 3
    batches = sampling.BalancedBatches(kinds, 4, 1)
    drawn = {number: batches[number].tolist() for number in order}
    assert drawn == {number: sampling.BalancedBatches(kinds, 4, 1)[number].tolist() for number in range(12)}
