"""From pictures to names: a thread reads, one finds and follows people, one asks the network.

Between them are queues of one place. What is live never waits: the newest picture, and the newest window of each person,
takes the place of an older one, which is counted. Of a file that is not played live nothing is left out, and what follows is
the same each time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gait.live.people import Masks
from gait.live.source import Frame, Source
from gait.live.tracks import Track, Tracks
from gait.live.votes import Votes
from gait.live.windows import Window

KEPT = 100_000  # times that figures are made of
AFRESH = 25  # pictures of a new size that are learnt before people are looked for in them
REMEMBERED = 256  # tracks whose votes are kept


@dataclass(frozen=True)
class Asked:
    """A window that the network is to name.

    Attributes:
        track: the number of its track.
        window: uint8 [length, pixels, pixels], aligned silhouettes.
        time: of its last picture in the source, in s.
        arrived: when that picture was there, by time.monotonic().
        alone: whether nobody else was in the picture.
        side: to which side the person walks, "left" or "right", or None.
    """

    track: int
    window: np.ndarray
    time: float
    arrived: float
    alone: bool
    side: str | None


@dataclass(frozen=True)
class Seen:
    """A picture with those who are in it.

    Attributes:
        frame: the picture.
        tracks: the people who are followed.
        ended: the numbers of tracks that ended with it.
    """

    frame: Frame
    tracks: tuple[Track, ...]
    ended: tuple[int, ...]


@dataclass
class Counts:
    """What happened, and how long it took.

    Attributes:
        frames: pictures that were looked at.
        dropped: pictures that newer ones took the place of.
        windows: those that the network named.
        windows_dropped: those that newer ones took the place of.
        most_people: at once.
        tracks, split: people who were followed, and how often it was not clear who is who.
        latency: s from a window's last picture to its name.
        seconds: the time that each part took, in s.
    """

    frames: int = 0
    dropped: int = 0
    windows: int = 0
    windows_dropped: int = 0
    most_people: int = 0
    tracks: int = 0
    split: int = 0
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    seconds: dict[str, float] = field(default_factory=lambda: {"masks": 0.0, "tracks": 0.0, "network": 0.0})


class Newest:
    """A queue of one place for each key, where what is newer takes the place of what is older; or that waits for room."""

    def __init__(self, waits: bool) -> None:
        self._waits, self._ready = waits, threading.Condition()
        self._items: dict[object, Any] = {}
        self._closed = False
        self.dropped = 0

    def put(self, key: object, item: object) -> None:
        """Add an item; nothing happens once the queue is closed."""
        with self._ready:
            while self._waits and self._items and not self._closed:
                self._ready.wait()
            if self._closed:
                return
            self.dropped += key in self._items
            self._items[key] = item
            self._ready.notify_all()

    def take(self) -> Any:
        """The item that came first; None once the queue is closed and empty."""
        with self._ready:
            while not self._items and not self._closed:
                self._ready.wait()
            if not self._items:
                return None
            item = self._items.pop(next(iter(self._items)))
            self._ready.notify_all()
            return item

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()


class Pipeline:
    """People in a source, and their names.

    Args:
        source: the pictures.
        masks: what finds people.
        window: makes an empty window for a new track.
        judge: says who the person of a window is, or None for nobody who is known, and the distance; None to say nothing.
        tell: takes messages for the user.
    """

    def __init__(
        self,
        source: Source,
        masks: Masks,
        window: Callable[[], Window],
        judge: Callable[[Asked], tuple[str | None, float] | None],
        tell: Callable[[str], None] = print,
    ) -> None:
        self._source, self._masks, self._window, self._judge, self._tell = source, masks, window, judge, tell
        self.counts = Counts()
        self._votes: dict[int, Votes] = {}
        self._tracks = Tracks()
        self._windows: dict[int, Window] = {}
        self._frames, self._asked = Newest(waits=not source.paced), Newest(waits=False)
        self._fault: BaseException | None = None

    def votes(self, track: int) -> Votes:
        """What the windows of a track say."""
        return self._votes.get(track) or Votes()

    def run(self) -> Iterator[Seen]:
        """Each picture once its people are followed, until the source ends. Closing this iterator ends all threads."""
        threads = [threading.Thread(target=self._guarded, args=(part,), daemon=True) for part in (self._read, self._name)]
        try:
            place = self._source.empty_place()
            if not place:
                return
            self._masks.learn(place)
            shape = place[0].shape
            del place
            for thread in threads:
                thread.start()
            yield from self._follow(shape)
        finally:
            self._source.stop()
            self._frames.close()
            self._asked.close()
            for thread in threads:
                if thread.is_alive():
                    thread.join()
            self.counts.dropped, self.counts.windows_dropped = self._frames.dropped, self._asked.dropped
            self.counts.tracks, self.counts.split = self._tracks.begun, self._tracks.split
            self._source.close()
        if self._fault is not None:
            raise self._fault

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as fault:  # run() raises it
            self._fault = fault
            self._source.stop()
            self._frames.close()

    def _read(self) -> None:
        for frame in self._source.frames():
            self._frames.put("frame", frame)
        self._frames.close()

    def _follow(self, shape: tuple[int, ...]) -> Iterator[Seen]:
        fresh: list[np.ndarray] = []  # pictures of a new size, which show the place
        while (frame := self._frames.take()) is not None:
            ended: list[Track] = []
            if frame.image.shape == shape:
                ended = self._look(frame)
            else:
                ended = self._tracks.end_all()
                fresh = [image for image in fresh if image.shape == frame.image.shape] + [frame.image]
                if len(fresh) == AFRESH:
                    shape = frame.image.shape
                    self._tell(f"{self._source.name}: the pictures are {shape[1]} x {shape[0]} now")
                    self._masks.learn(fresh)
                    fresh = []
            for track in ended:
                self._windows.pop(track.number, None)
            yield Seen(frame, tuple(self._tracks.live), tuple(track.number for track in ended))

    def _look(self, frame: Frame) -> list[Track]:
        """Find and follow the people of a picture; returns the tracks that ended."""
        start = time.perf_counter()
        people = self._masks.people(frame.image)
        looked = time.perf_counter()
        ended = self._tracks.follow(frame.image, people, frame.time)
        asked = []
        for track in self._tracks.live:
            if track.person is None or not track.clear or not track.person.plausible:
                continue
            mine = self._windows.setdefault(track.number, self._window())
            window = mine.add(track.person, frame.time)
            if window is not None:
                alone = len(self._tracks.live) == 1
                asked.append(Asked(track.number, window, frame.time, frame.arrived, alone, mine.side))
        self.counts.seconds["masks"] += looked - start
        self.counts.seconds["tracks"] += time.perf_counter() - looked
        self.counts.frames += 1
        self.counts.most_people = max(self.counts.most_people, len(people))
        for question in asked:
            if self._source.paced:
                self._asked.put(question.track, question)
            else:
                self._answer(question)
        return ended

    def _name(self) -> None:
        while (asked := self._asked.take()) is not None:
            self._answer(asked)

    def _answer(self, asked: Asked) -> None:
        start = time.perf_counter()
        said = self._judge(asked)
        self.counts.seconds["network"] += time.perf_counter() - start
        self.counts.windows += 1
        self.counts.latency.append(time.monotonic() - asked.arrived)
        if said is not None:
            self._votes[asked.track] = self.votes(asked.track).and_also(*said)
        while len(self._votes) > REMEMBERED:
            del self._votes[next(iter(self._votes))]
