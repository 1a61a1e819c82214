"""Measures of retrieval against their definitions, and the protocols that report them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait import protocols
from gait.data.prepared.sequences import Sequence
from gait.errors import DataError
from gait.evaluation.retrieval import CURVE, measures
from tests.gait.test_protocols import collected, naive_distance, parted


def by_definition(ranked: list[bool]) -> dict[str, float]:
    """The measures of one probe from its ranked list of right and wrong."""
    right = [place for place, is_right in enumerate(ranked, 1) if is_right]
    result = {f"rank{rank}": float(any(ranked[:rank])) for rank in range(1, CURVE + 1)}
    if not right:
        return {**result, "mAP": np.nan, "mINP": np.nan}
    precision = [sum(ranked[:place]) / place for place in right]
    return {**result, "mAP": sum(precision) / len(right), "mINP": len(right) / right[-1]}


@given(st.lists(st.lists(st.booleans(), max_size=60), min_size=1, max_size=5))
def test_measures_are_those_of_the_ranked_list(lists: list[list[bool]]) -> None:
    most = max(sum(ranked) for ranked in lists)
    positions = np.zeros((len(lists), 1, most), np.int32)
    for row, ranked in enumerate(lists):
        places = np.flatnonzero(ranked) + 1
        positions[row, 0, : len(places)] = places
    by_measure = measures(positions)
    for row, ranked in enumerate(lists):
        wanted = by_definition(ranked)
        assert by_measure.keys() == wanted.keys()
        assert {name: values[row, 0] for name, values in by_measure.items()} == pytest.approx(wanted, nan_ok=True)


def test_measures_of_a_worked_example() -> None:
    # Right ones at 1, 3 and 6: AP = (1/1 + 2/3 + 3/6) / 3, INP = 3 / 6. At 2 and 7: AP = (1/2 + 2/7) / 2, INP = 2 / 7.
    by_measure = measures(np.array([[[1, 3, 6]], [[2, 7, 0]]]))
    np.testing.assert_allclose(by_measure["mAP"][:, 0], [13 / 18, 11 / 28])
    np.testing.assert_allclose(by_measure["mINP"][:, 0], [1 / 2, 2 / 7])
    assert (by_measure["rank1"][:, 0] == [1, 0]).all()
    assert (by_measure["rank2"][:, 0] == 1).all()


def on_a_line(walks: list[tuple[str, str, str, float]]) -> tuple[list[Sequence], dict[int, np.ndarray]]:
    """Walks (person, condition, view, place) whose signatures are places on a line."""
    sequences = [Sequence(*facts, 0, 1) for *facts, _ in walks]
    return sequences, {number: np.array([[place]]) for number, (*_, place) in enumerate(walks)}


def test_the_whole_gallery_is_searched_for_all_measures() -> None:
    sequences, signatures = on_a_line(
        [
            ("a", "nm-01", "000", 0.0),  # looked for
            ("a", "nm-02", "000", 1.0),
            ("b", "nm-02", "000", 2.0),
            ("a", "nm-02", "090", 3.0),
            ("b", "nm-02", "090", -9.0),
        ]
    )
    rates = protocols.evaluate(collected(signatures), sequences, parted("all-views", [1, 2, 3, 4], [0]))
    assert rates["mAP"]["mean"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert rates["mINP"]["mean"] == pytest.approx(100 * 2 / 3)
    assert rates["rank1"]["mean"] == rates["rank20"]["mean"] == 100
    assert rates["cmc"] == [100.0] * CURVE


def test_a_cross_view_gallery_leaves_out_the_same_person_in_the_same_view_and_nobody_else() -> None:
    walks = [
        ("a", "nm-01", "000", 0.0),  # looked for: 1.0 is left out; then b at 2, a at 3, b at 4, a at 5
        ("a", "nm-02", "000", 1.0),
        ("b", "nm-02", "000", 2.0),
        ("a", "bg-02", "036", 3.0),
        ("b", "cl-02", "036", 4.0),
        ("a", "cl-02", "036", 5.0),
    ]
    sequences, signatures = on_a_line(walks)
    for protocol in ("casia-b-cross-view-gallery", "oumvlp-cross-view-gallery"):
        rates = protocols.evaluate(collected(signatures), sequences, parted(protocol, [1, 2, 3, 4, 5], [0]))
        assert rates["rank1"]["mean"] == 0
        assert rates["rank5"]["mean"] == 100
        assert rates["mAP"]["mean"] == pytest.approx(100 * (1 / 2 + 2 / 4) / 2)
        assert rates["mINP"]["mean"] == pytest.approx(100 * 2 / 4)
        assert rates["cmc"][:3] == [0, 100, 100]
        assert list(rates["mAP"]["conditions"]) == (["nm"] if protocol.startswith("casia") else [])


def test_a_probe_that_nobody_enrolled_misses_and_has_no_precision() -> None:
    sequences, signatures = on_a_line(
        [("a", "nm-01", "000", 0.0), ("b", "nm-01", "000", 8.0), ("b", "nm-02", "036", 9.0), ("c", "nm-02", "036", 1.0)]
    )
    rates = protocols.evaluate(collected(signatures), sequences, parted("all-views", [2, 3], [0, 1]))
    assert rates["rank1"]["mean"] == 50
    assert rates["rank1"]["probes"] == 2
    assert rates["mAP"]["mean"] == 100
    assert rates["mAP"]["probes"] == 1


def test_means_of_a_cross_view_gallery_are_over_views_then_over_conditions() -> None:
    rng = np.random.default_rng(0)
    conditions = ("nm-01", "nm-02", "bg-01", "bg-02", "cl-01", "cl-02")
    sequences = [
        Sequence(f"{person}", condition, view, 0, 1)
        for person in range(7)
        for condition in conditions
        for view in ("000", "036", "090")
        if (person, view, condition) not in ((1, "090", "nm-01"), (3, "036", "cl-01"))
    ]
    signatures = {n: rng.normal(size=(2, 3)) + 1.5 * int(walk.identity) for n, walk in enumerate(sequences)}
    gallery = [n for n, walk in enumerate(sequences) if walk.condition.endswith("2")]
    probe = [n for n, walk in enumerate(sequences) if walk.condition.endswith("1")]
    of_conditions = {}
    for kind in ("nm", "bg", "cl"):
        views = []
        for view in ("000", "036", "090"):
            rates = []
            for p in (n for n in probe if sequences[n].kind == kind and sequences[n].view == view):
                others = [g for g in gallery if sequences[g].view != view or sequences[g].identity != sequences[p].identity]
                others.sort(key=lambda g, p=p: naive_distance(signatures[p], signatures[g], "euclidean"))
                rates.append(by_definition([sequences[g].identity == sequences[p].identity for g in others])["mAP"])
            views.append(np.mean(rates))
        of_conditions[kind] = 100 * np.mean(views)
    rates = protocols.evaluate(collected(signatures), sequences, parted("casia-b-cross-view-gallery", gallery, probe))
    assert {kind: of["rate"] for kind, of in rates["mAP"]["conditions"].items()} == pytest.approx(of_conditions)
    assert rates["mAP"]["mean"] == pytest.approx(np.mean(list(of_conditions.values())))
    low, high = rates["mAP"]["interval"]
    assert low < rates["mAP"]["mean"] < high


def test_one_view_alone_is_refused() -> None:
    sequences, signatures = on_a_line([("a", "nm-01", "000", 0.0), ("a", "nm-02", "000", 1.0)])
    with pytest.raises(DataError, match="only one view"):
        protocols.evaluate(collected(signatures), sequences, parted("casia-b-cross-view-gallery", [1], [0]))


def test_gait3d_is_over_all_probes_alike_and_leaves_out_no_camera() -> None:
    walks = [
        ("a", "camid0_videoid2", "seq0", 0.0),  # looked for: b at 1, a at 2
        ("b", "camid1_videoid0", "seq0", 1.0),
        ("a", "camid0_videoid2", "seq1", 2.0),
        ("b", "camid1_videoid0", "seq1", 1.2),  # looked for: b at 0.2
        ("b", "camid1_videoid0", "seq2", 0.9),  # looked for: b at 0.1
    ]
    sequences, signatures = on_a_line(walks)
    rates = protocols.evaluate(collected(signatures), sequences, parted("gait3d", [1, 2], [0, 3, 4]))
    assert rates["rank1"]["mean"] == pytest.approx(100 * 2 / 3)  # of probes; a mean over cameras would be 50
    assert rates["mAP"]["mean"] == pytest.approx(100 * (1 / 2 + 1 + 1) / 3)
    assert rates["mINP"]["mean"] == rates["mAP"]["mean"]
    assert rates["rank1"]["conditions"] == rates["mAP"]["conditions"] == {}
    assert rates["rank1"]["probes"] == 3
