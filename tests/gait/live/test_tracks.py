"""Tracks: who is who in the next picture, over crossings; people are drawn, in colours that are their clothes."""

from __future__ import annotations

import cv2
import numpy as np

from gait.live.background import Background
from gait.live.people import Person, person_of
from gait.live.tracks import Track, Tracks

FPS = 25
WIDE, HIGH = 480, 240
GREEN, BLUE = (40, 180, 40), (180, 60, 20)


def picture(*people: tuple[float, tuple[int, int, int]]) -> np.ndarray:
    """Ellipses of 40 x 120 px whose centres are at these columns, each in a colour."""
    frame = np.full((HIGH, WIDE, 3), 120, np.uint8)
    for x, colour in people:
        cv2.ellipse(frame, (round(x), 120), (20, 60), 0, 0, 360, colour, -1)
    return frame


def masks(frame: np.ndarray) -> list[Person]:
    """What background subtraction makes of it: people who touch are one."""
    moved = 255 - cv2.inRange(frame, (110, 110, 110), (130, 130, 130))
    count, labels = cv2.connectedComponents(moved)
    people = [person_of(np.where(labels == label, np.uint8(255), np.uint8(0))) for label in range(1, count)]
    return [person for person in people if person is not None]


def followed(paths: list[tuple[np.ndarray, tuple[int, int, int]]]) -> tuple[Tracks, list[dict[int, float]]]:
    """The tracks of people on these paths (columns, NaN where they are not), and each one's column in every picture."""
    tracks, seen = Tracks(), []
    for number in range(len(paths[0][0])):
        frame = picture(*((path[number], colour) for path, colour in paths if not np.isnan(path[number])))
        tracks.follow(frame, masks(frame), number / FPS)
        seen.append({track.number: track.person.centre[0] for track in tracks.live if track.person is not None})
    return tracks, seen


def test_somebody_who_walks_through_is_one_track_from_edge_to_edge() -> None:
    tracks, seen = followed([(np.linspace(-30, WIDE + 30, 120), GREEN)])
    assert (tracks.begun, tracks.split) == (1, 0)
    assert abs(seen[60][1] - np.linspace(-30, WIDE + 30, 120)[60]) < 1


def test_people_who_cross_keep_their_tracks_and_show_no_silhouette_while_they_are_one() -> None:
    right, left = np.linspace(40, 440, 100), np.linspace(440, 40, 100)
    tracks, seen = followed([(right, GREEN), (left, BLUE)])
    assert tracks.begun == 2 and tracks.split == 0
    assert seen[50] == {}  # one shape of two people is nobody's
    first = min(seen[0], key=lambda number: seen[0][number])
    assert seen[-1][first] > 400  # whoever began at the left has gone to the right


def test_people_alike_who_meet_and_part_get_new_tracks() -> None:
    """They come together, stand, and part: who went where cannot be told by place, size or clothes."""
    towards = np.linspace(100, 228, 40)
    paths = [np.concatenate([towards, np.full(50, 228.0), towards[::-1]])]
    paths.append(WIDE - paths[0])
    tracks, seen = followed([(path, GREEN) for path in paths])
    assert tracks.split == 2
    assert not set(seen[0]) & set(seen[-1])
    assert len(seen[-1]) == 2


def test_clothes_tell_who_turned_back() -> None:
    towards = np.linspace(100, 228, 40)
    path = np.concatenate([towards, np.full(25, 228.0), towards[::-1]])
    tracks, seen = followed([(path, GREEN), (WIDE - path, BLUE)])
    assert tracks.begun == 2 and tracks.split == 0
    first = min(seen[0], key=lambda number: seen[0][number])
    assert seen[-1][first] < 150


def test_somebody_who_leaves_and_comes_back_is_a_new_track() -> None:
    path = np.concatenate([np.linspace(240, 540, 60), np.full(40, np.nan), np.linspace(540, 240, 60)])
    tracks, seen = followed([(path, GREEN)])
    assert tracks.begun == 2
    assert set(seen[0]) == {1} and set(seen[-1]) == {2}


def test_whoever_comes_in_as_another_goes_out_is_a_new_track() -> None:
    """Even where clothes are alike and both are at the edge at once."""
    out = np.concatenate([np.linspace(240, -10, 80), np.full(60, np.nan)])
    into = np.concatenate([np.full(78, np.nan), np.linspace(-20, 200, 62)])
    _, seen = followed([(out, GREEN), (into, GREEN)])
    assert set(seen[0]) == {1} and len(seen[-1]) == 1 and 1 not in seen[-1]


def test_somebody_who_comes_in_is_there_all_the_time() -> None:
    _, seen = followed([(np.linspace(-12, 200, 55), GREEN)])
    assert [set(numbers) for numbers in seen] == [{1}] * len(seen)


def test_two_who_came_as_one_are_new_tracks_once_they_part() -> None:
    together = np.linspace(100, 200, 40)
    apart = np.linspace(0, 100, 40)
    paths = [np.concatenate([together, 200 + apart]), np.concatenate([together + 30, 230 - apart])]
    _, seen = followed([(paths[0], GREEN), (paths[1], GREEN)])
    assert len(seen[-1]) == 2 and not set(seen[0]) & set(seen[-1])


def test_a_silhouette_that_something_hides_is_not_clear() -> None:
    tracks = Tracks()
    clear = []
    for number in range(30):
        frame = picture((100 + 4 * number, GREEN))
        if number >= 20:
            frame[120:] = 120  # a table before the legs
        tracks.follow(frame, masks(frame), number / FPS)
        clear.append(tracks.live[0].clear)
    assert all(clear[5:20]) and not any(clear[20:])


def test_many_people_over_a_long_time_leave_nothing_behind() -> None:
    tracks = Tracks()
    most = 0
    for number in range(400):
        at = (number * 8) % (WIDE + 200) - 100
        frame = picture((at, GREEN), ((at + 340) % (WIDE + 200) - 100, BLUE))
        tracks.follow(frame, masks(frame), number / FPS)
        most = max(most, len(tracks.live))
    assert most <= 4 and tracks.begun > 4
    assert all(len(track.places) <= 64 and len(track.sizes) <= 50 for track in tracks.live)


def test_a_track_expects_its_person_where_they_go() -> None:
    track = Track(1, 0.0)
    person = person_of(np.full((100, 40), 255, np.uint8))
    assert person is not None
    for number in range(10):
        track.take(Person(10 * number, 50, person.mask), np.full((2, 36), 1 / 36), number / FPS, True)
    x, y = track.expected(9 / FPS + 0.4)
    assert round(x) == 90 + 20 + 100 and round(y) == 100  # 10 px a picture are 250 px/s; half of the width is 20 px


def test_parts_above_each_other_are_one_person_and_those_beside_each_other_are_not() -> None:
    place = np.full((HIGH, WIDE, 3), 120, np.uint8)
    background = Background()
    background.learn([place] * 5)
    frame = picture((100, GREEN), (300, BLUE))
    frame[110:125] = 120  # a belt like the background
    people = background.people(frame)
    assert [(person.left + person.width // 2, person.height) for person in people] == [(100, 121), (300, 121)]
