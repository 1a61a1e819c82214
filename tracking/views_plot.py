"""Rank-1 of each pair of views as a picture: one heat map a walking condition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitpress.results import digits, words
from gaitpress.results.records import Condition
from gaitpress.results.style import INK, STYLE, blank


def write_png(path: Path, views: Mapping[str, Any], title: str) -> None:
    """Heat maps of ``rank1_by_view`` of a record; pairs of views that are not counted stay white."""
    from matplotlib import rc_context

    kinds = sorted(views["rank1"], key=lambda kind: words.place_of(Condition(kind)))
    side = 1.4 + 0.42 * len(views["gallery"])
    with rc_context(STYLE):
        figure = blank((side * len(kinds), side + 0.3))
        figure.suptitle(f"{title}: rank-1 in % of the engine itself", fontsize=10, color=INK)
        for place, kind in enumerate(kinds):
            axes = figure.add_subplot(1, len(kinds), place + 1)
            rates = [[math.nan if rate is None else rate for rate in row] for row in views["rank1"][kind]]
            axes.imshow(rates, vmin=0, vmax=160, cmap="Blues")  # up to a blue on which dark figures can be read
            for y, row in enumerate(rates):
                for x, rate in enumerate(row):
                    axes.text(x, y, digits.DASH if math.isnan(rate) else f"{rate:.0f}", ha="center", va="center", fontsize=8)
            axes.set_xticks(range(len(views["gallery"])), views["gallery"], fontsize=8, rotation=90)
            axes.set_yticks(range(len(views["probe"])), views["probe"], fontsize=8)
            axes.set_title(kind.upper(), fontsize=9)
            axes.set_xlabel("enrolled view", fontsize=9)
            axes.set_ylabel("view to identify", fontsize=9)
        figure.savefig(path, dpi=110, metadata={"Software": None})
