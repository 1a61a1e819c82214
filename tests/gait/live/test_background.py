"""Background subtraction in a live picture: several walkers, light that changes, people who stand."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from gait.live.background import Background
from gait.live.people import Person
from gait.live.scene import Passing, Scene

SCENE = Scene([Passing(40, 1, 4, (0.9, 0)), Passing(41, 1, 4, (-0.9, -0.6), 180)], 3, width=480, height=240)


@pytest.fixture(scope="module")
def film() -> list[tuple[np.ndarray, dict[int, tuple[int, int, int, int]]]]:
    return list(SCENE.frames())


def learnt(film: list[tuple[np.ndarray, dict[int, tuple[int, int, int, int]]]]) -> Background:
    background = Background()
    background.learn([frame for frame, boxes in film if not boxes][:15])
    return background


def overlap(person: Person, box: tuple[int, int, int, int]) -> float:
    """Intersection over union of two boxes."""
    (x, y, w, h), (a, b, c, d) = person.box, box
    shared = max(0, min(x + w, a + c) - max(x, a)) * max(0, min(y + h, b + d) - max(y, b))
    return shared / (w * h + c * d - shared)


def apart(film: list[tuple[np.ndarray, dict[int, tuple[int, int, int, int]]]]) -> Iterator[tuple[np.ndarray, dict]]:
    """The pictures in which both walkers are there and do not touch."""
    for frame, boxes in film:
        spans = sorted((left, left + width) for left, _, width, _ in boxes.values())
        if len(spans) == 2 and spans[0][1] + 12 < spans[1][0] and spans[0][0] > 2 and spans[1][1] < SCENE.width - 2:
            yield frame, boxes


def test_each_of_several_walkers_is_found_where_they_are(film: list) -> None:
    background, seen = learnt(film), 0
    for frame, boxes in apart(film):
        people = sorted(background.people(frame), key=lambda person: person.left)
        assert len(people) == 2
        for person, box in zip(people, sorted(boxes.values()), strict=True):
            assert overlap(person, box) > 0.8
            assert person.whole and person.plausible
        seen += 1
    assert seen >= 15


def test_an_empty_place_shows_nobody_in_any_light(film: list) -> None:
    background = learnt(film)
    for frame, boxes in film:
        if not boxes:
            assert background.people(frame) == []
            assert background.people(np.clip(frame.astype(int) + 20, 0, 255).astype(np.uint8)) == []


def test_grey_pictures_do_as_well(film: list) -> None:
    grey = [(cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), boxes) for frame, boxes in film]
    background = learnt(grey)
    frame, boxes = next(apart(grey))
    assert len(background.people(frame)) == len(boxes) == 2


@pytest.mark.slow
def test_what_is_brought_in_becomes_background_in_about_a_minute() -> None:
    background = Background()
    place = np.full((80, 100, 3), 120, np.uint8)
    background.learn([place] * 3)
    place[10:70, 30:60] = 60  # a cupboard
    times = [len(background.people(place)) for _ in range(5000)]
    assert times[0] == 1 and times[-1] == 0
    assert 30 < times.count(1) / 25 < 180  # s, in which a person walks by


def test_a_turned_camera_is_learnt_at_once(film: list) -> None:
    background = learnt(film)
    other = np.ascontiguousarray(film[0][0][::-1, ::-1]) // 2
    other[:, ::2] += 90
    assert background.people(other) == []
    assert background.people(other) == []


def test_somebody_at_the_edge_is_not_whole_and_somebody_far_away_is_nobody() -> None:
    background = Background()
    place = np.full((240, 480, 3), 120, np.uint8)
    background.learn([place] * 3)
    frame = place.copy()
    cv2.ellipse(frame, (0, 120), (25, 60), 0, 0, 360, (10, 10, 10), -1)
    cv2.ellipse(frame, (240, 120), (8, 15), 0, 0, 360, (10, 10, 10), -1)
    [person] = background.people(frame)
    assert person.left == 0 and not person.whole
