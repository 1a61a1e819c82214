"""Rates by condition, under any name of a condition, and intervals that are valid for few people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gait.evaluation import intervals
from gait.evaluation.hits import Hits

# Names of folders and files cannot hold a NUL, and numpy drops one at the end of a text.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
NAMES = TEXTS | st.sampled_from(
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
    """Hits in one view; for each condition and person, 1 or 0 for each probe."""
    rows = [(kind, str(who), hit) for kind, people in rates.items() for who, probes in enumerate(people) for hit in probes]
    kinds, identities, values = (np.array(column) for column in zip(*rows, strict=True))
    views = np.full(len(rows), "all")
    return Hits(kinds, identities, views, np.array(["all"]), {"rank1": values[:, None].astype(float)})


@given(st.dictionaries(NAMES, st.integers(0, 4), min_size=1, max_size=6))
def test_each_condition_has_its_own_rate_under_any_name(right: dict[str, int]) -> None:
    rates = hits({kind: [[int(who < count)] for who in range(4)] for kind, count in right.items()}).rates()
    assert {kind: figures["rate"] for kind, figures in rates["conditions"].items()} == {
        kind: 25.0 * count for kind, count in right.items()
    }
    assert rates["mean"] == pytest.approx(25 * np.mean(list(right.values())))
    assert (rates["people"], rates["probes"]) == (4, 4 * len(right))
    for figures in rates["conditions"].values():
        assert (figures["people"], figures["probes"]) == (4, 4)
        low, high = figures["interval"]
        assert 0 <= low <= figures["rate"] <= high <= 100


def test_the_interval_of_four_people_with_the_same_rate_is_no_point() -> None:
    rates = hits({"nm": [[1, 1, 0]] * 4}).rates()
    assert rates["mean"] == pytest.approx(200 / 3)
    low, high = rates["interval"]
    # As if each of the four people had one probe: Clopper and Pearson's of 2 2/3 hits in 4.
    assert low == pytest.approx(100 * stats.beta.ppf(0.025, 8 / 3, 7 / 3))
    assert high == pytest.approx(100 * stats.beta.ppf(0.975, 11 / 3, 4 / 3))


def test_one_person_has_no_interval() -> None:
    rates = hits({"nm": [[1, 0, 1]]}).rates()
    assert (rates["interval"], rates["people"], rates["probes"]) == (None, 1, 3)


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=2, max_size=8))
def test_an_interval_holds_its_rate_and_is_at_most_as_wide_as_with_one_probe_each(people: list[list[int]]) -> None:
    rates = hits({"nm": people}).rates()
    low, high = rates["interval"]
    least, most = intervals.clopper_pearson(rates["mean"] / 100 * len(people), len(people))
    assert 100 * least - 1e-9 <= low <= rates["mean"] <= high <= 100 * most + 1e-9


def test_more_probes_of_people_who_differ_narrow_an_interval_less_than_more_people() -> None:
    few = hits({"nm": [[1, 1, 1, 0], [1, 0, 0, 0]] * 4}).rates()["interval"]
    probes = hits({"nm": [[1, 1, 1, 0] * 4, [1, 0, 0, 0] * 4] * 4}).rates()["interval"]
    people = hits({"nm": [[1, 1, 1, 0], [1, 0, 0, 0]] * 16}).rates()["interval"]
    assert people[1] - people[0] < 0.6 * (few[1] - few[0])
    assert probes[1] - probes[0] > 0.8 * (few[1] - few[0])


def test_a_gap_compares_the_same_people() -> None:
    # Everybody is better at nm by the same half, however different people are.
    two_conditions = hits({"nm": [[1, 1], [1, 0]] * 4, "cl": [[1, 0], [0, 0]] * 4})
    assert two_conditions.gap("nm", "cl") == pytest.approx((50, 50))
    mixed = hits({"nm": [[1], [1], [1], [0]], "cl": [[0], [1], [0], [0]]})
    differences = np.array([100, 0, 100, 0])
    half = stats.t.ppf(0.975, 3) * differences.std(ddof=1) / 2
    assert mixed.gap("nm", "cl") == pytest.approx((50 - half, 50 + half))
