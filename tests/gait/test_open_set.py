"""Thresholds that tell enrolled people from others, against plain loops and against what they promise."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait import protocols
from gait.data.prepared.sequences import Sequence
from gait.evaluation import comparisons, open_set, projections
from gait.evaluation.blocks import Search
from gait.evaluation.open_set import Trials, equal_error_rate, rates, threshold, trials
from tests.gait.test_protocols import collected, parted
from tests.gait.test_ranking import search, unit, world


def naive(values: np.ndarray, asked: Search, kind: str) -> list[tuple[float, float]]:
    """The nearest right and the nearest wrong distance of each probe that has a wrong one."""
    nearest = []
    for row, probe in enumerate(asked.probe):
        members = asked.gallery[~asked.excluded[row, asked.groups]]
        if kind == "euclidean":
            far = np.sqrt(((values[probe].astype(float) - values[members]) ** 2).sum(-1)).mean(-1)
        else:
            far = 1 - (unit(values[probe]) * unit(values[members])).sum(-1).mean(-1)
        own = asked.people[members] == asked.people[probe]
        if (~own).any():
            nearest.append((far[own].min(initial=np.inf), far[~own].min()))
    return nearest


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(2, 90),
    people=st.integers(1, 8),
    groups=st.integers(1, 3),
    kind=st.sampled_from(["euclidean", "cosine"]),
)
def test_trials_have_the_nearest_distances(seed, samples, people, groups, kind) -> None:
    rng = np.random.default_rng(seed)
    whose = rng.integers(0, people, samples)
    values = (rng.normal(size=(people, 3, 5))[whose] + rng.normal(size=(samples, 3, 5))).astype(np.float32)
    asked = search(rng, whose, groups)
    if len(asked.gallery) < groups or not len(asked.probe):
        return
    tried = trials(values, asked, kind)
    wanted = naive(values, asked, kind)
    np.testing.assert_allclose(np.stack([tried.right, tried.wrong], 1), np.reshape(wanted, (-1, 2)), rtol=1e-3, atol=1e-5)
    assert tried.enrolled == len(np.unique(whose[asked.gallery]))


@pytest.mark.parametrize("spread", [0.3, 20.0])
def test_projections_blocks_and_threads_change_no_trial(spread: float) -> None:
    values, asked = world(13, spread)
    wanted = np.array(naive(values, asked, "euclidean"))
    for chunk, share in ((5, 0.05), (1000, 1.0)):
        with (
            mock.patch.multiple(open_set, CHUNK_ROWS=chunk, BLOCK_SHARE=share),
            mock.patch.object(projections, "SAMPLE", 20),
        ):
            for threads in (1, 3):
                tried = trials(values, asked, threads=threads)
                np.testing.assert_allclose(np.stack([tried.right, tried.wrong], 1), wanted, rtol=1e-4)


def test_a_threshold_accepts_as_many_strangers_as_it_may() -> None:
    far = np.arange(200.0)
    assert threshold(far, 1.0) == 2  # 0 and 1 are below: 2 of 200
    assert threshold(far, 10.0) == 20
    assert threshold(far, 0.1) is None  # one of 200 would be 0.5 %


def test_the_equal_error_rate_of_a_worked_example() -> None:
    # Below 4, one of four strangers is accepted and three of four enrolled people are recognised.
    right, wrong = np.array([1.0, 2, 3, 6]), np.array([3.5, 7, 8, 9])
    assert equal_error_rate(Trials(np.arange(4), right, wrong, 4)) == pytest.approx(25)
    # A nearest that is somebody else's is never recognised, whatever the threshold.
    assert equal_error_rate(Trials(np.arange(4), right + 10, wrong, 4)) == pytest.approx(100)


def drawn(people: int, walks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Signatures of people whose walks lie about them, and whose they are."""
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(people), walks)
    centres = rng.normal(size=(people, 2, 6))
    return (centres[whose] + 0.45 * rng.normal(size=(len(whose), 2, 6))).astype(np.float32), whose


def test_strangers_who_were_never_seen_are_accepted_as_often_as_was_promised() -> None:
    """The threshold is chosen among people; other people then come to a gallery of as many."""
    off, width = [], []
    for seed in range(12):
        values, whose = drawn(80, 6, seed)
        number = np.arange(len(whose))
        gallery, probe = number[number % 6 < 3], number[number % 6 >= 3]
        asked = Search(probe, gallery, whose, np.zeros(len(gallery), int), np.zeros((len(probe), 1), bool))
        figures = rates(trials(values, asked))
        assert [row["far"] for row in figures["promised"]] == [10.0, 1.0]
        ten = figures["promised"][0]
        strangers, _ = drawn(4000, 1, 1000 + seed)
        enrolled = values[gallery[whose[gallery] > 0]]  # 79 people, as when one's own are taken out
        far = np.sqrt(((strangers[:, None] - enrolled) ** 2).sum(-1)).mean(-1).min(1)
        actual = 100 * (far < ten["threshold"]).mean()
        low, high = ten["false_accepts"]["interval"]
        assert low <= 10 <= high
        off.append(actual - ten["false_accepts"]["rate"])
        width.append(high - low)
        assert ten["tar"]["rate"] > figures["promised"][1]["tar"]["rate"]
    assert abs(np.mean(off)) < 2
    assert np.mean(np.abs(off) < np.array(width) / 2) >= 0.8


def test_rates_follow_from_their_definition() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(30), 10)
    right, wrong = rng.gamma(4, 1, 300), 3 + rng.gamma(4, 1, 300)
    right[:5] = np.inf  # not enrolled
    figures = rates(Trials(people, right, wrong, 30))
    first = people % 2 == 0
    for row in figures["promised"]:
        limits = {True: threshold(wrong[~first], row["far"]), False: threshold(wrong[first], row["far"])}
        hits = [r < limits[bool(side)] and r < w for r, w, side in zip(right[5:], wrong[5:], first[5:], strict=True)]
        taken = [w < limits[bool(side)] for w, side in zip(wrong, first, strict=True)]
        assert row["tar"]["rate"] == pytest.approx(100 * np.mean(hits))
        assert row["false_accepts"]["rate"] == pytest.approx(100 * np.mean(taken))
        assert (row["tar"]["people"], row["tar"]["probes"]) == (30, 295)
    assert figures["trials"] == {"enrolled": 295, "strangers": 300}
    far, frr = np.array(figures["det"]["far"]), np.array(figures["det"]["frr"])
    assert (np.diff(frr) <= 0).all(), "a greater threshold recognises fewer"
    assert frr[far < figures["eer"]].min() >= figures["eer"] - 2
    assert frr[far > figures["eer"]].max() <= figures["eer"] + 2


def test_few_people_promise_nothing() -> None:
    assert rates(Trials(np.array([0, 1, 2]), np.ones(3), np.full(3, 2.0), 3)) is None


def test_of_many_probes_those_of_some_people_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [Sequence(f"{person:02d}", f"nm-{walk}", "000", 0, 1) for person in range(20) for walk in range(1, 6)]
    signatures = {n: np.array([[float(walk.identity) + n % 5 / 100]]) for n, walk in enumerate(sequences)}
    gallery, probe = ([n for n in range(100) if (n % 5 == 0) == enrolled] for enrolled in (True, False))
    monkeypatch.setattr(comparisons, "STRANGERS", 30)
    evaluation = protocols.evaluate(collected(signatures), sequences, parted("all-views", gallery, probe))
    assert evaluation["open_set"]["trials"] == {"enrolled": 28, "strangers": 28}  # 7 people with all their 4 probes
    assert evaluation["open_set"]["enrolled"] == 20
    assert evaluation["probes"] == 80


def test_protocols_tell_of_strangers_and_leave_out_identical_views() -> None:
    rng = np.random.default_rng(0)
    sequences = [
        Sequence(f"{person:02d}", condition, view, 0, 1)
        for person in range(20)
        for condition in ("nm-01", "nm-05")
        for view in ("000", "090")
    ]
    place = {n: 10.0 * int(walk.identity) + 4 * (walk.view == "090") for n, walk in enumerate(sequences)}
    signatures = {n: np.array([[place[n] + rng.normal() / 10]]) for n in place}
    gallery = [n for n, walk in enumerate(sequences) if walk.condition == "nm-01"]
    probe = [n for n, walk in enumerate(sequences) if walk.condition == "nm-05"]
    of_all_views = protocols.evaluate(collected(signatures), sequences, parted("all-views", gallery, probe))
    across_views = protocols.evaluate(collected(signatures), sequences, parted("casia-b", gallery, probe))
    everywhere, across = of_all_views["open_set"], across_views["open_set"]
    # Of all views, one's own walk in the same view is 0 away and the next person's 6; across views, one's own is 4 away.
    assert everywhere["promised"][0]["tar"]["rate"] == across["promised"][0]["tar"]["rate"] == 100
    assert everywhere["eer"] == pytest.approx(0, abs=1)
    assert 5 < everywhere["promised"][0]["threshold"] < 7
    assert 5 < across["promised"][0]["threshold"] < 15
    assert everywhere["enrolled"] == 20
    # What a camera that both enrols and identifies can promise.
    assert across_views["open_set_all_views"] == everywhere
    assert "open_set_all_views" not in of_all_views
    with_itself = protocols.evaluate(collected(signatures), sequences, parted("casia-b", gallery, [*gallery, *probe]))
    assert "open_set_all_views" not in with_itself
