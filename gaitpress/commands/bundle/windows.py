"""How well watch.py tells strangers from enrolled people.

A record has thresholds of walks among walks. A camera looks for windows of walks among means of windows, to which strangers
come nearer. So windows have thresholds of their own, found on the test's walks by the bundle's network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from compress.export import INPUT, OUTPUT, session
from gait.data.prepared.inputs import network_input
from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sequences import SequenceStore
from gait.errors import DataError
from gait.evaluation import open_set
from gait.evaluation.blocks import Search
from gaitpress import forms
from gaitpress.commands.bundle.places import Places
from gaitpress.errors import StageError
from gaitpress.inputs import open_test
from gaitpress.progress import progress
from gaitpress.results.records import Row

LOOKED_AT = 300  # walks that are enrolled, and as many that are looked for
OF_A_WALK = 3  # windows


def strangers(row: Row, places: Places) -> dict[str, Any] | None:
    """What :func:`gait.evaluation.open_set.rates` tells of windows, without its curve.

    None for networks that are not for watch.py, where the test's data are gone, and of walks that are too short or too few.
    """
    try:
        test, store = open_test(places.data / f"test/{row.model}.json", places.data / "preprocessed")
    except (DataError, StageError, OSError):
        return None
    if store.kind != "silhouette" or store.digest != row.settings["data"]["digest"]:
        return None
    enrolled = _some(test.gallery)
    others = _some([position for position in test.probe if position not in {*test.gallery}])
    length = row.get("signature", "benchmark_shape")[1]
    network = session(places.quantized / forms.CPU)
    signatures: list[np.ndarray] = []
    names: list[str] = []
    counts = {}
    for side, positions in (("enrolled", enrolled), ("looked for", others)):
        for position in progress(positions, len(positions), f"thresholds of windows, walks {side}"):
            walk = store.sequences[position]
            of_walk = [network.run([OUTPUT], {INPUT: window})[0] for window in _windows(store, walk, length)]
            if of_walk:
                of_walk = [np.mean(of_walk, 0)] if side == "enrolled" else of_walk
                signatures += of_walk
                names += len(of_walk) * [walk.identity]
        counts[side] = len(signatures)
    gallery, probe = np.arange(counts["enrolled"]), np.arange(counts["enrolled"], counts["looked for"])
    if not len(gallery) or not len(probe):
        return None
    people = np.unique(names, return_inverse=True)[1]
    search = Search(probe, gallery, people, np.zeros(len(gallery), np.int64), np.zeros((len(probe), 1), bool))
    told = open_set.rates(open_set.trials(np.concatenate(signatures), search, test.distance))
    return without_curve(told or {}) or None


def without_curve(told: Mapping[str, Any]) -> dict[str, Any]:
    """Rates without the many points of their curve."""
    return {key: value for key, value in told.items() if key != "det"}


def _some(positions: Sequence[int]) -> list[int]:
    """Walks of people in turns, for the walks of each stand together."""
    places = np.linspace(0, len(positions) - 1, min(LOOKED_AT, len(positions))).round().astype(int)
    return [positions[place] for place in places]


def _windows(store: SequenceStore, walk: GaitSequence, length: int) -> Iterator[np.ndarray]:
    """Some windows of a walk as watch.py has them, half a window apart, as the network takes them."""
    prepared = network_input(store.frames(walk), store.kind)
    starts = range(0, len(prepared) - length + 1, max(1, length // 2))
    for start in starts[:OF_A_WALK]:
        yield prepared[None, start : start + length]
