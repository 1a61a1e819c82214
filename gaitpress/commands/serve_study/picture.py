"""Heat maps of a study: people served, and the energy of an inference, by streams and batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gaitpress.results import digits, words
from gaitpress.results.style import INK, STYLE

MAPS = {"people": "people served", "energy_mj_per_inference": "mJ an inference"}


def write(directory: Path, result: dict[str, Any]) -> None:
    """people.png: a heat map of people and, where the device counts energy, one of mJ."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        _draw(directory, result)


def _draw(directory: Path, result: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    shown = [key for key in MAPS if any(cell.get(key) is not None for cell in result["cells"])] or ["people"]
    drawn = Figure(figsize=(1.5 + 4.6 * len(shown), 1.9 + 0.55 * len(result["streams"])), layout="constrained")
    for axes, key in zip(np.atleast_1d(drawn.subplots(1, len(shown))), shown, strict=True):
        grid = np.full((len(result["streams"]), len(result["batches"])), np.nan)
        for cell in result["cells"]:
            place = result["streams"].index(cell["streams"]), result["batches"].index(cell["batch"])
            grid[place] = np.nan if cell.get(key) is None else cell[key]
        axes.imshow(grid, cmap="Blues" if key == "people" else "Oranges", aspect="auto", vmin=0)
        middle = np.nanmax(grid, initial=0) / 2
        for (row, column), value in np.ndenumerate(grid):
            text = (
                digits.DASH if np.isnan(value) else f"{value:.0f}" if key == "people" else digits.significant(float(value))
            )
            axes.text(column, row, text, ha="center", va="center", color="white" if value > middle else INK)
        axes.set_xticks(range(len(result["batches"])), result["batches"])
        axes.set_yticks(range(len(result["streams"])), result["streams"])
        axes.set_xlabel("largest batch")
        axes.set_ylabel("streams")
        axes.set_title(MAPS[key], fontsize=10, loc="left", color=INK)
    variant, asked = result["variant"], result["asked"]
    name = f"{variant['model']} p{variant['percentile']} {variant['precision']} on {variant['device']}: {result['machine']}"
    how = f"{asked['rate']:g} inferences a second each, 99 % within {asked['limit_ms']:g} ms"
    drawn.suptitle(f"{name} ({words.EVIDENCE[result['evidence']]})\n{how}", fontsize=9, x=0.01, ha="left", color=INK)
    drawn.savefig(directory / "people.png", dpi=144)
