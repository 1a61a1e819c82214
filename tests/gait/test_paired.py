"""The paired difference of two engines: laws of the bootstrap over people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait import paired
from gait.errors import DataError
from gait.people import ByPerson


@st.composite
def engines(draw: st.DrawFn) -> tuple[ByPerson, ByPerson]:
    """Two engines on the same people; not all were tested in all conditions and views."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(2, 12)), draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    counted = rng.integers(0, 4, shape)
    counted[:, 0, 0, 0] = 2
    names = [str(person) for person in range(shape[0])]
    rate = draw(st.sampled_from([0.2, 0.8, 1.0]))
    first, second = (ByPerson.of(names, rng.binomial(counted, rate), counted) for _ in range(2))
    return first, second


def of(changes: list[int], probes: int = 12) -> tuple[ByPerson, ByPerson]:
    """Engines of which the first has so many hits more of each person."""
    names = [str(person) for person in range(len(changes))]
    counted = np.full((len(changes), 1, 1, 1), probes)
    less = np.full(counted.shape, probes // 2)
    return ByPerson.of(names, less + np.reshape(changes, counted.shape), counted), ByPerson.of(names, less, counted)


@given(engines())
@settings(max_examples=30, deadline=None)
def test_an_engine_against_itself_differs_by_exactly_nothing(both: tuple[ByPerson, ByPerson]) -> None:
    difference = paired.difference(both[0], both[0])
    assert difference.points == 0
    assert difference.low == -difference.high < 0, "other people may differ: no point"


@given(engines())
@settings(max_examples=30, deadline=None)
def test_the_difference_is_that_of_the_means_and_within_its_interval(both: tuple[ByPerson, ByPerson]) -> None:
    difference = paired.difference(*both)
    assert difference.points == both[0].mean - both[1].mean
    assert difference.low <= difference.points <= difference.high
    assert difference.low < difference.high


@given(engines())
@settings(max_examples=30, deadline=None)
def test_swapped_engines_have_the_mirrored_interval(both: tuple[ByPerson, ByPerson]) -> None:
    there, back = paired.difference(*both), paired.difference(*both[::-1])
    assert (back.points, back.low, back.high) == pytest.approx((-there.points, -there.high, -there.low))


@given(engines())
@settings(max_examples=30, deadline=None)
def test_each_draw_has_the_difference_of_the_protocols_own_means(both: tuple[ByPerson, ByPerson]) -> None:
    people = len(both[0].hits)
    differences = paired.drawn_differences(*both)
    for draw in range(0, paired.DRAWS, 97):
        again = np.repeat(np.arange(people), paired.draws(people)[draw, :-2].astype(int))
        means = [ByPerson("", engine.hits[again], engine.counted[again]).mean for engine in both]
        assert differences[draw] == pytest.approx(np.nan_to_num(means[0] - means[1]), abs=1e-9)


def test_everybody_is_drawn_alike_and_every_draw_has_as_many_people() -> None:
    drawn = paired.draws(20)
    assert (drawn.sum(1) == 20).all()
    assert drawn.mean(0) == pytest.approx(np.full(22, 20 / 22), abs=0.1)


@given(st.lists(st.integers(-3, 3), min_size=4, max_size=12))
@settings(max_examples=30, deadline=None)
def test_an_interval_is_narrower_with_more_people_alike(changes: list[int]) -> None:
    few, many = (paired.difference(*of(changes * times)) for times in (1, 6))
    assert few.points == pytest.approx(many.points)
    assert many.high - many.low < 0.7 * (few.high - few.low)


def test_a_difference_is_surer_than_the_rates_of_which_it_is() -> None:
    """People differ by 50 points from each other, the engines by one probe of two people."""
    names, counted = [str(person) for person in range(20)], np.full((20, 1, 1, 1), 10)
    hits = np.reshape([10, 5] * 10, counted.shape)
    fewer = hits.copy()
    fewer[:2] -= 1
    difference = paired.difference(ByPerson.of(names, hits, counted), ByPerson.of(names, fewer, counted))
    assert difference.points == pytest.approx(1)
    assert -1.5 < difference.low < 0 < 1 < difference.high < 4


def test_few_people_without_a_change_leave_room_for_one() -> None:
    difference = paired.difference(*of([0] * 14))
    assert difference.points == 0
    # A probe of one of 14 people is 0.6 points.
    assert 0.5 < difference.high < 3


def test_one_person_has_no_interval_and_other_people_are_refused() -> None:
    assert paired.difference(*of([1])) is None
    with pytest.raises(DataError, match="different people or probes"):
        paired.difference(of([0, 0])[0], of([0, 0, 0])[0])
