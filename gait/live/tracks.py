"""Tracks: which person of a picture is which of the next one, over crossings in which people hide each other.

A track goes on where place, size and clothes say clearly who it is. Where they do not, as when two people alike meet and
part, the tracks end and new ones begin: a track that is cut costs some seconds without a name, a swapped one a wrong name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations

import cv2
import numpy as np

from gait.live.people import Person

NEAR = 0.35  # heights around where a track is expected, in which its person may be
FARTHEST = 1.2  # cost above which a person is somebody else
CLEAR = 0.25  # cost by which the best way must be better than the next, once people have hidden each other
LONE = 0.8  # cost up to which a hidden track and a single person can be the same
JOINED = 1.45  # width and area, as multiples of the track's own, of two people in one mask
CUT = 0.8  # of a person's usual height: less is hidden by something
PATIENCE, LEAVING_PATIENCE, HIDDEN_PATIENCE = 0.6, 0.1, 3.0  # s before a track ends: unseen, so at an edge, hidden by others
PASSING = 2.0  # own widths to go: by then somebody has passed another
MOTION = 0.5  # s over which the speed is measured
USUAL = 50  # frames that say how large a person usually is
SEVERAL = 5  # tracks of which all ways to go on are tried
BINS = 12


@dataclass
class Track:
    """Somebody who is followed.

    Attributes:
        number: from 1; never given twice.
        begun: when the track began, in s.
        person: as last seen; None while hidden.
        clear: whether the person is seen alone and whole now, so that the silhouette is theirs.
    """

    number: int
    begun: float
    person: Person | None = None
    clear: bool = False
    seen: float = 0.0  # when, in s
    hidden: bool = False
    places: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=64))  # time, x, y
    sizes: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=USUAL))  # height, width, area
    clothes: np.ndarray | None = None
    among: tuple[int, int, int, int] = (0, 0, 0, 0)  # the box of those whom the person is hidden among
    known: bool = False  # whether the whole person has been seen
    leaving: bool = False  # whether the person was seen whole and is cut off by the left or right edge now

    @property
    def height(self) -> float:
        return float(np.median([size[0] for size in self.sizes]))

    @property
    def width(self) -> float:
        return float(np.percentile([size[1] for size in self.sizes], 90))

    @property
    def area(self) -> float:
        return float(np.median([size[2] for size in self.sizes]))

    def speed(self) -> tuple[float, float]:
        """In px/s, from the last clear places."""
        if len(self.places) < 2:
            return 0.0, 0.0
        end = self.places[-1]
        start = next((place for place in self.places if end[0] - place[0] <= MOTION), self.places[-2])
        seconds = end[0] - start[0]
        return ((end[1] - start[1]) / seconds, (end[2] - start[2]) / seconds) if seconds > 0 else (0.0, 0.0)

    def expected(self, now: float) -> tuple[float, float]:
        """Where the centre of mass should be, in px."""
        (time, x, y), (across, down) = self.places[-1], self.speed()
        x, y = x + across * (now - time), y + down * (now - time)
        if self.hidden:  # nobody has left those whom they are among
            left, top, width, height = self.among
            x, y = min(max(x, left), left + width), min(max(y, top), top + height)
        return x, y

    def take(self, person: Person, clothes: np.ndarray, now: float, clear: bool) -> None:
        """Go on with a person of the picture."""
        self.person, self.seen, self.hidden = person, now, False
        self.leaving = self.known and person.aside
        self.places.append((now, *person.centre))
        self.clear = clear and person.whole and (not self.known or person.height > CUT * self.height)
        if person.whole and not self.known:
            self.known = True
            self.sizes.clear()
            self.clothes = None
        if person.whole or not self.known:  # of somebody who comes in, all that is seen so far
            self.sizes.append((person.height, person.width, person.area))
            if self.clothes is None or not self.known:
                self.clothes = clothes
            else:
                self.clothes = 0.9 * self.clothes + 0.1 * clothes

    def hide(self, among: Person, now: float) -> None:
        """Be one of several people in one mask."""
        if not self.hidden:
            self.seen = now
        self.person, self.clear, self.hidden, self.among = None, False, True, among.box


class Tracks:
    """All people who are followed.

    Attributes:
        live: those who are there now.
        begun: how many there have been.
        split: how many were cut because it was not clear who is who.
    """

    def __init__(self) -> None:
        self.live: list[Track] = []
        self.begun = 0
        self.split = 0

    def follow(self, frame: np.ndarray, people: Sequence[Person], now: float) -> list[Track]:
        """Take the people of the next picture; returns the tracks that ended.

        Args:
            frame: the picture, uint8 [height, width, 3].
            people: everybody in it.
            now: its time, in s; times grow.
        """
        clothes = [_clothes(frame, person) for person in people]
        before = self.live
        ended: list[Track] = []
        for tracks, places in _groups(before, people, now):
            ended += self._go_on(tracks, [(people[place], clothes[place]) for place in places], now)
        for track in self.live:
            if not track.hidden and track.seen < now:
                track.person, track.clear = None, False
            patience = HIDDEN_PATIENCE if track.hidden else LEAVING_PATIENCE if track.leaving else PATIENCE
            if now - track.seen > patience:
                ended.append(track)
        gone = {track.number for track in ended}
        self.live = [track for track in self.live if track.number not in gone]
        return ended

    def end_all(self) -> list[Track]:
        """End all tracks, as when the camera changes."""
        ended, self.live = self.live, []
        return ended

    def _begin(self, person: Person, clothes: np.ndarray, now: float) -> None:
        self.begun += 1
        track = Track(self.begun, now)
        track.take(person, clothes, now, True)
        self.live.append(track)

    def _go_on(self, tracks: list[Track], people: list[tuple[Person, np.ndarray]], now: float) -> list[Track]:
        """Follow tracks and people who are near each other and near nobody else; returns the tracks that ended."""
        if not people:
            return []
        if not tracks:
            for person, clothes in people:
                self._begin(person, clothes, now)
            return []
        if len(people) < len(tracks):
            return self._join(tracks, people, now)
        costs = np.array([[_cost(track, person, clothes, now) for person, clothes in people] for track in tracks])
        joined = [_joined(tracks[0], person) for person, _ in people] if len(tracks) == 1 == len(people) else [False]
        if joined[0]:
            tracks[0].hide(people[0][0], now)
            return []
        best, margin = _best(costs)
        doubtful = any(track.hidden for track in tracks) or len(people) > len(tracks)
        ended = []
        taken = set()
        for row, (track, place) in enumerate(zip(tracks, best)):
            cost = costs[row, place]
            unseen = track.hidden or track.person is None
            apart = (doubtful and margin < CLEAR) or (unseen and cost > LONE)
            # At an edge one may go as another comes: whoever is whole there again begins anew.
            apart = apart or (track.leaving and not people[place][0].aside)
            if cost > FARTHEST or apart:
                if unseen or apart:
                    ended.append(track)
                    self.split += 1
                continue
            taken.add(place)
            track.take(*people[place], now, True)
        for place, (person, clothes) in enumerate(people):
            if place not in taken:
                self._begin(person, clothes, now)
        return ended

    def _join(self, tracks: list[Track], people: list[tuple[Person, np.ndarray]], now: float) -> list[Track]:
        """There are fewer masks than tracks: some hold several people, or somebody has gone; returns those that end."""
        nearest: dict[int, list[Track]] = {}
        for track in tracks:
            costs = [_distance(track, person, now) for person, _ in people]
            nearest.setdefault(int(np.argmin(costs)), []).append(track)
        ended = []
        for place, (person, clothes) in enumerate(people):
            mine = nearest.get(place, [])
            if not mine:
                self._begin(person, clothes, now)
            elif len(mine) == 1 and not mine[0].hidden and not _joined(mine[0], person):
                mine[0].take(person, clothes, now, True)
            else:
                for track in mine:
                    if not track.known:  # parts of somebody who comes in
                        ended.append(track)
                    elif track.hidden or now - track.seen < PATIENCE / 2:  # else the track's person has left
                        track.hide(person, now)
        return ended


def _groups(tracks: Sequence[Track], people: Sequence[Person], now: float) -> list[tuple[list[Track], list[int]]]:
    """Tracks and people's places in the list, grouped so that nobody is near somebody of another group."""
    nodes = len(tracks) + len(people)
    group = list(range(nodes))

    def root(node: int) -> int:
        while group[node] != node:
            node = group[node]
        return node

    for row, track in enumerate(tracks):
        for place, person in enumerate(people):
            if _near(track, person, now):
                group[root(row)] = root(len(tracks) + place)
    neighbours: dict[int, tuple[list[Track], list[int]]] = {}
    for node in range(nodes):
        mine, theirs = neighbours.setdefault(root(node), ([], []))
        if node < len(tracks):
            mine.append(tracks[node])
        else:
            theirs.append(node - len(tracks))
    return list(neighbours.values())


def _near(track: Track, person: Person, now: float) -> bool:
    x, y = track.expected(now)
    reach = NEAR * track.height * (2 if track.hidden else 1)
    return (
        person.left - reach <= x <= person.left + person.width + reach
        and person.top - reach <= y <= person.top + person.height + reach
    )


def _distance(track: Track, person: Person, now: float) -> float:
    """From where the track is expected to a person's centre, in heights; 0 within the middle of the person's box."""
    (x, y), (left, top, width, height) = track.expected(now), person.box
    inner = min(track.width, width) / 2
    across = max(0.0, left + inner - x, x - (left + width - inner))
    down = max(0.0, abs(y - (top + height / 2)) - height / 4)
    return float(np.hypot(across, down)) / track.height


def _cost(track: Track, person: Person, clothes: np.ndarray, now: float) -> float:
    """How unlike a person is to a track's: place in heights, size, clothes."""
    x, y = track.expected(now)
    centre = person.centre
    place = float(np.hypot(centre[0] - x, centre[1] - y)) / track.height
    if track.hidden:
        # Whoever is still among others when they should have passed them has stopped, and may have turned.
        passed = now - track.seen > PASSING * track.width / max(1.0, float(np.hypot(*track.speed())))
        place *= 0.0 if passed else 1.0
    size = abs(float(np.log(person.height / track.height))) if person.whole else 0.0
    alike = 0.0 if track.clothes is None else float(np.sqrt(max(0.0, 1 - np.sqrt(track.clothes * clothes).sum() / 2)))
    return place + 1.5 * size + alike


def _joined(track: Track, person: Person) -> bool:
    """Whether a mask is too large for the track's person alone."""
    if not track.known:  # whoever comes in grows
        return False
    return person.width > JOINED * track.width and person.area > JOINED * track.area


def _best(costs: np.ndarray) -> tuple[list[int], float]:
    """The person of each track at the least cost, and by how much the next best way is worse; [tracks, people] costs."""
    tracks, people = costs.shape
    if tracks <= SEVERAL and people <= SEVERAL + 1:
        ways = sorted(
            (float(sum(costs[row, place] for row, place in enumerate(way))), way)
            for way in permutations(range(people), tracks)
        )
        return list(ways[0][1]), ways[1][0] - ways[0][0] if len(ways) > 1 else np.inf
    left = costs.copy()
    chosen = [0] * tracks
    for _ in range(tracks):
        row, place = np.unravel_index(int(left.argmin()), left.shape)
        chosen[int(row)] = int(place)
        left[row, :] = np.inf
        left[:, place] = np.inf
    margins = [np.partition(row, 1)[1] - row[place] for row, place in zip(costs, chosen)]
    return chosen, float(min(margins))


def _clothes(frame: np.ndarray, person: Person) -> np.ndarray:
    """Histograms, [2, 3 * BINS], of the colours of a person's upper and lower half, which sum to 1 each."""
    picture = frame[person.top : person.top + person.height, person.left : person.left + person.width]
    half = person.height // 2
    histograms = []
    for rows in (slice(0, half), slice(half, None)):
        mask = np.ascontiguousarray(person.mask[rows])
        channels = [cv2.calcHist([picture[rows]], [channel], mask, [BINS], [0, 256]).ravel() for channel in range(3)]
        together = np.concatenate(channels)
        histograms.append(together / max(1.0, float(together.sum())))
    return np.stack(histograms)
