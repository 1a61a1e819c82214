"""Rates by condition, whatever a condition is called, and intervals that are honest for few people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gait.evaluation import intervals
from gait.evaluation.hits import Hits

NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(
    [
        "speed",
        "speed_low",
        "speed_high",
        "mean",
        "mean_low",
        "interval",
        "people",
        "probes",
        "conditions",
        "rank1",
        "tn",
        "nm/x",
    ]
)


def hits(rates: dict[str, list[list[int]]]) -> Hits:
    """Of each condition, for each person, a hit or miss of each probe; one view."""
    rows = [(kind, str(who), hit) for kind, people in rates.items() for who, probes in enumerate(people) for hit in probes]
    kinds, identities, values = (np.array(column) for column in zip(*rows, strict=True))
    views = np.full(len(rows), "all")
    return Hits(kinds, identities, views, np.array(["all"]), {"rank1": values[:, None].astype(float)})


@given(st.dictionaries(NAMES, st.integers(0, 4), min_size=1, max_size=6))
def test_each_condition_has_its_own_rate_whatever_it_is_called(right: dict[str, int]) -> None:
    found = hits({kind: [[int(who < count)] for who in range(4)] for kind, count in right.items()}).rates()
    assert {kind: figures["rate"] for kind, figures in found["conditions"].items()} == {
        kind: 25.0 * count for kind, count in right.items()
    }
    assert found["mean"] == pytest.approx(25 * np.mean(list(right.values())))
    assert (found["people"], found["probes"]) == (4, 4 * len(right))
    for figures in found["conditions"].values():
        assert (figures["people"], figures["probes"]) == (4, 4)
        low, high = figures["interval"]
        assert 0 <= low <= figures["rate"] <= high <= 100


def test_four_people_with_the_same_rate_do_not_make_a_point_of_an_interval() -> None:
    found = hits({"nm": [[1, 1, 0]] * 4}).rates()
    assert found["mean"] == pytest.approx(200 / 3)
    low, high = found["interval"]
    # As if each of the four people had one probe: Clopper and Pearson's of 2 2/3 hits in 4.
    assert low == pytest.approx(100 * stats.beta.ppf(0.025, 8 / 3, 7 / 3))
    assert high == pytest.approx(100 * stats.beta.ppf(0.975, 11 / 3, 4 / 3))


def test_one_person_tells_nothing_of_others() -> None:
    found = hits({"nm": [[1, 0, 1]]}).rates()
    assert (found["interval"], found["people"], found["probes"]) == (None, 1, 3)


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=2, max_size=8))
def test_an_interval_holds_its_rate_and_is_never_wider_than_one_of_a_probe_each(people: list[list[int]]) -> None:
    found = hits({"nm": people}).rates()
    low, high = found["interval"]
    least, most = intervals.clopper_pearson(found["mean"] / 100 * len(people), len(people))
    assert 100 * least - 1e-9 <= low <= found["mean"] <= high <= 100 * most + 1e-9


def test_more_probes_of_people_who_differ_narrow_an_interval_less_than_more_people() -> None:
    few = hits({"nm": [[1, 1, 1, 0], [1, 0, 0, 0]] * 4}).rates()["interval"]
    probes = hits({"nm": [[1, 1, 1, 0] * 4, [1, 0, 0, 0] * 4] * 4}).rates()["interval"]
    people = hits({"nm": [[1, 1, 1, 0], [1, 0, 0, 0]] * 16}).rates()["interval"]
    assert people[1] - people[0] < 0.6 * (few[1] - few[0])
    assert probes[1] - probes[0] > 0.8 * (few[1] - few[0])


def test_a_gap_is_that_of_the_same_people() -> None:
    # Everybody is better at nm by the same half, however different people are.
    found = hits({"nm": [[1, 1], [1, 0]] * 4, "cl": [[1, 0], [0, 0]] * 4})
    assert found.gap("nm", "cl") == pytest.approx((50, 50))
    mixed = hits({"nm": [[1], [1], [1], [0]], "cl": [[0], [1], [0], [0]]})
    differences = np.array([100, 0, 100, 0])
    half = stats.t.ppf(0.975, 3) * differences.std(ddof=1) / 2
    assert mixed.gap("nm", "cl") == pytest.approx((50 - half, 50 + half))
