"""A page of pictures of a store's silhouettes, to look at: a row a walk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gait.data.prepared.sequences import SequenceStore

FILE = "look.png"
ROWS, ACROSS = 60, 8  # walks on the page, and frames of each
SIDE, MARGIN, TITLE = 64, 4, 14  # px
GREY, BRIGHT, RED = (60, 60, 60), (230, 230, 230), (80, 80, 255)


def write(path: Path, store: SequenceStore, doubtful: Sequence[str]) -> int:
    """Write the page: the doubtful walks first, in red, then others spread over all. Returns how many walks it shows.

    Args:
        path: the PNG file.
        store: of silhouettes.
        doubtful: names of walks.
    """
    first = [sequence for sequence in store.sequences if sequence.name in set(doubtful)][:ROWS]
    others = [sequence for sequence in store.sequences if sequence.name not in set(doubtful)]
    left = min(ROWS - len(first), len(others))
    chosen = [*first, *(others[int(place)] for place in np.linspace(0, len(others) - 1, left).round())]
    page = np.full((len(chosen) * (SIDE + TITLE + MARGIN) + MARGIN, ACROSS * (SIDE + MARGIN) + MARGIN, 3), GREY, np.uint8)
    for row, sequence in enumerate(chosen):
        top = MARGIN + row * (SIDE + TITLE + MARGIN)
        colour = RED if sequence.name in doubtful else BRIGHT
        cv2.putText(page, sequence.name, (MARGIN, top + 10), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
        frames = store.frames(sequence)
        for column, place in enumerate(np.linspace(0, len(frames) - 1, min(ACROSS, len(frames))).round()):
            shown = cv2.resize(np.ascontiguousarray(frames[int(place)]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            at = MARGIN + column * (SIDE + MARGIN)
            page[top + TITLE : top + TITLE + SIDE, at : at + SIDE] = shown[..., None]
    written, content = cv2.imencode(".png", page)
    assert written
    path.write_bytes(content.tobytes())
    return len(chosen)
