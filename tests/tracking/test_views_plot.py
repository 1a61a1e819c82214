"""Pictures of rank-1 by view, of which a study has one for each variant."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.many_records import record
from tracking import views_plot

SEEDS = [seed for seed in range(30) if record(random.Random(seed), "board-a", "gaitset", 0, "fp32")["rank1_by_view"]][:3]


def views(seed: int) -> dict[str, Any]:
    made: dict[str, Any] = record(random.Random(seed), "board-a", "gaitset", 0, "fp32")["rank1_by_view"]
    return made


@pytest.mark.slow
def test_a_picture_is_the_same_whatever_was_drawn_before(tmp_path: Path) -> None:
    views_plot._maps.cache_clear()
    for seed in SEEDS:
        views_plot.write_png(tmp_path / f"{seed}.png", views(seed), f"variant {seed}")
    views_plot._maps.cache_clear()
    views_plot.write_png(tmp_path / "alone.png", views(SEEDS[-1]), f"variant {SEEDS[-1]}")
    assert (tmp_path / "alone.png").read_bytes() == (tmp_path / f"{SEEDS[-1]}.png").read_bytes()
    first, other = (cv2.imread(str(tmp_path / f"{seed}.png")) for seed in SEEDS[:2])
    assert first is not None and other is not None and not np.array_equal(first, other)


def test_cells_have_their_rates_as_colours_and_uncounted_ones_are_white(tmp_path: Path) -> None:
    shown = {"gallery": ["000", "090"], "probe": ["000", "090"], "rank1": {"nm": [[None, 100.0], [10.0, None]]}}
    views_plot.write_png(tmp_path / "picture.png", shown, "a variant")
    picture = cv2.imread(str(tmp_path / "picture.png"))
    assert picture is not None
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    most = colours[np.argsort(-counts)][:3].tolist()
    assert most[0] == [255, 255, 255]
    # In blue, green and red: 100 % is the darker one of two blues.
    pale, dark = sorted(most[1:], key=sum, reverse=True)
    assert pale[0] > pale[2] and dark[0] > dark[2] and sum(pale) - sum(dark) > 100


def test_only_the_title_is_laid_out_anew_for_each_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.text import Text

    drawn, draw = [], Text.draw

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        drawn.append(self)
        return draw(self, *arguments, **named)

    views_plot._maps.cache_clear()
    monkeypatch.setattr(Text, "draw", counted)
    for seed in SEEDS[:2]:
        drawn.clear()
        views_plot.write_png(tmp_path / "picture.png", views(seed), f"variant {seed}")
    assert len(drawn) == 1
