import numpy as np
import pytest

from gait.data.sequences import Sequence
from gait.errors import DataError
from gait.evaluation import protocols

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


def naive_rank1(signatures, sequences, gallery, probe, kind) -> float:
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
                gaps = [
                    np.mean([np.linalg.norm(one / np.linalg.norm(one) - other / np.linalg.norm(other))
                             for one, other in zip(signatures[p], signatures[g], strict=True)])
                    for g in candidates
                ]  # fmt: skip
                hits.append(sequences[candidates[int(np.argmin(gaps))]].identity == sequences[p].identity)
            cells.append(100 * np.mean(hits))
        rows.append(np.mean(cells))
    return float(np.mean(rows))


def test_rank1_equals_a_naive_reading_of_the_protocol() -> None:
    sequences, gallery, probe = walks(4)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 5, 8))
    signatures = {n: centres[int(s.identity)] + 2.5 * rng.normal(size=(5, 8)) for n, s in enumerate(sequences)}
    found = protocols.evaluate(signatures, sequences, gallery, probe)
    for kind in ("nm", "bg", "cl"):
        assert found[f"rank1_{kind}"] == pytest.approx(naive_rank1(signatures, sequences, gallery, probe, kind))
    assert 0 < found["rank1_mean"] < 100
    assert found["rank1_mean_low"] <= found["rank1_mean"] <= found["rank1_mean_high"]
    assert found["probes"] == len(probe)


def test_identical_views_are_excluded() -> None:
    sequences, gallery, probe = walks(3)
    # Each view has its own signature for everyone: only identical views could identify anybody.
    signatures = {
        n: np.eye(9)[[3 * VIEWS.index(s.view) + int(s.identity)]] if n in gallery else np.eye(9)[[0]]
        for n, s in enumerate(sequences)
    }
    result = protocols.casia_b(signatures, sequences, gallery, probe)
    assert np.isnan(np.diag(result.table("nm"))).all()
    assert not np.isnan(result.table("nm")[~np.eye(3, dtype=bool)]).any()


def test_perfect_and_constant_signatures_are_the_two_ends() -> None:
    sequences, gallery, probe = walks(5)
    perfect = {n: np.eye(5)[[int(s.identity)]] for n, s in enumerate(sequences)}
    assert protocols.evaluate(perfect, sequences, gallery, probe)["rank1_mean"] == 100
    constant = {n: np.ones((1, 3)) for n in range(len(sequences))}
    assert protocols.evaluate(constant, sequences, gallery, probe)["rank1_mean"] == pytest.approx(20)


def test_a_single_view_or_an_empty_gallery_is_an_error() -> None:
    sequences, gallery, probe = walks(2)
    one = [n for n, s in enumerate(sequences) if s.view == "090"]
    signatures = {n: np.ones((1, 2)) for n in range(len(sequences))}
    with pytest.raises(DataError, match="only one view"):
        protocols.casia_b(signatures, sequences, [n for n in gallery if n in one], [n for n in probe if n in one])
    with pytest.raises(DataError, match="no gallery"):
        protocols.casia_b(signatures, sequences, [], probe)
