"""How long a test takes from the stored frames to the table: CASIA-B's whole one, and OU-MVLP's from a part of it."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.measuring import synchronised
from benchmarks.gpu.parts import Context
from benchmarks.gpu.settings import network
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.prepared.sets import TestSet
from gait.embedding import embed
from gait.evaluation.blocks import Search
from gait.evaluation.search import closer_wrong
from gait.processes import Processes
from gait.protocols import evaluate

# CASIA-B's test: 50 people, 10 walks in 11 views, of which 15 are missing: 5,485 sequences. OpenGait reports 15 s for it
# on two GTX 1080 Ti, and 2 minutes for OU-MVLP's on eight.
PEOPLE, VIEWS, MISSING, CASIA_B_S = 50, 11, 15, 15.0
CONDITIONS = ("nm-01", "nm-02", "nm-03", "nm-04", "nm-05", "nm-06", "bg-01", "bg-02", "cl-01", "cl-02")
FRAMES = (50, 110)  # the least and the most of a sequence
# OU-MVLP's: 5,154 people in 14 views, walks 00 and 01, of which some are missing: 133,780 sequences.
OUMVLP_PEOPLE, OUMVLP_VIEWS, OUMVLP_SEQUENCES, OUMVLP_S = 5154, 14, 133_780, 120.0
OUMVLP_FRAMES = (18, 35)
OUMVLP_EMBEDDED, OUMVLP_ASKED = 1500, 64  # sequences that are embedded, and people who are looked for in the whole gallery
PARTS, CHANNELS = 62, 256  # of GaitSet's signatures


def _walks(people: int, conditions: tuple[str, ...], views: int, missing: int) -> list[tuple[str, str, str]]:
    """The walks of a test: who walks, in which condition and view."""
    everything = [
        (f"{person:05d}", condition, f"{view:03d}")
        for person in range(people)
        for condition in conditions
        for view in range(views)
    ]
    left_out = set(np.random.default_rng(0).choice(len(everything), missing, replace=False).tolist())
    return [walk for place, walk in enumerate(everything) if place not in left_out]


def _store(folder: Path, walks: list[tuple[str, str, str]], frames: tuple[int, int]) -> SequenceStore:
    """A store of random squares, which make as much work as people's silhouettes."""
    rng = np.random.default_rng(0)
    squares = 255 * (rng.random((4 * frames[1], 8, 8)) < 0.4).astype(np.uint8)
    pool = squares.repeat(8, 1).repeat(8, 2)
    writer = StoreWriter(folder, (64, 64), "uint8")
    for walk in walks:
        start = int(rng.integers(len(pool) - frames[1]))
        writer.add(*walk, pool[start : start + int(rng.integers(frames[0], frames[1] + 1))])
    facts: dict[str, Any] = {"identities": [], "split": {}, "settings": {"kind": "silhouette", "pixels": 64}}
    writer.close(modality="silhouette", dataset="made", evidence="synthetic", fps=25, **facts)
    return SequenceStore.open(folder)


def casia_b(context: Context) -> None:
    """Embedding and table of a test of CASIA-B's size, by Baseline and GaitSet with random weights."""
    walks = _walks(3, CONDITIONS, 3, 2) if context.tiny else _walks(PEOPLE, CONDITIONS, VIEWS, MISSING)
    store = _store(context.folder, walks, (3, 5) if context.tiny else FRAMES)
    frames = sum(sequence.count for sequence in store.sequences)
    context.note("test", {"sequences": len(walks), "frames": frames, "peer_s": CASIA_B_S, "peer": "two GTX 1080 Ti"})
    for name in ("baseline", "gaitset"):
        context.tried(name, partial(_test_times, name, store, context))


def _test_times(name: str, store: SequenceStore, context: Context) -> dict[str, Any]:
    positions = list(range(len(store.sequences)))
    processes = Processes(device=context.device)
    model = network(name, 0.125 if context.tiny else 1).eval()
    embed(model, store, positions[:8], processes)  # the first ones choose and load kernels
    synchronised(context.device)
    start = time.perf_counter()
    signatures = embed(model, store, positions, processes)
    embedded = time.perf_counter()
    assert signatures is not None
    enrolled = [position for position in positions if store.sequences[position].condition in CONDITIONS[:4]]
    probes = sorted(set(positions) - set(enrolled))
    test_set = TestSet(name, "silhouette", "", "made", "synthetic", "casia-b", "euclidean", enrolled, probes)
    rates = evaluate(signatures, store.sequences, test_set, threads=torch.get_num_threads())
    done = time.perf_counter()
    return {
        "embedding_s": round(embedded - start, 3),
        "table_s": round(done - embedded, 3),
        "in_all_s": round(done - start, 3),
        "rank1_mean_of_random_weights": round(rates["rank1"]["mean"], 2),
    }


def oumvlp(context: Context) -> None:
    """A test of OU-MVLP's size: some of its sequences embedded, some of its probes looked for in the whole gallery."""
    context.note("test", {"sequences": OUMVLP_SEQUENCES, "peer_s": OUMVLP_S, "peer": "eight GPUs"})
    context.tried("embedding", partial(_embedding_of_a_part, context))
    context.tried("table", partial(_table_of_a_part, context))


def _embedding_of_a_part(context: Context) -> dict[str, Any]:
    count = 12 if context.tiny else OUMVLP_EMBEDDED
    store = _store(context.folder, _walks(count, ("00",), 1, 0), OUMVLP_FRAMES)
    positions = list(range(count))
    model = network("gaitset", 0.125 if context.tiny else 1).eval()
    processes = Processes(device=context.device)
    embed(model, store, positions[:8], processes)
    synchronised(context.device)
    start = time.perf_counter()
    embed(model, store, positions, processes)
    seconds = time.perf_counter() - start
    return {"sequences": count, "seconds": round(seconds, 3), "all_s": round(seconds * OUMVLP_SEQUENCES / count, 1)}


def _table_of_a_part(context: Context) -> dict[str, Any]:
    people, asked = (24, 4) if context.tiny else (OUMVLP_PEOPLE, OUMVLP_ASKED)
    views, parts, channels = OUMVLP_VIEWS, *((4, 16) if context.tiny else (PARTS, CHANNELS))
    values = _signatures(people, asked, views, parts, channels, context.device)
    place = np.arange(len(values))
    person, view = place // views % people, place % views
    gallery, probe = place[: people * views], place[people * views :]
    search = Search(probe, gallery, person, view[gallery], view[probe, None] == np.arange(views), (1,))
    start = time.perf_counter()
    closer = closer_wrong(values, search, threads=torch.get_num_threads())
    seconds = time.perf_counter() - start
    probes = OUMVLP_SEQUENCES / 2
    return {
        "probes": len(probe),
        "gallery": len(gallery),
        "seconds": round(seconds, 3),
        "rank1": round(100 * float((closer[~search.excluded] == 0).mean()), 2),
        "all_s": round(seconds * probes / len(probe), 1),
    }


def _signatures(people: int, asked: int, views: int, parts: int, channels: int, device: torch.device) -> np.ndarray:
    """Normalised signatures of everybody's enrolled walk and of some people's second: alike, as after training."""
    generator = torch.Generator(device).manual_seed(3)
    values = np.empty(((people + asked) * views, parts, channels), np.float32)
    step = 256
    centres: list[torch.Tensor] = []
    for start in range(0, people, step):
        count = min(step, people - start)
        centres.append(torch.randn(count, 1, parts, channels, generator=generator, device=device))
        _fill(values[start * views : (start + count) * views], centres[-1], views, generator)
    _fill(values[people * views :], torch.cat(centres)[:asked], views, generator)
    return values


def _fill(target: np.ndarray, centres: torch.Tensor, views: int, generator: torch.Generator) -> None:
    noise = torch.randn(len(centres), views, *centres.shape[2:], generator=generator, device=centres.device)
    walks = (centres + 1.5 * noise).flatten(0, 1)
    target[:] = (walks / walks.norm(dim=2, keepdim=True)).cpu().numpy()
