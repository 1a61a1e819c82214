"""Rank-1 of each pair of views as a picture: one heat map a walking condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gaitpress.results import digits, words
from gaitpress.results.records import Condition
from gaitpress.results.style import INK, STYLE, blank

DPI = 110
POINTS = 8  # size of the numbers
DARKEST = 160  # %: up to a blue on which dark figures can be read
WHITE = 255
Table = Sequence[Sequence[float | None]]


def write_png(path: Path, views: Mapping[str, Any], title: str) -> None:
    """Heat maps of ``rank1_by_view`` of a record; pairs of views that are not counted stay white."""
    from matplotlib import rc_context

    kinds = sorted(views["rank1"], key=lambda kind: words.place_of(Condition(kind)))
    with rc_context(STYLE):
        maps = _maps(tuple(kinds), tuple(views["gallery"]), tuple(views["probe"]))
        maps.write(path, [views["rank1"][kind] for kind in kinds], f"{title}: rank-1 in % of the engine itself")


class _Maps:
    """Heat maps whose axes are drawn once, and whose rates again and again.

    A study has a picture for each of its variants, and their axes and hundreds of numbers take matplotlib over a second each
    time. So the axes stay as they are, the cells of a map are written into the picture, and its numbers are one shape, made
    of those of each number.
    """

    def __init__(self, kinds: Sequence[str], gallery: Sequence[str], probe: Sequence[str]) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Outline
        from matplotlib.transforms import IdentityTransform

        side = 1.4 + 0.42 * len(gallery)
        figure = blank((side * len(kinds), side + 0.3))
        figure.set_dpi(DPI)
        self._title = figure.suptitle("title", fontsize=10, color=INK)
        self._images, self._cells, self._numbers, self._places = [], [], [], []
        for place, kind in enumerate(kinds):
            axes = figure.add_subplot(1, len(kinds), place + 1)
            empty = np.full((len(probe), len(gallery)), math.nan)
            self._images.append(axes.imshow(empty, vmin=0, vmax=DARKEST, cmap="Blues"))
            axes.set_xticks(range(len(gallery)), gallery, fontsize=8, rotation=90)
            axes.set_yticks(range(len(probe)), probe, fontsize=8)
            axes.set_title(kind.upper(), fontsize=9)
            axes.set_xlabel("enrolled view", fontsize=9)
            axes.set_ylabel("view to identify", fontsize=9)
        self._canvas = figure.canvas
        figure.draw_without_rendering()  # places all
        figure.set_layout_engine("none")
        self._title.set_text("")
        self._canvas.draw()
        self._drawn = self._canvas.copy_from_bbox(figure.bbox)
        self._pixels = np.asarray(self._canvas.buffer_rgba())
        centres = np.stack(np.meshgrid(range(len(gallery)), range(len(probe))), -1).reshape(-1, 2)
        for axes in figure.axes:
            look = {"facecolor": "black", "linewidth": 0, "transform": IdentityTransform()}
            self._numbers.append(axes.add_patch(PathPatch(Outline(np.empty((0, 2))), **look)))
            self._places.append(axes.transData.transform(centres))
            self._cells.append(_cells(axes, *self._pixels.shape[:2]))

    def write(self, path: Path, tables: Sequence[Table], title: str) -> None:
        """Write the picture of the rates in % of each map, with a title above all."""
        from matplotlib.image import imsave
        from matplotlib.path import Path as Outline

        self._canvas.restore_region(self._drawn)
        self._title.set_text(title)
        self._canvas.figure.draw_artist(self._title)
        maps = zip(self._canvas.figure.axes, self._images, self._cells, self._numbers, self._places, tables, strict=True)
        for axes, image, cells, numbers, places, table in maps:
            rates = np.array([[math.nan if rate is None else rate for rate in row] for row in table])
            colours = image.to_rgba(rates, bytes=True)
            colours[np.isnan(rates)] = WHITE
            self._pixels[cells.place] = colours[cells.rows[:, None], cells.columns]
            texts = [digits.DASH if rate is None else f"{rate:.0f}" for row in table for rate in row]
            outlines = [_outline(text) for text in texts]
            moved = [outline.vertices + place for outline, place in zip(outlines, places, strict=True)]
            numbers.set_path(Outline(np.concatenate(moved), np.concatenate([outline.codes for outline in outlines])))
            for artist in (numbers, axes.spines["left"], axes.spines["bottom"]):
                axes.draw_artist(artist)
        quick = {"compress_level": 1}  # a tenth larger, in half the time
        imsave(path, self._pixels[..., :3], metadata={"Software": ""}, pil_kwargs=quick)


class _Cells(NamedTuple):
    """Where a map lies in the picture, and which row and column of it each line of pixels belongs to."""

    place: tuple[slice, slice]
    rows: np.ndarray
    columns: np.ndarray


def _cells(axes: Any, height: int, width: int) -> _Cells:
    """Where the cells of an axes' map lie in a picture of so many pixels."""
    to_map = axes.transData.inverted().transform
    columns = np.rint(to_map([(pixel + 0.5, 0) for pixel in range(width)])[:, 0])
    rows = np.rint(to_map([(0, height - pixel - 0.5) for pixel in range(height)])[:, 1])
    high, wide = axes.images[0].get_array().shape
    (within_rows,), (within_columns,) = (
        np.nonzero((places > -0.5) & (places < count - 0.5)) for places, count in ((rows, high), (columns, wide))
    )
    place = slice(within_rows[0], within_rows[-1] + 1), slice(within_columns[0], within_columns[-1] + 1)
    return _Cells(place, rows[within_rows].astype(int), columns[within_columns].astype(int))


_maps = lru_cache(maxsize=2)(_Maps)


@lru_cache
def _outline(text: str) -> Any:
    """The outline of a number in pixels about its middle."""
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath

    drawn = TextPath((0, 0), text, size=POINTS * DPI / 72)
    low, high = drawn.vertices.min(0), drawn.vertices.max(0)
    return Outline(drawn.vertices - (low + high) / 2, drawn.codes)
