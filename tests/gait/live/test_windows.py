"""Windows of aligned silhouettes, and the votes of several."""

from __future__ import annotations

import cv2
import numpy as np

from gait.data.modalities import silhouettes
from gait.live import facing
from gait.live.people import Person
from gait.live.scene import Passing, Scene
from gait.live.votes import Votes
from gait.live.windows import Window


def walking(number: int) -> Person:
    """A person whose legs open and close, 100 px high."""
    mask = np.zeros((100, 60), np.uint8)
    cv2.ellipse(mask, (30, 30), (12, 30), 0, 0, 360, 255, -1)
    for sign in (-1, 1):
        foot = 30 + round(sign * 22 * np.sin(number / 3))
        cv2.line(mask, (30, 50), (foot, 98), 255, 8)
    x, y, width, height = cv2.boundingRect(mask)
    return Person(x, y, mask[y : y + height, x : x + width])


def standing(number: int) -> Person:
    return walking(1)


def test_a_window_comes_when_it_is_full_and_then_with_each_step() -> None:
    window = Window(10, 4, 25, 64)
    full = [number for number in range(30) if window.add(walking(number), number / 25) is not None]
    assert full == [9, 13, 17, 21, 25, 29]


def test_its_silhouettes_are_those_that_preprocessing_makes_of_the_whole_picture() -> None:
    window, people = Window(5, 5, 25, 64), [walking(number) for number in range(5)]
    aligned = [window.add(person, number / 25) for number, person in enumerate(people)][-1]
    whole = np.zeros((5, 240, 320), np.uint8)
    for frame, person in zip(whole, people, strict=True):
        frame[50 : 50 + person.height, 130 : 130 + person.width] = person.mask
    assert aligned is not None
    for mine, theirs in zip(aligned.astype(int), silhouettes.align_all(whole, 64), strict=True):
        # Widths are rounded a little otherwise, which can move the centre by a column.
        assert min(np.abs(np.roll(mine, shift, 1) - theirs).mean() for shift in (-1, 0, 1)) < 3


def test_a_gap_begins_it_anew() -> None:
    window = Window(10, 10, 25, 64)
    times = [number / 25 for number in range(9)] + [1 + number / 25 for number in range(10)]
    assert [window.add(walking(n), time) is not None for n, time in enumerate(times)].index(True) == 18


def test_pictures_faster_than_the_network_knows_are_thinned_out() -> None:
    window = Window(25, 25, 25, 64)
    full = [number for number in range(200) if window.add(walking(number // 4), number / 100) is not None]
    assert 92 <= full[0] <= 100  # a second, as at 25 a second


def test_whoever_stands_shows_no_gait() -> None:
    window = Window(10, 5, 25, 64)
    assert all(window.add(standing(number), number / 25) is None for number in range(40))


def test_walkers_of_any_view_walk() -> None:
    empty = next(iter(Scene([], 0.04, width=480, height=240).frames()))[0]
    for heading in (0, 60, 90):
        scene = Scene([Passing(44, 0, 2, (0, 0), heading)], 0.88, width=480, height=240)
        window, full = Window(20, 20, 25, 64), []
        for number, (frame, boxes) in enumerate(scene.frames()):
            left, top, width, height = boxes[44]
            mask = (np.abs(frame.astype(int) - empty).max(2) > 20).astype(np.uint8) * 255
            person = Person(left, top, np.ascontiguousarray(mask[top : top + height, left : left + width]))
            full.append(window.add(person, number / 25) is not None)
        assert any(full), heading


def test_a_window_knows_to_which_side_the_person_walks() -> None:
    for step, side in ((5, "right"), (-5, "left"), (0, None)):
        window = Window(10, 5, 25, 64)
        for number in range(10):
            person = walking(number)
            window.add(Person(200 + step * number, person.top, person.mask), number / 25)
        assert window.side == side


def with_feet(rng: np.random.Generator) -> np.ndarray:
    """An aligned walk to the left of somebody who leans a little to either side: bodies differ more than feet tell."""
    lean = rng.normal(0, 2)
    frames = []
    for number in range(8):
        mask = np.zeros((64, 64), np.uint8)
        cv2.line(mask, (round(32 + lean), 8), (32, 36), 255, 10)
        for sign in (-1, 1):
            ankle = 32 + round(sign * 10 * np.sin(number + rng.normal(0, 0.1)))
            cv2.line(mask, (32, 36), (ankle, 60), 255, 4)
            cv2.line(mask, (ankle, 62), (ankle - 5, 62), 255, 3)
        frames.append(mask)
    return np.stack(frames)


def test_feet_tell_to_which_side_people_walk() -> None:
    rng = np.random.default_rng(0)
    walks = [with_feet(rng) for _ in range(80)]
    assert facing.side(walks) == "left"
    assert facing.side([facing.mirrored(walk) for walk in walks]) == "right"
    assert facing.side(walks[:40] + [facing.mirrored(walk) for walk in walks[40:]]) is None
    assert facing.side(walks[:3]) is None


def test_a_mirrored_window_is_the_aligned_mirrored_picture() -> None:
    whole = np.zeros((240, 321), np.uint8)
    person = walking(4)
    whole[50 : 50 + person.height, 130 : 130 + person.width] = person.mask
    mirrored = facing.mirrored(silhouettes.align_all([whole], 64))[0].astype(int)
    expected = silhouettes.align_all([np.ascontiguousarray(whole[:, ::-1])], 64)[0]
    assert min(np.abs(np.roll(mirrored, shift, 1) - expected).mean() for shift in (-1, 0, 1)) < 3


def test_more_than_half_of_the_windows_give_a_name() -> None:
    votes = Votes()
    said = [("ada", 0.2), (None, 0.9), ("ada", 0.4), ("grace", 0.3), (None, 0.8), (None, 0.7), (None, 0.6)]
    names = []
    for name, distance in said:
        before, votes = votes, votes.and_also(name, distance)
        names.append((votes.name, votes.agreed, len(votes.said)))
        assert len(before.said) == min(len(names) - 1, 5), "who shows the votes has them change meanwhile"
    assert names == [
        ("ada", 1, 1),
        (None, 1, 2),
        ("ada", 2, 3),
        (None, 1, 4),
        (None, 2, 5),
        (None, 3, 5),
        (None, 3, 5),
    ]
    assert Votes().name is None
