"""The content of a dataset's files, from a sample of walks spread over it, before anything is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gait.data.readers import Clip, Faults, Reader, masks
from gait.errors import DataError

UNITS, WALKS = 16, 3  # units in the sample, and walks of each
MOST_FRAMES = 30  # of a walk in the sample
OFF_CENTRE = 0.06  # of the height, at most, between a centred person's centre of mass and the middle


@dataclass(frozen=True)
class Content:
    """What a sample of a dataset's walks holds.

    Attributes:
        walks: the number of walks in the sample by what they hold: "silhouettes", "pictures" (from which silhouettes are
            made) or "nothing".
        shapes: height and width of the silhouettes, most frequent first, at most four.
        levels: the brightest level of the silhouettes as they were written, most frequent first.
        aligned: whether the silhouettes are aligned already: of one shape, and each person as high as the picture and in
            its middle.
    """

    walks: dict[str, int] = field(default_factory=dict)
    shapes: list[tuple[int, int]] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    aligned: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Content:
        """The content from its :meth:`facts`; missing facts are unknown."""
        known = {key: facts[key] for key in ("walks", "levels", "aligned") if key in facts}
        return cls(**known, shapes=[(height, width) for height, width in facts.get("shapes", ())])

    def facts(self) -> dict[str, Any]:
        """The content in JSON's types."""
        return asdict(self)

    def words(self) -> str:
        """A text such as "16 walks looked at: 16 of silhouettes; the silhouettes are aligned already, 64 x 44 px"."""
        kinds = ", ".join(f"{count} of {kind}" for kind, count in self.walks.items())
        text = f"{sum(self.walks.values())} walks looked at: {kinds or 'none'}"
        if self.shapes:
            shapes = " and ".join(f"{height} x {width}" for height, width in self.shapes)
            text += f"; the silhouettes are {'aligned already' if self.aligned else 'not aligned'}, {shapes} px"
        if unusual := [level for level in self.levels if level != masks.FULL]:
            text += f"; some are written as 0 and {' or '.join(map(str, unusual))}, and taken as 0 and {masks.FULL}"
        if {"silhouettes", "pictures"} <= self.walks.keys():
            text += "; for walks of pictures, background subtraction makes the silhouettes"
        return text


def look(reader: Reader, units: Sequence[str]) -> Content:
    """The content of a sample of a dataset's walks.

    Args:
        reader: the dataset's reader.
        units: all of the reader's units.

    Raises:
        DataError: the silhouettes are dark on bright, so that none could be used.
    """
    walks: Counter[str] = Counter()
    shapes: Counter[tuple[int, int]] = Counter()
    levels: Counter[int] = Counter()
    fits: list[bool] = []
    inverted: list[bool] = []
    known_aligned = False
    for clip in _sample_of_clips(reader, units):
        if clip.made:
            walks["pictures"] += 1
            continue
        frames, level = masks.brightened(_spread(list(clip.silhouettes([]).values()), MOST_FRAMES))
        shown = [frame for frame in frames if frame.any()]
        walks["silhouettes" if shown else "nothing"] += 1
        if shown:
            levels[level] += 1
            shapes.update({frame.shape for frame in shown})
            fits += [is_aligned(frame) for frame in shown]
            inverted += [masks.is_inverted(frame) for frame in shown]
            known_aligned = known_aligned or clip.aligned
    if fits and np.mean(inverted) > masks.MOSTLY:
        raise DataError("the silhouettes are dark on bright; invert them, so that the person is bright on black")
    aligned = known_aligned or (bool(fits) and len(shapes) == 1 and float(np.mean(fits)) >= masks.MOSTLY)
    return Content(dict(walks), _by_frequency(shapes)[:4], _by_frequency(levels), aligned)


def is_aligned(frame: np.ndarray) -> bool:
    """Whether a silhouette [height, width] is aligned: as high as the picture, and in its middle.

    The width is that of aligned silhouettes, or of those whose outer columns were cut off (64 -> 44, 128 -> 88).
    """
    height, width = frame.shape
    if width not in (height, height - 2 * (height // 64 * 10)) or not (frame[0].any() and frame[-1].any()):
        return False
    mass = frame.sum(0, dtype=np.int64).cumsum()
    centre = int(np.searchsorted(mass, mass[-1] / 2, side="right"))
    return abs(centre - width // 2) <= max(2, OFF_CENTRE * height)


def _sample_of_clips(reader: Reader, units: Sequence[str]) -> Iterable[Clip]:
    faults: Faults = []
    for unit in _spread(units, UNITS):
        yield from _spread(list(reader.clips(unit, faults)), WALKS)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` of the items, spread over all."""
    if len(items) <= most:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def _by_frequency(counted: Counter[Any]) -> list[Any]:
    return [item for item, _ in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))]
