"""How much time and memory recognition rates take, beside the double loop over views that the field uses.

Embeddings have the shape of GaitSet's on CASIA-B's test people: 5,485 sequences of 62 parts x 256, raw as a network gives
them: no part is scaled to length 1. Measures of retrieval (CMC, mAP, mINP) are those of the cross-view gallery, beside a
loop over probes that sorts each one's distances. The bound is the time that the multiply-adds of all distances take at this
machine's rate of float32 matrix products. All times are of one thread and of the same run, in turns, the shortest of each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, get_args

# Threads of a matrix product are fixed when numpy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

from gait.data.prepared.sequences import Sequence
from gait.data.prepared.sets import Distance, TestSet
from gait.evaluation.blocks import Search
from gait.evaluation.positions import positions
from gait.evaluation.ranking import closer_wrong
from gait.evaluation.retrieval import measures
from gait.evaluation.signatures import Signatures
from gait.protocols import evaluate

PEOPLE, VIEWS, MISSING = 50, 11, 15
CONDITIONS = ("nm",) * 6 + ("bg",) * 2 + ("cl",) * 2
PARTS, CHANNELS = 62, 256
REPEATS = 3
RETRIEVAL = ("rank1", "mAP", "mINP")
OUMVLP_PEOPLE, OUMVLP_VIEWS, OUMVLP_ASKED = 5154, 14, 64  # people, and how many of them are looked for here
MB = 1e6


class Test:
    """Who walks how in which view, in the order of CASIA-B's folders."""

    def __init__(self) -> None:
        count = PEOPLE * len(CONDITIONS) * VIEWS
        kept = np.delete(np.arange(count), np.random.default_rng(0).choice(count, MISSING, replace=False))
        walk = kept // VIEWS % len(CONDITIONS)
        self.person, self.view = kept // (VIEWS * len(CONDITIONS)), kept % VIEWS
        self.kind = np.array(CONDITIONS)[walk]
        self.gallery, self.probe = np.flatnonzero(walk < 4), np.flatnonzero(walk >= 4)

    def search(self, ranks: tuple[int, ...]) -> Search:
        own_view = self.view[self.probe, None] == np.arange(VIEWS)
        return Search(self.probe, self.gallery, self.person, self.view[self.gallery], own_view, ranks)

    def comparisons(self) -> int:
        return sum(
            int((self.view[self.probe] != view).sum()) * int((self.view[self.gallery] == view).sum())
            for view in range(VIEWS)
        )

    def test_set(self, protocol: str) -> tuple[list[Sequence], TestSet]:
        """The sequences and the test set, as the stages have them."""
        facts = zip(self.person, self.kind, self.view, strict=True)
        sequences = [Sequence(f"{person:03d}", str(kind), f"{18 * view:03d}", 0, 1) for person, kind, view in facts]
        positions = self.gallery.tolist(), self.probe.tolist()
        return sequences, TestSet("gaitset", "silhouette", "", "casia-b", "synthetic", protocol, "euclidean", *positions)


def random_embeddings(test: Test) -> np.ndarray:
    """At random, so that no person is recognised; some walks have longer signatures, as some have more frames."""
    values = np.empty((len(test.person), PARTS, CHANNELS), np.float32)
    rng = np.random.default_rng(1)
    for row in values:
        row[:] = rng.standard_normal(row.shape, np.float32)
        row *= np.float32(rng.lognormal(0, 0.1))
    return values


def clustered_embeddings(test: Test) -> np.ndarray:
    """Like a trained model's: each part spans 128 directions of falling weight, as those of GaitSet's last layer; a walk is
    off its person's centre in some ways common to all parts, more so in other clothes."""
    rng = np.random.default_rng(2)
    values = np.empty((len(test.person), PARTS, CHANNELS), np.float32)
    weight = (np.arange(1, 129) ** -0.5).astype(np.float32)
    off = np.select([test.kind == "nm", test.kind == "bg"], [0.45, 0.6], 0.9) * rng.lognormal(0, 0.25, len(values))
    far = off.astype(np.float32)[:, None]
    manner = far * rng.standard_normal((len(values), 16), np.float32)
    build = rng.standard_normal((PEOPLE, 16), np.float32)
    for part in range(PARTS):
        common, directions = rng.standard_normal((16, 128), np.float32) / 4, rng.standard_normal((128, CHANNELS), np.float32)
        centres = 0.6 * rng.standard_normal((PEOPLE, 128), np.float32) + 0.8 * build @ common
        latent = centres[test.person] + 1.2 * manner @ common
        latent += 0.8 * far * rng.standard_normal(latent.shape, np.float32)
        values[:, part] = latent * weight @ directions
    return values


def plain_cell(
    values: np.ndarray,
    test: Test,
    probe_view: int,
    gallery_view: int,
    ranks: tuple[int, ...],
    distance: Distance = "euclidean",
    kind: type = np.float32,
) -> list[list[float]]:
    """For each condition the rate of each rank for a pair of views, by the whole matrix of distances: conditions x ranks."""
    gallery = test.gallery[test.view[test.gallery] == gallery_view]
    rates = []
    for condition in sorted(set(CONDITIONS)):
        probe = test.probe[(test.view[test.probe] == probe_view) & (test.kind[test.probe] == condition)]
        far = plain_distances(values[probe], values[gallery], distance, kind)
        nearest = far.argmin(1)[:, None] if ranks == (1,) else far.argsort(1, kind="stable")
        right = test.person[gallery[nearest]] == test.person[probe, None]
        rates.append([right[:, :rank].any(1).mean() for rank in ranks])
    return rates


def plain_distances(ours: np.ndarray, theirs: np.ndarray, distance: Distance, kind: type) -> np.ndarray:
    """The published definition, part by part, in the arithmetic of ``kind``: [ours, theirs]."""
    total: np.ndarray = np.zeros((len(ours), len(theirs)), kind)
    for part in range(ours.shape[1]):
        x: np.ndarray = ours[:, part].astype(kind, copy=False)
        y: np.ndarray = theirs[:, part].astype(kind, copy=False)
        if distance == "cosine":
            total += (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (y / np.linalg.norm(y, axis=1, keepdims=True)).T
        else:
            squared = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * (x @ y.T)
            total += np.sqrt(np.maximum(squared, 0))
    return 1 - total / ours.shape[1] if distance == "cosine" else total / ours.shape[1]


def tables(test: Test, ranks: tuple[int, ...], cell: Callable[[int, int], np.ndarray | list[list[float]]]) -> np.ndarray:
    """Rates [probe views, gallery views, conditions, ranks], NaN where the views are identical."""
    rates = np.full((VIEWS, VIEWS, len(set(CONDITIONS)), len(ranks)), np.nan)
    for probe_view, gallery_view in np.argwhere(~np.eye(VIEWS, dtype=bool)).tolist():
        rates[probe_view, gallery_view] = cell(probe_view, gallery_view)
    return rates


def double_loop(
    values: np.ndarray, test: Test, ranks: tuple[int, ...], distance: Distance = "euclidean", kind: type = np.float32
) -> np.ndarray:
    """The tables, cell by cell."""
    return tables(test, ranks, lambda ours, theirs: plain_cell(values, test, ours, theirs, ranks, distance, kind))


def counted(values: np.ndarray, test: Test, ranks: tuple[int, ...], distance: Distance = "euclidean") -> np.ndarray:
    """The tables, by counting who is closer than the right person."""
    closer = closer_wrong(values, test.search(ranks), distance)
    conditions, views = test.kind[test.probe], test.view[test.probe]

    def cell(probe_view: int, gallery_view: int) -> list[list[float]]:
        of_view = closer[views == probe_view, gallery_view]
        groups = [of_view[conditions[views == probe_view] == condition] for condition in sorted(set(CONDITIONS))]
        return [[((group >= 0) & (group < rank)).mean() for rank in ranks] for group in groups]

    return tables(test, ranks, cell)


def retrieval_loop(values: np.ndarray, test: Test, kind: type = np.float32) -> dict[str, np.ndarray]:
    """Rank-1, average precision and inverse negative penalty of each probe, by sorting its distances to all other views."""
    result = {name: np.empty(len(test.probe)) for name in RETRIEVAL}
    view, person = test.view[test.gallery], test.person[test.gallery]
    for probe_view in range(VIEWS):
        rows = np.flatnonzero(test.view[test.probe] == probe_view)
        far = plain_distances(values[test.probe[rows]], values[test.gallery], "euclidean", kind)
        for row, distances in zip(rows, far, strict=True):
            own = person == test.person[test.probe[row]]
            kept = ~own | (view != probe_view)
            ranked = own[kept][np.argsort(distances[kept], kind="stable")]
            places = np.flatnonzero(ranked) + 1
            result["rank1"][row] = ranked[0]
            result["mAP"][row] = (np.arange(1, len(places) + 1) / places).mean()
            result["mINP"][row] = len(places) / places[-1]
    return result


def retrieval(values: np.ndarray, test: Test) -> dict[str, Any]:
    """The times of all measures of retrieval in one pass and by the loop, in turns, and whether they are the same."""
    plain: list[tuple[float, dict[str, np.ndarray]]] = []
    quick: list[tuple[float, dict[str, np.ndarray]]] = []
    for _ in range(REPEATS):
        plain.append(timed(lambda: retrieval_loop(values, test)))
        quick.append(timed(lambda: measures(positions(values, test.search((1,)), pooled=True))))
    reference, seconds = (min(seconds for seconds, _ in times) for times in (plain, quick))
    exact = retrieval_loop(values, test, np.float64)
    ours = {name: quick[0][1][name][:, 0] for name in RETRIEVAL}
    return {
        "probes": len(test.probe),
        "equal": {name: int(np.isclose(ours[name], exact[name], rtol=1e-12).sum()) for name in RETRIEVAL},
        "equal_in_float32": {name: int(np.isclose(plain[0][1][name], exact[name], rtol=1e-12).sum()) for name in RETRIEVAL},
        **{name: round(100 * float(ours[name].mean()), 2) for name in RETRIEVAL},
        "reference_s": round(reference, 3),
        "ours_s": round(seconds, 3),
        "speedup_1thread": round(reference / seconds, 2),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def product_rate() -> float:
    """Multiply-adds a second of a large float32 matrix product."""
    matrix = np.random.default_rng(0).standard_normal((2048, 2048), np.float32)
    room = np.empty_like(matrix)
    return 2048**3 / min(timed(lambda: np.matmul(matrix, matrix, out=room))[0] for _ in range(3))


def compared(values: np.ndarray, test: Test, ranks: tuple[int, ...]) -> dict[str, Any]:
    """The times of both ways, in turns, and whether they give the same rates."""
    plain: list[tuple[float, np.ndarray]] = []
    quick: list[tuple[float, np.ndarray]] = []
    product_rates: list[float] = []
    for _ in range(REPEATS):
        product_rates.append(product_rate())
        plain.append(timed(lambda: double_loop(values, test, ranks)))
        quick.append(timed(lambda: counted(values, test, ranks)))
    bound = test.comparisons() * PARTS * CHANNELS / max(product_rates)
    reference, seconds = (min(seconds for seconds, _ in times) for times in (plain, quick))
    expected, rates = plain[0][1], quick[0][1]
    differing = np.argwhere((expected != rates).any((2, 3)) & ~np.isnan(expected).any((2, 3))).tolist()
    exact = [
        plain_cell(values, test, ours, theirs, ranks, kind=np.float64) == rates[ours, theirs].tolist()
        for ours, theirs in differing
    ]
    return {
        "identical": not differing,
        "cells_that_float32_decides_wrong": sum(exact),
        "exact": all(exact),
        **{f"rank{rank}": round(100 * float(np.nanmean(rates[..., place])), 2) for place, rank in enumerate(ranks)},
        "reference_s": round(reference, 3),
        "ours_s": round(seconds, 3),
        "bound_s": round(bound, 3),
        "speedup_1thread": round(reference / seconds, 2),
        "limit_ratio_1thread": round(seconds / bound, 2),
    }


def tables_as_published(values: np.ndarray, test: Test) -> dict[str, Any]:
    """Whether every cell of rank 1 and rank 5 is that of the published definition in double precision, by each distance."""
    figures: dict[str, Any] = {}
    for distance in get_args(Distance):
        expected = double_loop(values, test, (1, 5), distance, np.float64)
        ours = counted(values, test, (1, 5), distance)
        filled = ~np.isnan(expected)
        means = {f"rank{rank}": round(100 * float(np.nanmean(ours[..., n])), 2) for n, rank in enumerate((1, 5))}
        figures[distance] = {"cells": int(filled.sum()), "equal": int((expected == ours)[filled].sum()), **means}
    return figures


def resident_mb() -> float:
    """The most memory that this process has had in use, as Linux counts it."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MB


def peak(make: Callable[[Test], np.ndarray], protocol: str = "casia-b") -> dict[str, float]:
    """The most memory that embeddings and their evaluation by a protocol take, beyond what Python, the imports and the room
    that matrix products need had taken before."""
    product_rate()
    before = resident_mb()
    test = Test()
    signatures = Signatures(make(test), np.arange(len(test.person)))
    evaluate(signatures, *test.test_set(protocol))
    most, embeddings = resident_mb() - before, signatures.values.nbytes / MB
    return {"peak_mb": round(most, 1), "embeddings_mb": round(embeddings, 1), "beyond_mb": round(most - embeddings, 1)}


def in_a_fresh_process(part: str) -> dict[str, Any]:
    """The figures of a part of this benchmark, which runs in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.evaluation", "--part", part], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def oumvlp() -> dict[str, Any]:
    """Some probes of OU-MVLP's test people against the whole gallery of 5154 x 14, whose embeddings are in a file."""
    rows = (OUMVLP_PEOPLE + OUMVLP_ASKED) * OUMVLP_VIEWS
    rng = np.random.default_rng(3)
    weight = np.arange(1, 129, dtype=np.float32) ** -0.5
    directions = rng.standard_normal((PARTS, 128, CHANNELS), np.float32) * weight[:, None]
    centres = np.random.default_rng(4)
    with tempfile.TemporaryFile() as file:
        values = np.memmap(file, np.float32, "w+", shape=(rows, PARTS, CHANNELS))
        probes = values[OUMVLP_PEOPLE * OUMVLP_VIEWS :]
        for number in range(OUMVLP_PEOPLE):
            centre = centres.standard_normal((PARTS, 1, 128), np.float32)
            start = number * OUMVLP_VIEWS
            targets = [values[start:], probes[start:]] if number < OUMVLP_ASKED else [values[start:]]
            for target in targets:
                latent = centre + 0.7 * rng.standard_normal((PARTS, OUMVLP_VIEWS, 128), np.float32)
                embeddings = (latent @ directions).swapaxes(0, 1)
                target[:OUMVLP_VIEWS] = embeddings
        place = np.arange(rows)
        person, view = place // OUMVLP_VIEWS % OUMVLP_PEOPLE, place % OUMVLP_VIEWS
        gallery, probe = place[: OUMVLP_PEOPLE * OUMVLP_VIEWS], place[OUMVLP_PEOPLE * OUMVLP_VIEWS :]
        search = Search(probe, gallery, person, view[gallery], view[probe, None] == np.arange(OUMVLP_VIEWS), (1,))
        seconds, closer = timed(lambda: closer_wrong(values, search))
        size = values.nbytes
    comparisons = len(probe) * len(gallery) * (OUMVLP_VIEWS - 1) // OUMVLP_VIEWS
    return {
        "file_mb": round(size / MB),
        "probes": len(probe),
        "rank1": round(100 * float((closer[~search.excluded] == 0).mean()), 1),
        "seconds": round(seconds, 1),
        "million_comparisons_per_s": round(comparisons / seconds / 1e6, 2),
        "limit_ratio_1thread": round(seconds / (comparisons * PARTS * CHANNELS / product_rate()), 2),
        "all_probes_min": round(seconds * OUMVLP_PEOPLE / OUMVLP_ASKED / 60, 1),
    }


# The parts that run in a process of their own.
ALONE: dict[str, Callable[[], dict[str, Any]]] = {
    "peak-random": lambda: peak(random_embeddings),
    "peak-clustered": lambda: peak(clustered_embeddings),
    "peak-retrieval": lambda: peak(clustered_embeddings, "casia-b-cross-view-gallery"),
    "oumvlp": oumvlp,
}


def measure() -> dict[str, Any]:
    """Everything; the figures at the top are those of random embeddings at rank 1."""
    test = Test()
    values = random_embeddings(test)
    result = {"benchmark": "evaluation", "sequences": len(values), "normalised": False, **compared(values, test, (1,))}
    result["random_rank5"] = compared(values, test, (1, 5))
    result["random_tables"] = tables_as_published(values, test)
    result["random_retrieval"] = retrieval(values, test)
    values = clustered_embeddings(test)
    result["clustered"] = compared(values, test, (1,))
    result["clustered_rank5"] = compared(values, test, (1, 5))
    result["clustered_tables"] = tables_as_published(values, test)
    result["clustered_retrieval"] = retrieval(values, test)
    del values
    result |= max((in_a_fresh_process(part) for part in ("peak-random", "peak-clustered")), key=lambda part: part["peak_mb"])
    result["peak_ratio"] = round(result["peak_mb"] / result["embeddings_mb"], 3)
    result["retrieval_peak"] = in_a_fresh_process("peak-retrieval")
    result["oumvlp"] = in_a_fresh_process("oumvlp")
    return result


def sentence(name: str, figures: dict[str, Any]) -> str:
    """A comparison in words."""
    same = "the same rates" if figures["identical"] else "the rates of float64" if figures["exact"] else "OTHER RATES"
    return (
        f"{name:32} {figures['reference_s']:6.2f} s by the double loop, {figures['ours_s']:6.2f} s here: "
        f"{figures['speedup_1thread']:.2f} x as fast, {figures['limit_ratio_1thread']:.2f} x the bound; {same}, "
        f"rank-1 {figures['rank1']} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--part", choices=list(ALONE), help="only this part, as JSON")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(ALONE[options.part]()))
        return
    result = measure()
    if not options.json:
        print(sentence("random, rank 1", result))
        print(sentence("random, ranks 1 and 5", result["random_rank5"]))
        print(sentence("like a trained model's, rank 1", result["clustered"]))
        print(sentence("the same, ranks 1 and 5", result["clustered_rank5"]))
        for name in ("random_retrieval", "clustered_retrieval"):
            figures = result[name]
            means = ", ".join(f"{measure} {figures[measure]} %" for measure in RETRIEVAL)
            print(
                f"{name}: {figures['reference_s']:.2f} s by sorting, {figures['ours_s']:.2f} s here: "
                f"{figures['speedup_1thread']:.2f} x as fast; {means}; exact, of {figures['probes']} probes: "
                f"{', '.join(f'{count} {measure}' for measure, count in figures['equal'].items())}"
            )
        for name in ("random_tables", "clustered_tables"):
            for distance, cells in result[name].items():
                print(f"{name}, {distance}: {cells['equal']} of {cells['cells']} cells as in double precision")
        print(f"memory: {result['peak_mb']} MB for {result['embeddings_mb']} MB of embeddings, {result['peak_ratio']} x")
        oumvlp_test = result["oumvlp"]
        minutes = oumvlp_test["all_probes_min"]
        print(f"OU-MVLP: {oumvlp_test['probes']} probes in {oumvlp_test['seconds']} s, so all in about {minutes} min")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
