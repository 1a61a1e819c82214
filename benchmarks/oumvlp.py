"""How long the whole test of OU-MVLP takes, and how much memory, from signatures in a file to the rates.

133,780 signatures of 62 parts x 256, as GaitSet's of OU-MVLP's 5,154 test people, made at random about a centre of each, in
a file of 8.5 GB that is mapped into memory. The test is the protocol's own: rank-1 and rank-5 of each probe in every other
view, with and without probes whose person is not enrolled there, intervals, and strangers. The double loop that the field
uses is timed on one of the 182 pairs of views, with as many threads, and counted for all; on a part of that pair, ranks by
double precision must be the same. The bound is the time of the multiply-adds of all distances at this machine's rate of
float32 matrix products.

    python -m benchmarks.oumvlp --threads 2         # about 20 minutes on two cores, and 8.5 GB in TMPDIR
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.evaluation import CHANNELS, MB, PARTS, plain_distances, product_rate
from gait import protocols
from gait.data.prepared.sequences import Sequence
from gait.data.prepared.sets import TestSet
from gait.evaluation.signatures import Signatures
from gait.protocols import oumvlp

PEOPLE, VIEWS, SEQUENCES = 5154, 14, 133_780
ANGLES = [f"{angle:03d}" for angle in (*range(0, 91, 15), *range(180, 271, 15))]
OFF = 0.43  # by how much walks are off: rank-1 is then about as published
PRECISE = 200  # probes whose ranks are compared with those of double precision


class MostMemory:
    """The most memory that this process has had of its own while this was open, without pages of mapped files, in bytes."""

    def __enter__(self) -> MostMemory:
        self.before = self.most = _own_memory()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, _own_memory())


def _own_memory() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = (line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def walks(people: int, count: int) -> list[Sequence]:
    """The test people's walks 00 and 01 in all views, without as many as the dataset lacks."""
    numbers = [*range(2, 10307, 2), 10307][:people]
    places = [(f"{number:05d}", walk, view) for number in numbers for walk in ("00", "01") for view in ANGLES]
    kept = np.sort(np.random.default_rng(3).choice(len(places), min(count, len(places)), replace=False))
    named = (places[place] for place in kept.tolist())
    return [Sequence(who, walk, view, row, 1) for row, (who, walk, view) in enumerate(named)]


def fill(values: np.ndarray, sequences: list[Sequence]) -> None:
    """Write the signatures: each part spans 128 directions of falling weight, as those of GaitSet's last layer. A walk is
    off its person's centre in some ways common to all parts, by an amount of its own."""
    rng = np.random.default_rng(4)
    weight = (np.arange(1, 129) ** -0.5).astype(np.float32)
    directions = rng.standard_normal((PARTS, 128, CHANNELS), np.float32) * weight[:, None]
    common = rng.standard_normal((PARTS, 16, 128), np.float32) / 4
    identities = np.array([sequence.identity for sequence in sequences])
    starts = np.flatnonzero(np.r_[True, identities[1:] != identities[:-1]])
    for start, end in zip(starts, [*starts[1:], len(sequences)], strict=True):
        centre = (
            0.6 * rng.standard_normal((PARTS, 1, 128), np.float32) + 0.8 * rng.standard_normal((1, 16), np.float32) @ common
        )
        far = OFF * rng.lognormal(0, 0.25, (end - start, 1)).astype(np.float32)
        latent = centre + 1.2 * (far * rng.standard_normal((end - start, 16), np.float32)) @ common
        latent += 0.8 * far * rng.standard_normal(latent.shape, np.float32)
        values[start:end] = (latent @ directions).swapaxes(0, 1)


def measure(threads: int, people: int, count: int) -> dict[str, Any]:
    sequences = walks(people, count)
    parts = oumvlp.partition(_with_training_walk(sequences), [], {}, oumvlp.Settings())
    test = TestSet(
        "gaitset", "silhouette", "", "oumvlp", "synthetic", "oumvlp", "euclidean", parts["gallery"], parts["probe"]
    )
    with tempfile.TemporaryFile() as file, threadpool_limits(threads, "blas"):
        values = np.memmap(file, np.float32, "w+", shape=(len(sequences), PARTS, CHANNELS))
        fill(values, sequences)
        signatures = Signatures(values, np.arange(len(sequences)))
        rate = product_rate()
        with MostMemory() as memory:
            start = time.perf_counter()
            hits = protocols.identified(signatures, sequences, test, threads)
            searched = time.perf_counter()
            rates = protocols.rates(hits, signatures, sequences, test, threads)
            ended = time.perf_counter()
        view = np.array([sequence.view for sequence in sequences])
        gallery, probe = np.array(test.gallery), np.array(test.probe)
        comparisons = sum(int((view[probe] != name).sum()) * int((view[gallery] == name).sum()) for name in ANGLES)
        cell = double_loop(
            values, sequences, gallery[view[gallery] == ANGLES[1]], probe[view[probe] == ANGLES[0]], hits, probe
        )
    loop_s = cell["seconds"] * comparisons / cell["comparisons"]
    seconds = ended - start
    return {
        "benchmark": "oumvlp",
        "sequences": len(sequences),
        "file_mb": round(values.nbytes / MB),
        "probes": len(probe),
        "threads": threads,
        "rank1": round(rates["rank1"]["mean"], 2),
        "rank5": round(rates["rank5"]["mean"], 2),
        "minutes": round(seconds / 60, 2),
        "of_these_ranks_min": round((searched - start) / 60, 2),
        "double_loop_min": round(loop_s / 60, 2),
        "speedup": round(loop_s / seconds, 2),
        "limit_ratio": round((searched - start) * rate / (comparisons * PARTS * CHANNELS), 2),
        "beyond_file_mb": round((memory.most - memory.before) / MB, 1),
        "equal_to_double_precision": cell["equal"],
        "of_probes": cell["asked"],
    }


def _with_training_walk(sequences: list[Sequence]) -> list[Sequence]:
    """The walks, and one of a training person at the end, without whom the protocol has nobody to train."""
    return [*sequences, Sequence("00001", "00", ANGLES[0], len(sequences), 1)]


def double_loop(
    values: np.ndarray, sequences: list[Sequence], gallery: np.ndarray, probe: np.ndarray, hits: Any, probes: np.ndarray
) -> dict[str, Any]:
    """The time of one pair of views by the whole matrix of distances, and how many probes have the ranks of ``hits``."""
    person = np.array([sequence.identity for sequence in sequences])
    enrolled, asked = np.ascontiguousarray(values[gallery]), np.ascontiguousarray(values[probe])
    start = time.perf_counter()
    order = plain_distances(asked, enrolled, "euclidean", np.float32).argsort(1, kind="stable")[:, :5]
    (person[gallery[order]] == person[probe, None]).any(1)
    seconds = time.perf_counter() - start
    some = np.flatnonzero(np.isin(person[probe], person[gallery]))[:PRECISE]
    order = plain_distances(asked[some], enrolled, "euclidean", np.float64).argsort(1, kind="stable")[:, :5]
    right = person[gallery[order]] == person[probe[some], None]
    rows, column = np.searchsorted(probes, probe[some]), hits.gallery_views.tolist().index(ANGLES[1])
    equal = [hits.hits[f"rank{rank}"][rows, column] == right[:, :rank].any(1) for rank in (1, 5)]
    return {
        "seconds": seconds,
        "comparisons": len(probe) * len(gallery),
        "asked": len(some),
        "equal": int((equal[0] & equal[1]).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of both ways (default: 1)")
    parser.add_argument("--people", type=int, default=PEOPLE, help="fewer, to try it (default: all 5154)")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    figures = measure(options.threads, options.people, SEQUENCES * options.people // PEOPLE)
    if not options.json:
        print(
            f"{figures['sequences']:,} sequences, {figures['file_mb']} MB: {figures['minutes']} min, "
            f"{figures['speedup']} x as fast as the double loop ({figures['double_loop_min']} min), ranks at "
            f"{figures['limit_ratio']} x the bound, {figures['beyond_file_mb']} MB beyond the file; "
            f"{figures['equal_to_double_precision']} of {figures['of_probes']} probes as in double precision; "
            f"rank-1 {figures['rank1']} %"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
