"""A small store of optical flow, for models of Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gait.data.prepared.sequences import SequenceStore, StoreWriter

WALKS = ("nm-01", "nm-02", "nm-03", "nm-04", "nm-05", "bg-01", "cl-01")


def written(flow: Path) -> SequenceStore:
    """The flow of five people in two views, in a folder that this makes."""
    flow.mkdir(parents=True)
    rng = np.random.default_rng(0)
    writer = StoreWriter(flow, (60, 60, 50), "int16")
    people = [f"{person:03d}" for person in range(5)]
    for place, person in enumerate(people):
        for walk in WALKS:
            for view in ("072", "090"):
                writer.add(person, walk, view, rng.normal(60 * (place - 2), 60, (1, 60, 60, 50)).astype(np.int16))
    settings = {"kind": "flow", "frames": 25, "stride": 5}
    about = {"dataset": "walkers", "evidence": "synthetic", "fps": 25, "identities": people, "split": {}}
    writer.close(modality="flow", settings=settings, **about)
    return SequenceStore.open(flow)
