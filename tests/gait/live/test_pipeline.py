"""What happens to pictures that come faster than they can be looked at, and to faults in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.live.people import Person
from gait.live.pipeline import Newest, Pipeline
from gait.live.source import Source
from gait.live.windows import Window

PICTURES, FPS = 60, 200
SECONDS = 0.03  # that a picture takes to be looked at: six times what there is


class Slow:
    """Masks that show nobody, slowly."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    def learn(self, place: Sequence[np.ndarray]) -> None:
        pass

    def people(self, image: np.ndarray) -> list[Person]:
        time.sleep(SECONDS)
        if self.fault:
            raise self.fault
        return []


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    for number in range(PICTURES):
        writer.write(np.full((48, 64, 3), number, np.uint8))
    writer.release()
    return path


def pipeline(film: Path, masks: Slow, paced: bool) -> Pipeline:
    return Pipeline(Source(str(film), paced=paced), masks, lambda: Window(8, 1, 25, 64), lambda asked: None)


def test_live_pictures_never_wait_and_those_left_out_are_counted(film: Path) -> None:
    live = pipeline(film, Slow(), paced=True)
    numbers = [seen.frame.number for seen in live.run()]
    assert numbers == sorted(set(numbers)) and numbers[-1] == PICTURES - 1
    assert len(numbers) == live.counts.frames
    assert live.counts.dropped == PICTURES - live.counts.frames > 0


def test_of_a_file_that_is_not_played_live_every_picture_is_looked_at(film: Path) -> None:
    whole = pipeline(film, Slow(), paced=False)
    assert [seen.frame.number for seen in whole.run()] == list(range(PICTURES))
    assert (whole.counts.frames, whole.counts.dropped) == (PICTURES, 0)


def test_a_fault_ends_the_run_and_every_thread(film: Path) -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="a broken network"):
        list(pipeline(film, Slow(ValueError("a broken network")), paced=True).run())
    assert threading.active_count() == before


def test_the_newest_window_of_a_person_takes_the_place_of_an_older_one_of_theirs() -> None:
    asked = Newest(waits=False)
    for person, window in ((1, "a"), (2, "b"), (1, "c"), (1, "d")):
        asked.put(person, window)
    assert [asked.take(), asked.take(), asked.dropped] == ["d", "b", 2]
    asked.put(1, "e")
    asked.close()
    asked.put(1, "f")
    assert asked.take() == "e"
    assert asked.take() is None
