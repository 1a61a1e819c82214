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
from gait.evaluation import open_set
from gait.evaluation.blocks import Search
from gaitpress import forms
from gaitpress.commands.bundle.places import Places
from gaitpress.inputs import open_test
from gaitpress.progress import progress
from gaitpress.results.records import Row

LOOKED_AT = 300  # walks that are enrolled, and as many that are looked for
OF_A_WALK = 3  # windows


def strangers(row: Row, places: Places) -> dict[str, Any] | None:
    """What :func:`gait.evaluation.open_set.rates` tells of windows, without its curve.

    None for networks that are not for watch.py, where the test's data are gone, and of walks that are too short or too few.
    """
    if (data := places.silhouettes(row, "test", open_test)) is None:
        return None
    test, store = data
    gallery = {*test.gallery}
    length = row.get("signature", "benchmark_shape")[1]
    network = session(places.quantized / forms.CPU)

    def signatures(what: str, positions: Sequence[int]) -> Iterator[tuple[str, list[np.ndarray]]]:
        """The person of each walk and the signatures of its windows, if it has any."""
        some = _some(positions)
        for position in progress(some, len(some), f"walks {what}, for the threshold of watch.py"):
            walk = store.sequences[position]
            if of_walk := [network.run([OUTPUT], {INPUT: window})[0] for window in _windows(store, walk, length)]:
                yield walk.identity, of_walk

    enrolled = [(name, np.mean(of_walk, 0)) for name, of_walk in signatures("enrolled", test.gallery)]
    others = [position for position in test.probe if position not in gallery]
    asked = [(name, window) for name, of_walk in signatures("looked for", others) for window in of_walk]
    if not enrolled or not asked:
        return None
    names, values = zip(*enrolled, *asked, strict=True)
    search = Search(
        probe=len(enrolled) + np.arange(len(asked)),
        gallery=np.arange(len(enrolled)),
        people=np.unique(names, return_inverse=True)[1],
        groups=np.zeros(len(enrolled), np.int64),
        excluded=np.zeros((len(asked), 1), bool),
    )
    rates = open_set.rates(open_set.trials(np.concatenate(values), search, test.distance))
    return without_curve(rates or {}) or None


def without_curve(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Rates without the many points of their curve."""
    return {key: value for key, value in rates.items() if key != "det"}


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
