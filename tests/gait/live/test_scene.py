"""Films of several walkers."""

from __future__ import annotations

import numpy as np

from gait.live.crowd import crowd
from gait.live.scene import Passing, Scene


def test_a_scene_is_the_same_each_time_and_people_are_in_it_when_and_where_they_should_be() -> None:
    scene = Scene([Passing(40, 0.2, 1, (0, 0)), Passing(41, 0.4, 1, (0, -1.5), 180)], 1.6, width=320, height=160)
    one, again = list(scene.frames()), list(scene.frames())
    assert len(one) == 40
    assert all(
        np.array_equal(frame, other) and boxes == same for (frame, boxes), (other, same) in zip(one, again, strict=True)
    )
    assert [sorted(boxes) for _, boxes in one[::6]] == [[], [40], [40, 41], [40, 41], [40, 41], [41], []]
    left = [boxes[40][0] + boxes[40][2] / 2 for _, boxes in one[5:30]]
    right = [boxes[41][0] + boxes[41][2] / 2 for _, boxes in one[10:35]]
    assert left[0] > left[-1] + 15 and right[0] + 15 < right[-1]  # one walks to the left, the other to the right
    assert one[20][1][40][3] > 1.15 * one[20][1][41][3]  # who is nearer is larger


def test_who_is_nearer_hides_who_is_farther() -> None:
    scene = Scene([Passing(40, 0, 1, (0, 1.0)), Passing(41, 0, 1, (0, -1.0))], 1, width=320, height=160)
    alone = Scene([scene.passings[0]], 1, width=320, height=160)
    (_, both), (_, one) = list(scene.frames())[12], list(alone.frames())[12]
    assert both[40] == one[40]
    assert both[41][2] * both[41][3] < 0.8 * both[40][2] * both[40][3]


def test_a_crowd_has_as_many_people_at_once_as_asked_for() -> None:
    for people in (1, 4, 8):
        scene = crowd(people, 4)
        spans = [(passing.start, passing.start + 10.8) for passing in scene.passings]
        late = np.arange(scene.seconds - 4, scene.seconds, 0.1)
        there = [sum(start <= time < end for start, end in spans) for time in late]
        assert abs(np.mean(there) - people) <= 1
        assert len({passing.subject for passing in scene.passings}) == len(scene.passings)
