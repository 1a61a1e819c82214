"""The tests of CCPG and SUSTech1K: cases worked out by hand, and a plain reading in double precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait import protocols
from gait.data.prepared.sequences import Sequence as Walk
from gait.data.prepared.sets import TestSet
from gait.evaluation.signatures import Signatures
from gait.protocols import ccpg, sustech1k

CLOTHES = ("U0_D0", "U0_D0_BG", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3")


def own_test(protocol: Any, walks: Sequence[Walk], values: np.ndarray) -> tuple[TestSet, Signatures]:
    """The protocol's own test of walks whose people are all tested; the last person trains."""
    *people, trains = sorted({walk.identity for walk in walks})
    parts = protocol.partition(walks, [], {"train": [trains], "test": people}, protocol.Settings())
    name = protocol.comparison(protocol.Settings())
    test = TestSet("gaitset", "silhouette", "", "made", "synthetic", name, "euclidean", parts["gallery"], parts["probe"])
    return test, Signatures.collect(range(len(walks)), [values.astype(np.float32)])


def evaluated(protocol: Any, walks: Sequence[Walk], values: np.ndarray) -> dict[str, Any]:
    test, signatures = own_test(protocol, walks, values)
    return protocols.evaluate(signatures, walks, test)


def on_a_line(walks: Sequence[Walk], unlike: dict[tuple[str, str, str], float]) -> np.ndarray:
    """Signatures of one number: a's 0, b's 10, but for the walks that are unlike."""
    places = {"a": 0.0, "b": 10.0, "z": 0.0}
    return np.array([[[unlike.get((w.identity, w.condition, w.view), places[w.identity])]] for w in walks])


def test_ccpg_worked_out_by_hand() -> None:
    walks = [Walk(who, f"{worn}-0", camera, 0, 1) for who in "abz" for worn in CLOTHES for camera in ("01", "02")]
    # In U3_D3 before camera 02, a looks like b.
    rates = evaluated(ccpg, walks, on_a_line(walks, {("a", "U3_D3-0", "02"): 9.0}))
    conditions = {name: of["rate"] for name, of in rates["rank1"]["conditions"].items()}
    # UP: of the probes before camera 02, a's misses among the gallery of camera 01: (100 + 50) / 2.
    assert conditions == {"BG": 100, "CL": 100, "DN": 100, "UP": 75}
    assert rates["rank1"]["mean"] == 93.75
    # Probes: CL 2 x 2 x 2, UP, DN and BG 2 x 2; U0_D0_BG counts in CL and in BG.
    assert {name: of["probes"] for name, of in rates["rank1"]["conditions"].items()} == {"BG": 4, "CL": 8, "DN": 4, "UP": 4}
    assert rates["probes"] == 2 * 2 * 4
    # Among all other cameras, b's walk before camera 02 stays in the gallery of a's before camera 02: a's is third there.
    assert rates["mAP"]["conditions"]["UP"]["rate"] == pytest.approx(100 * (3 + 1 / 3) / 4)
    assert rates["mINP"]["conditions"]["UP"]["rate"] == pytest.approx(100 * (3 + 1 / 3) / 4)
    assert rates["mAP"]["conditions"]["CL"]["rate"] == 100
    assert rates["mAP"]["mean"] == pytest.approx((300 + 100 * (3 + 1 / 3) / 4) / 4)
    assert rates["other_cameras"]["rank1"]["conditions"]["UP"]["rate"] == 75
    assert (rates["other_cameras"]["rank5"]["mean"], len(rates["other_cameras"]["cmc"])) == (100, 50)


def test_sustech1k_worked_out_by_hand() -> None:
    conditions = ("00-nm", "01-nm", "01-cl-nt", "02-bg")
    walks = [Walk(who, condition, view, 0, 1) for who in "abz" for condition in conditions for view in ("000", "090-near")]
    values = on_a_line(walks, {("b", "01-cl-nt", "090-near"): 1.0})
    rates = evaluated(sustech1k, walks, values)
    # Of six probes in 090-near one misses in the gallery of 000. It is of two conditions, and half of the probes of each.
    assert rates["rank1"]["mean"] == pytest.approx((100 + 100 * 5 / 6) / 2)
    by_condition = {name: (of["rate"], of["probes"]) for name, of in rates["rank1"]["conditions"].items()}
    assert by_condition == {"bag": (100, 4), "clothing": (75, 4), "night": (75, 4), "normal": (100, 4)}
    assert (rates["rank1"]["probes"], rates["rank1"]["people"], rates["rank5"]["mean"]) == (12, 2, 100)
    test, signatures = own_test(sustech1k, walks, values)
    tables = protocols.identified(signatures, walks, test).by_view()
    assert (tables["probe"], tables["gallery"]) == (["000", "090-near"], ["000", "090-near"])
    assert tables["rank1"]["night"] == [[None, 100.0], [50.0, None]]
    assert tables["rank1"]["normal"] == [[None, 100.0], [100.0, None]]


def far(values: np.ndarray, probe: int, gallery: Sequence[int]) -> np.ndarray:
    """Mean Euclidean distance over parts, in double precision."""
    distances: np.ndarray = np.linalg.norm(values[list(gallery)] - values[probe], axis=-1).mean(-1)
    return distances


def ranked(walks: Sequence[Walk], values: np.ndarray, probe: int, gallery: Sequence[int]) -> list[bool]:
    """Whether each walk of the gallery, the nearest first, is the probe's person's; of equal ones the first is nearer."""
    order = sorted(zip(far(values, probe, gallery).tolist(), range(len(gallery)), strict=True))
    return [walks[gallery[place]].identity == walks[probe].identity for _, place in order]


def over_pairs(walks: Sequence[Walk], values: np.ndarray, gallery: list[int], probes: list[int], rank: int) -> float:
    """Rank-r in %: the mean over gallery views other than the probes', then over the probes' views."""
    rows = []
    for view in sorted({walks[probe].view for probe in probes}):
        cells = []
        for other in sorted({walks[place].view for place in gallery} - {view}):
            among = [place for place in gallery if walks[place].view == other]
            asked = [probe for probe in probes if walks[probe].view == view]
            cells.append(np.mean([any(ranked(walks, values, probe, among)[:rank]) for probe in asked]))
        rows += [np.mean(cells)] if cells else []
    return 100 * float(np.mean(rows))


def pooled(walks: Sequence[Walk], values: np.ndarray, gallery: list[int], probes: list[int], measure: str) -> float:
    """In %: the mean over probes, each among all walks but those of its person before its camera."""
    scores = []
    for probe in probes:
        own = walks[probe]
        among = [n for n in gallery if (walks[n].identity, walks[n].view) != (own.identity, own.view)]
        places = [place for place, right in enumerate(ranked(walks, values, probe, among), 1) if right]
        if measure == "rank1":
            scores.append(float(places[:1] == [1]))
        elif places:
            precision = np.mean([n / place for n, place in enumerate(places, 1)])
            scores.append(float(precision if measure == "mAP" else len(places) / places[-1]))
    return 100 * float(np.mean(scores))


@st.composite
def walks_of(draw: Any, conditions: Sequence[str], views: Sequence[str]) -> tuple[list[Walk], np.ndarray]:
    """Walks of three tested people and one who trains, some missing; signatures of few whole numbers, so that many tie."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    there = [facts for facts in product("abc", conditions, views) if rng.random() < 0.8 or facts[0] == "a"]
    walks = [Walk(*facts, 0, 1) for facts in [*there, ("z", conditions[0], views[0])]]
    return walks, rng.integers(0, 3, (len(walks), 2, 2)).astype(np.float64)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(walks_of([f"{worn}-0" for worn in CLOTHES], ("01", "02", "03")))
def test_ccpg_is_the_plain_reading_of_its_four_tests(made: tuple[list[Walk], np.ndarray]) -> None:
    walks, values = made
    rates = evaluated(ccpg, walks, values)
    people = {"a", "b", "c"}
    for name, sides in ccpg.TESTS.items():
        probes, gallery = (
            [n for n, w in enumerate(walks) if w.identity in people and w.condition.removesuffix("-0") in side]
            for side in sides
        )
        for rank in (1, 5):
            rate = rates[f"rank{rank}"]["conditions"][name]["rate"]
            assert rate == pytest.approx(over_pairs(walks, values, gallery, probes, rank))
        for measure in ("mAP", "mINP"):
            assert rates[measure]["conditions"][name]["rate"] == pytest.approx(
                pooled(walks, values, gallery, probes, measure)
            )
        rate = rates["other_cameras"]["rank1"]["conditions"][name]["rate"]
        assert rate == pytest.approx(pooled(walks, values, gallery, probes, "rank1"))
    for measure in ("rank1", "mAP"):
        of_tests = [of["rate"] for of in rates[measure]["conditions"].values()]
        assert rates[measure]["mean"] == pytest.approx(np.mean(of_tests))


KINDS: dict[str, Callable[[str], bool]] = {
    "normal": lambda condition: condition.startswith("01-nm"),
    "bag": lambda condition: "bg" in condition,
    "uniform": lambda condition: "uf" in condition,
    "night": lambda condition: "nt" in condition,
}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(walks_of(["00-nm", "01-nm", "01-bg", "02-bg-nt", "03-uf", "04-nt", "02-nm"], ("000", "000-far", "090")))
def test_sustech1k_is_the_plain_reading_of_its_table(made: tuple[list[Walk], np.ndarray]) -> None:
    walks, values = made
    rates = evaluated(sustech1k, walks, values)
    of_test = [n for n, walk in enumerate(walks) if walk.identity != "z"]
    gallery = [n for n in of_test if walks[n].condition == "00-nm"]
    probes = [n for n in of_test if walks[n].condition != "00-nm"]
    for rank in (1, 5):
        at_rank = rates[f"rank{rank}"]
        assert at_rank["mean"] == pytest.approx(over_pairs(walks, values, gallery, probes, rank))
        assert set(at_rank["conditions"]) == set(KINDS)
        for name, belongs in KINDS.items():
            own = [n for n in probes if belongs(walks[n].condition)]
            assert at_rank["conditions"][name]["rate"] == pytest.approx(over_pairs(walks, values, gallery, own, rank))
