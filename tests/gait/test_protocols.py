from dataclasses import replace

import numpy as np
import pytest

from gait import protocols
from gait.data.prepared.sequences import Sequence
from gait.data.prepared.sets import TestSet
from gait.errors import DataError
from gait.evaluation import comparisons
from gait.evaluation.signatures import Signatures

VIEWS = ("000", "036", "090")


def walks(people: int) -> tuple[list[Sequence], list[int], list[int]]:
    """CASIA-B's test conditions for some people in three views, with the positions of gallery and probes."""
    conditions = [f"nm-0{n}" for n in range(1, 7)] + ["bg-01", "bg-02", "cl-01", "cl-02"]
    sequences = [
        Sequence(f"{person:03d}", condition, view, 0, 1)
        for person in range(people)
        for condition in conditions
        for view in VIEWS
    ]
    gallery = [n for n, s in enumerate(sequences) if s.condition in conditions[:4]]
    return sequences, gallery, sorted(set(range(len(sequences))) - set(gallery))


def collected(signatures) -> Signatures:
    """Signatures of one sample a sequence."""
    return Signatures.collect(list(signatures), (np.asarray(signature)[None] for signature in signatures.values()))


def parted(protocol: str, gallery, probe, distance="euclidean", **more) -> TestSet:
    return TestSet("gaitset", "silhouette", "", "walkers", "synthetic", protocol, distance, gallery, probe, **more)


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def naive_distance(one: np.ndarray, other: np.ndarray, distance: str) -> float:
    """The distance between signatures [parts, channels], in float64."""
    one, other = one.astype(np.float32).astype(float), other.astype(np.float32).astype(float)
    if distance == "euclidean":
        return float(np.mean(np.linalg.norm(one - other, axis=-1)))
    return float(1 - np.mean(np.sum(unit(one) * unit(other), -1)))


def naive_rank1(signatures, sequences, gallery, probe, kind, distance) -> float:
    """The protocol by nested loops over view pairs and probes."""
    rows = []
    for probe_view in VIEWS:
        cells = []
        for gallery_view in VIEWS:
            if gallery_view == probe_view:
                continue
            hits = []
            for p in probe:
                if sequences[p].kind != kind or sequences[p].view != probe_view:
                    continue
                candidates = [g for g in gallery if sequences[g].view == gallery_view]
                gaps = [naive_distance(signatures[p], signatures[g], distance) for g in candidates]
                hits.append(sequences[candidates[int(np.argmin(gaps))]].identity == sequences[p].identity)
            cells.append(100 * np.mean(hits))
        rows.append(np.mean(cells))
    return float(np.mean(rows))


def test_euclidean_distances_compare_unscaled_signatures() -> None:
    # Of length 1, b = (3, 0) would be (1, 0), which the probe is.
    sequences = [Sequence(who, "nm-01", view, 0, 1) for who, view in (("a", "000"), ("b", "000"), ("a", "090"))]
    signatures = {0: np.array([[1, 0.5]]), 1: np.array([[3.0, 0]]), 2: np.array([[1.0, 0]])}
    for distance, rate in (("euclidean", 100), ("cosine", 0)):
        for protocol in ("casia-b", "oumvlp", "all-views"):
            results = protocols.evaluate(collected(signatures), sequences, parted(protocol, [0, 1], [2], distance))
            assert results["rank1"]["mean"] == rate, (protocol, distance)


def test_no_signature_is_changed() -> None:
    sequences, gallery, probe = walks(2)
    rng = np.random.default_rng(0)
    for distance in ("euclidean", "cosine"):
        for protocol in ("casia-b", "tum-gaid"):
            signatures = collected({n: rng.normal(size=(3, 4)) for n in range(len(sequences))})
            kept = signatures.values.copy()
            protocols.evaluate(signatures, sequences, parted(protocol, gallery, probe, distance))
            np.testing.assert_array_equal(signatures.values, kept)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_samples_of_a_sequence_are_averaged_before_they_are_compared(distance: str) -> None:
    sequences, gallery, probe = walks(3)
    rng = np.random.default_rng(3)
    positions = [n for n in range(len(sequences)) for _ in range(rng.integers(1, 4))]
    lengths = rng.lognormal(0, 1, (len(positions), 1, 1))
    values = lengths * (rng.normal(size=(3, 2, 4))[[int(sequences[n].identity) for n in positions]] + 1)
    values = (values + 2.5 * rng.normal(size=values.shape)).astype(np.float32)
    means = {n: values[np.array(positions) == n].mean(0) for n in range(len(sequences))}
    results = protocols.evaluate(
        Signatures.collect(positions, [values]), sequences, parted("casia-b", gallery, probe, distance)
    )
    for kind in ("nm", "bg", "cl"):
        wanted = naive_rank1(means, sequences, gallery, probe, kind, distance)
        assert results["rank1"]["conditions"][kind]["rate"] == pytest.approx(wanted)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_rank1_equals_a_naive_reading_of_the_protocol(distance: str) -> None:
    sequences, gallery, probe = walks(4)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 5, 8))
    signatures = {n: centres[int(s.identity)] + 2.5 * rng.normal(size=(5, 8)) for n, s in enumerate(sequences)}
    results = protocols.evaluate(collected(signatures), sequences, parted("casia-b", gallery, probe, distance))
    for kind in ("nm", "bg", "cl"):
        rates = results["rank1"]["conditions"][kind]
        assert rates["rate"] == pytest.approx(naive_rank1(signatures, sequences, gallery, probe, kind, distance))
        assert (rates["people"], rates["probes"]) == (4, sum(sequences[p].kind == kind for p in probe))
    low, high = results["rank1"]["interval"]
    assert 0 < low <= results["rank1"]["mean"] <= high < 100
    assert results["probes"] == len(probe)


def test_identical_views_are_excluded() -> None:
    sequences, gallery, probe = walks(3)
    # Each view has its own signature for everyone: only identical views could identify anybody.
    signatures = {
        n: np.eye(9)[[3 * VIEWS.index(s.view) + int(s.identity)]] if n in gallery else np.eye(9)[[0]]
        for n, s in enumerate(sequences)
    }
    result = comparisons.cross_view(collected(signatures), sequences, gallery, probe)
    assert np.isnan(np.diag(result.table("nm"))).all()
    assert not np.isnan(result.table("nm")[~np.eye(3, dtype=bool)]).any()


def test_perfect_and_constant_signatures_are_the_two_ends() -> None:
    sequences, gallery, probe = walks(5)
    perfect = {n: np.eye(5)[[int(s.identity)]] for n, s in enumerate(sequences)}
    partition = parted("casia-b", gallery, probe)
    assert protocols.evaluate(collected(perfect), sequences, partition)["rank1"]["mean"] == 100
    constant = {n: np.ones((1, 3)) for n in range(len(sequences))}
    results = protocols.evaluate(collected(constant), sequences, partition)
    assert results["rank1"]["mean"] == pytest.approx(20)
    # Of equally close ones the first in the gallery is the closest: four sequences a person come before the second one's.
    assert results["rank5"]["mean"] == pytest.approx(40)


def test_a_single_view_or_an_empty_gallery_is_an_error() -> None:
    sequences, gallery, probe = walks(2)
    one = [n for n, s in enumerate(sequences) if s.view == "090"]
    signatures = {n: np.ones((1, 2)) for n in range(len(sequences))}
    for gone in (
        lambda given: comparisons.cross_view(
            given, sequences, [n for n in gallery if n in one], [n for n in probe if n in one]
        ),
        lambda given: protocols.evaluate(
            given, sequences, parted("cross-view", [n for n in gallery if n in one], [n for n in probe if n in one])
        ),
    ):
        with pytest.raises(DataError, match="only one view"):
            gone(collected(signatures))
    for protocol in ("casia-b", "cross-view", "oumvlp", "tum-gaid", "all-views"):
        with pytest.raises(DataError, match="no gallery"):
            protocols.evaluate(collected(signatures), sequences, parted(protocol, [], probe))
        with pytest.raises(DataError, match="no gallery"):
            protocols.evaluate(collected(signatures), sequences, parted(protocol, gallery, []))


def test_a_sequence_without_signature_and_signatures_that_are_not_finite_are_errors() -> None:
    sequences, gallery, probe = walks(2)
    signatures = {n: np.ones((1, 2)) for n in range(len(sequences))}
    partition = parted("casia-b", gallery, probe)
    with pytest.raises(DataError, match="not finite"):
        protocols.evaluate(collected({**signatures, 3: np.full((1, 2), np.nan)}), sequences, partition)
    del signatures[probe[0]]
    with pytest.raises(DataError, match="1 sequences to evaluate have no signature"):
        protocols.evaluate(collected(signatures), sequences, partition)


def test_evaluating_again_gives_the_same() -> None:
    sequences, gallery, probe = walks(3)
    rng = np.random.default_rng(1)
    positions = [n for n in range(len(sequences)) for _ in range(2)]
    signatures = Signatures.collect(positions, rng.normal(size=(len(positions), 1, 3, 4)))
    partition = parted("tum-gaid", gallery, probe)
    assert protocols.evaluate(signatures, sequences, partition) == protocols.evaluate(signatures, sequences, partition)


def test_all_views_takes_the_nearest_of_the_whole_gallery_in_one_view_too() -> None:
    sequences, gallery, probe = walks(3)
    one = [n for n, s in enumerate(sequences) if s.view == "090"]
    signatures = {n: np.eye(3)[[int(s.identity)]] for n, s in enumerate(sequences)}
    partition = parted("all-views", [n for n in gallery if n in one], [n for n in probe if n in one])
    results = protocols.evaluate(collected(signatures), sequences, partition)
    rank1 = results["rank1"]
    assert (rank1["mean"], rank1["people"], rank1["probes"], results["probes"]) == (100, 3, 18, 18)


def oumvlp_walks(people: int, unenrolled: set[tuple[int, str]]) -> tuple[list[Sequence], list[int], list[int]]:
    sequences = [
        Sequence(f"{2 * person:05d}", condition, view, 0, 1)
        for person in range(people)
        for condition in ("00", "01")
        for view in VIEWS
        if condition == "00" or (person, view) not in unenrolled
    ]
    gallery = [n for n, s in enumerate(sequences) if s.condition == "01"]
    return sequences, gallery, [n for n, s in enumerate(sequences) if s.condition == "00"]


def test_probes_without_an_enrolled_sequence_are_left_out_or_misses() -> None:
    sequences, gallery, probe = oumvlp_walks(4, {(0, "036"), (1, "000"), (1, "036"), (1, "090")})
    signatures = {n: np.eye(8)[[int(s.identity)]] for n, s in enumerate(sequences)}
    results = protocols.evaluate(collected(signatures), sequences, parted("oumvlp", gallery, probe))
    assert results["rank1"]["mean"] == results["rank5"]["mean"] == 100
    # No view has enrolled person 1, so only the three probes of each of the others count.
    assert (results["rank1"]["people"], results["rank1"]["probes"]) == (3, 9)
    # Of 6 cells, 3 lack one of 4 people and 2 lack two: (000, 036) and (090, 036); the other 4 lack person 1 only.
    everybody = results["all_probes"]
    assert everybody["rank1"]["mean"] == everybody["rank5"]["mean"] == pytest.approx((4 * 75 + 2 * 50) / 6)
    assert (everybody["rank1"]["people"], everybody["rank1"]["probes"]) == (4, 12)
    # Person 0's probe in view 036 is not compared with that view's gallery.
    assert results["probes_without_gallery"] == 2 + 3
    assert results["probes"] == 12
    assert results["rank1"]["conditions"] == everybody["rank1"]["conditions"] == {}


def test_no_probe_with_a_gallery_is_an_error() -> None:
    sequences, gallery, probe = oumvlp_walks(2, {(1, view) for view in VIEWS})
    probe = [n for n in probe if sequences[n].identity == "00002"]
    signatures = {n: np.ones((1, 2)) for n in range(len(sequences))}
    with pytest.raises(DataError, match="no probe's identity"):
        protocols.evaluate(collected(signatures), sequences, parted("oumvlp", gallery, probe))


def naive_votes(values, positions, sequences, gallery, probe, distance) -> dict[str, float]:
    """kNN-7 by sorting the Euclidean distances of all gallery samples from every probe sample; by cosine at length 1."""
    values = unit(values.astype(float)) if distance == "cosine" else values.astype(float)
    of_gallery = [n for n, position in enumerate(positions) if position in gallery]
    right: dict[str, list[bool]] = {}
    for position in probe:
        ballots = []
        for n in (n for n, owner in enumerate(positions) if owner == position):
            far = [(np.linalg.norm(values[n] - values[m], axis=-1).mean(), m) for m in of_gallery]
            near = [(sequences[positions[m]].identity, apart) for apart, m in sorted(far)[:7]]
            names = {name for name, _ in near}
            best = min(names, key=lambda who: (-sum(n == who for n, _ in near), sum(d for n, d in near if n == who)))
            ballots.append((best, min(d for n, d in near if n == best)))
        names = {name for name, _ in ballots}
        best = min(names, key=lambda who: (-sum(n == who for n, _ in ballots), sum(d for n, d in ballots if n == who)))
        right.setdefault(sequences[position].kind, []).append(best == sequences[position].identity)
    return {kind: 100 * float(np.mean(hits)) for kind, hits in right.items()}


def tum_walks(people: int, distance: str) -> tuple[list[Sequence], TestSet]:
    now = [f"n0{n}" for n in range(1, 7)] + ["b01", "b02", "s01", "s02"]
    later = [f"n{n:02d}" for n in range(7, 13)] + ["b03", "b04", "s03", "s04"]
    sequences = [Sequence(f"p{person:03d}", condition, "090", 0, 1) for person in range(people) for condition in now + later]
    of = {part: [n for n, s in enumerate(sequences) if s.condition in conditions]
          for part, conditions in (("gallery", now[:4]), ("probe", now[4:]),
                                   ("temporal_gallery", later[:4]), ("temporal_probe", later[4:]))}  # fmt: skip
    return sequences, parted("tum-gaid", distance=distance, **of)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_votes_equal_a_naive_reading(distance: str) -> None:
    sequences, partition = tum_walks(4, distance)
    rng = np.random.default_rng(2)
    positions = [n for n in partition.positions for _ in range(rng.integers(1, 5))]
    centres = rng.normal(size=(4, 1, 6))
    person = [int(sequences[n].identity[1:]) for n in positions]
    values = centres[person] + 1.2 * rng.normal(size=(len(positions), 1, 6))
    values = (rng.lognormal(0, 0.7, (len(positions), 1, 1)) * values).astype(np.float32)
    results = protocols.evaluate(Signatures.collect(positions, [values]), sequences, partition)
    wanted = naive_votes(values, positions, sequences, partition.gallery, partition.probe, distance)
    temporal = partition.temporal_gallery, partition.temporal_probe
    later = naive_votes(values, positions, sequences, *temporal, distance)
    for rates, right in ((results, wanted), (results["temporal"], later)):
        assert {kind: of["rate"] for kind, of in rates["knn7"]["conditions"].items()} == pytest.approx(right)
        assert rates["knn7"]["mean"] == pytest.approx(np.mean(list(right.values())))
        assert 0 < rates["knn7"]["mean"] < 100
        assert set(rates["rank1"]["conditions"]) == set("nbs")
    now = protocols.evaluate(
        Signatures.collect(positions, [values]), sequences, replace(partition, temporal_gallery=[], temporal_probe=[])
    )
    assert now == {measure: rates for measure, rates in results.items() if measure != "temporal"}


def test_the_tables_by_view_average_to_the_published_means() -> None:
    sequences, gallery, probe = walks(4)
    rng = np.random.default_rng(1)
    signatures = {n: np.eye(4)[[int(s.identity)]] + 0.6 * rng.normal(size=(1, 4)) for n, s in enumerate(sequences)}
    partition = parted("casia-b", gallery, probe)
    hits = protocols.identified(collected(signatures), sequences, partition)
    tables = hits.by_view()
    assert (tables["probe"], tables["gallery"]) == (list(VIEWS), list(VIEWS))
    assert set(tables["rank1"]) == {"nm", "bg", "cl"}
    rates = protocols.evaluate(collected(signatures), sequences, partition)
    for kind, table in tables["rank1"].items():
        assert [row[place] for place, row in enumerate(table)] == [None] * 3, "identical views are not counted"
        means = [np.mean([rate for rate in row if rate is not None]) for row in table]
        assert np.mean(means) == pytest.approx(rates["rank1"]["conditions"][kind]["rate"], abs=0.01)
