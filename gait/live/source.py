"""Where pictures come from: a camera, a stream from a network, or a file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import cv2
import numpy as np

ROWS = 480  # higher pictures are made smaller: networks see 64 or 128 rows of a person
STREAM = re.compile(r"(rtsps?|https?|udp|rtp|tcp)://", re.IGNORECASE)
FFMPEG_SAYS, OPENCV_SAYS = "OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL"  # environment variables of OpenCV
TIMEOUT_MS = 5000  # that a stream may stay silent
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # s before a camera or a stream is opened again; the last one ever after
ASSUMED_FPS = 25.0  # of files that do not say
LEARNT = 31  # pictures that show the empty place
LEARNT_SECONDS = 60.0  # of a file's start, over which they are spread
LEARNT_LIVE = 3.0  # s of a camera


@dataclass(frozen=True)
class Frame:
    """A picture.

    Attributes:
        image: uint8 [height, width, 3] (blue, green, red), at most ROWS high.
        time: in s: of a file its place in the film, else since the source was opened.
        arrived: when it was there, by time.monotonic().
        number: how many the source has given before.
    """

    image: np.ndarray
    time: float
    arrived: float
    number: int


class SourceError(Exception):
    """A source that cannot be opened, in words for its user."""


class Source:
    """A camera by its number, a stream by its address, or a file by its path.

    Args:
        name: "0", "rtsp://..." or "walk.mp4".
        tell: takes messages for the user, about a stream.
        paced: whether a file's pictures come at the film's own rate, as from a camera.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, name: str, tell: Callable[[str], None] = print, paced: bool = False) -> None:
        self.name, self._tell = name, tell
        self.is_file = not name.isdecimal() and not STREAM.match(name)
        self.paced = paced or not self.is_file
        self._stopped = False
        if self.is_file and not Path(name).is_file():
            raise SourceError(f"--source {name}: no such file; a camera is a number, a stream rtsp://...")
        if not self.is_file:
            _quieten()
        self._capture = self._open()
        if self._capture is None:
            what = "holds no video that OpenCV can read" if self.is_file else "gives no picture"
            if name.isdecimal():
                what += "; in place of a camera's number, --source takes a film, walk.mp4, or a stream, rtsp://..."
            if STREAM.match(name):
                what += f"; {FFMPEG_SAYS}=32 before the command shows why"
            raise SourceError(f"--source {name}: {what}")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = rate if 1 <= rate <= 240 else ASSUMED_FPS

    def stop(self) -> None:
        """End :meth:`frames` at the next picture."""
        self._stopped = True

    def close(self) -> None:
        """Give the camera or the file back."""
        if self._capture is not None:
            self._capture.release()

    def empty_place(self) -> list[np.ndarray]:
        """Pictures that show the place, of one size: of a file spread over its first minute, else of the first seconds."""
        pictures: list[np.ndarray] = []
        if self.is_file:
            assert self._capture is not None
            count = int(min(max(self._capture.get(cv2.CAP_PROP_FRAME_COUNT), LEARNT), LEARNT_SECONDS * self.fps))
            step = max(1, count // LEARNT)
            for number in range(count):
                if not self._capture.grab():
                    break
                if number % step == 0:
                    pictures += [_small(image) for more, image in [self._capture.retrieve()] if more and image is not None]
            self._capture.release()
            self._capture = self._open()
        else:
            end, last = time.monotonic() + LEARNT_LIVE, 0.0
            for frame in self.frames():
                if frame.arrived - last >= LEARNT_LIVE / LEARNT:
                    last = frame.arrived
                    pictures.append(frame.image)
                if frame.arrived >= end:
                    break
        return [image for image in pictures if image.shape == pictures[0].shape]

    def frames(self) -> Iterator[Frame]:
        """The pictures, until a file ends or :meth:`stop` is called; a stream that stops is opened again."""
        begun = time.monotonic()
        number, behind = 0, 0.0
        while not self._stopped:
            more, image = self._capture.read() if self._capture is not None else (False, None)
            if not more or image is None or not image.size:
                if self.is_file:
                    return
                self._reopen()
                continue
            now = time.monotonic()
            place = now - begun
            if self.is_file:
                place = number / self.fps
                if self.paced:
                    # A film that was held up goes on from there: a camera cannot run faster to catch up.
                    early = begun + behind + place - now
                    if early > 0:
                        time.sleep(early)
                    else:
                        behind -= early
                    now = time.monotonic()
            yield Frame(_small(image), place, now, number)
            number += 1

    def _open(self) -> cv2.VideoCapture | None:
        wanted = int(self.name) if self.name.isdecimal() else self.name
        if isinstance(wanted, str) and not self.is_file:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
            capture = cv2.VideoCapture(wanted, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(wanted)
        if capture.isOpened():
            return capture
        capture.release()
        return None

    def _reopen(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        for number, wait in enumerate(chain(WAITS, repeat(WAITS[-1]))):
            if number < len(WAITS) - 1:
                self._tell(f"{self.name}: no picture; trying again in {wait:g} s")
            elif number == len(WAITS) - 1:
                self._tell(f"{self.name}: no picture; trying again every {wait:g} s until it is there")
            end = time.monotonic() + wait
            while not self._stopped and time.monotonic() < end:
                time.sleep(0.05)
            if self._stopped:
                return
            self._capture = self._open()
            if self._capture is not None:
                self._tell(f"{self.name}: pictures again")
                return


def _quieten() -> None:
    """Let OpenCV and FFmpeg not write a line for each damaged picture and each try, unless their own variables are set."""
    os.environ.setdefault(FFMPEG_SAYS, "8")  # what ends the program
    if OPENCV_SAYS not in os.environ:
        with suppress(AttributeError):  # older versions have no such setting
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def _small(image: np.ndarray) -> np.ndarray:
    """A picture of three channels and at most ROWS rows."""
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    elif image.shape[2] == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    height, width = image.shape[:2]
    if height <= ROWS:
        return image
    return cv2.resize(image, (max(1, round(width * ROWS / height)), ROWS), interpolation=cv2.INTER_AREA)
