"""A watched source: the pipeline with the network and the gallery, what it tells, draws, shows, enrols and measures."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gaitpress_runtime.background import Background
from gaitpress_runtime.drawing import drawn
from gaitpress_runtime.facing import mirrored
from gaitpress_runtime.gallery import GalleryFile
from gaitpress_runtime.networks import Networks
from gaitpress_runtime.pipeline import Asked, Pipeline, Seen
from gaitpress_runtime.recogniser import UNTESTED, Recogniser
from gaitpress_runtime.source import Source
from gaitpress_runtime.windows import Window

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
WINDOW = "gaitpress"
OF_A_VIEW, VIEWS = 3, 4  # windows that show about one view, and views of a walk past a camera
LONGEST_NAME = 80


class Watching:
    """What watch.py does with its options.

    Args:
        options: of :mod:`watch_options`.
        bundle: the folder of the network.
        gallery: of enrolled people.
        tell: takes messages for the user.

    Raises:
        OSError, RuntimeError, ValueError: the bundle, an option or a file does not do.
        SourceError: the source cannot be opened.
    """

    def __init__(self, options: argparse.Namespace, bundle: Path, gallery: GalleryFile, tell: Callable[[str], None]) -> None:
        self._options, self._gallery, self._tell = options, gallery, tell
        for path in (options.out, options.figures):
            if path is not None and path.exists():
                raise ValueError(f"{path}: is there already; move it aside or choose another name")
        if options.out is not None and options.out.suffix.lower() not in CODECS:
            raise ValueError(f"--out {options.out}: must end in {' or '.join(CODECS)}")
        settings = json.loads((bundle / "settings.json").read_text(encoding="utf-8"))
        if settings["preprocessing"]["kind"] != "silhouette":
            raise ValueError(
                "this network takes optical flow of the whole picture, in which one person walks; bundle a model of "
                "silhouettes to watch"
            )
        self._recogniser = Recogniser.open(bundle, options.threads, options.engine, windows=True)
        self._enrolling = _name(options.enrol)
        self._walks: dict[int, list[np.ndarray]] = {}  # the signatures of each track's windows, while enrolling
        self._enrolled = 0
        self._known = gallery.loaded(self._recogniser.distance)
        self._limit = self._recogniser.limit(options.far)
        if self._limit == float("inf") and self._enrolling is None:
            tell(UNTESTED)
        if not self._known.names and self._enrolling is None:
            tell(f"{gallery.path}: nobody is enrolled, so everybody is unknown; --enrol NAME enrols somebody")
        self._facing: str | None = settings.get("facing")
        length, pixels = settings["signature"]["benchmark_shape"][1], settings["preprocessing"]["pixels"]
        self._writer: cv2.VideoWriter | None = None
        self._shape: tuple[int, ...] | None = None
        self._drawing = 0.0
        self._begun = self._ended = 0.0
        self._cpu_begun = self._cpu_ended = 0.0
        self._source = Source(options.source, tell, options.live)
        self._pipeline = Pipeline(
            self._source,
            Background() if options.masks is None else Networks(options.masks, options.threads),
            lambda: Window(length, max(1, length // 2), settings["fps"], pixels),
            self._judge if self._enrolling is None else self._collect,
            tell,
        )
        self._run = self._pipeline.run()

    def events(self) -> Iterator[dict[str, Any]]:
        """The lines about each person: their name when it is known or changes, and when they have gone."""
        said: dict[int, str | None] = {}
        for seen in self._run:
            if not self._begun:
                self._begun, self._cpu_begun = time.monotonic(), time.process_time()
            self._ended, self._cpu_ended = time.monotonic(), time.process_time()
            if self._enrolling is None:
                yield from self._names(seen, said)
            else:
                yield from self._enrol(seen)
            self._show(seen)
        if self._enrolling is not None:
            yield from self._enrol_tracks(list(self._walks))
            if not self._enrolled:
                reason = "nobody walked by alone and whole for long enough"
                raise ValueError(f"{self._enrolling} was not enrolled: {reason} in {self._options.source}")

    def close(self) -> None:
        """End all threads, finish the video and write the figures."""
        self._run.close()
        if self._writer is not None:
            self._writer.release()
            self._partial.replace(self._options.out)
            self._writer = None
        if not self._options.headless:
            _close_window()
        if self._options.figures is not None:
            self._options.figures.write_text(json.dumps(self.figures(), indent=1) + "\n", encoding="utf-8")

    def figures(self) -> dict[str, Any]:
        """Latency from a picture to a name, frames a second, people at once, processor time, and the share of each part."""
        counts = self._pipeline.counts
        seconds = {**counts.seconds, "drawing": self._drawing}
        total = sum(seconds.values())
        passed = self._ended - self._begun
        latency = 1000 * np.array(counts.latency) if counts.latency else None
        return {
            "frames": counts.frames,
            "frames_dropped": counts.dropped,
            "seconds": passed,
            "cpu_s": self._cpu_ended - self._cpu_begun,
            "frames_per_s": (counts.frames - 1) / passed if passed > 0 else None,
            "source_fps": self._source.fps,
            "most_people": counts.most_people,
            "tracks": counts.tracks,
            "tracks_split": counts.split,
            "windows": counts.windows,
            "windows_dropped": counts.windows_dropped,
            "latency_ms": None
            if latency is None
            else {"median": float(np.median(latency)), "p99": float(np.percentile(latency, 99))},
            "ms_per_frame": {
                part: 1000 * spent / counts.frames if counts.frames else None
                for part, spent in seconds.items()
                if part != "network"
            },
            "ms_per_window": 1000 * seconds["network"] / counts.windows if counts.windows else None,
            "share": {part: spent / total if total else None for part, spent in seconds.items()},
        }

    def in_words(self) -> str:
        """The figures for a terminal."""
        of = self.figures()
        if not of["frames"]:
            return f"{self._options.source}: no picture"
        rate = "" if of["frames_per_s"] is None else f" ({of['frames_per_s']:.1f} a second)"
        lines = [
            f"frames: {of['frames']}{rate}, {of['frames_dropped']} dropped",
            f"tracks: {of['tracks']}, {of['tracks_split']} split; people at once: at most {of['most_people']}",
            f"windows: {of['windows']}, {of['windows_dropped']} dropped",
        ]
        if of["latency_ms"]:
            median, most = (of["latency_ms"][key] for key in ("median", "p99"))
            lines[-1] += f"; from a picture to a name {median:.0f} ms, 99 % within {most:.0f} ms"
        shares = ", ".join(f"{part} {share:.0%}" for part, share in of["share"].items() if share is not None)
        return "\n".join([*lines, f"the time goes to: {shares}"])

    def _judge(self, asked: Asked) -> tuple[str | None, float]:
        if not self._known.names:
            return None, float("inf")
        name, distance = self._known.identify(self._signature(asked))[0]
        return (name if distance < self._limit else None), distance

    def _collect(self, asked: Asked) -> None:
        """Keep the signatures of whoever walks alone."""
        if asked.alone:
            signature = self._signature(asked)  # which takes a while: no track has an empty list meanwhile
            self._walks.setdefault(asked.track, []).append(signature)

    def _signature(self, asked: Asked) -> np.ndarray:
        """The signature of a window, of which everybody walks to the side that the network knows."""
        other = self._facing is not None and asked.side is not None and asked.side != self._facing
        return self._recogniser.signature_of(mirrored(asked.window) if other else asked.window)

    def _names(self, seen: Seen, said: dict[int, str | None]) -> Iterator[dict[str, Any]]:
        for track in seen.tracks:
            votes = self._pipeline.votes(track.number)
            if votes.said and (track.number not in said or said[track.number] != votes.name):
                said[track.number] = votes.name
                yield self._event(seen, track.number)
        for number in seen.ended:
            if number in said:
                del said[number]
                yield {**self._event(seen, number), "gone": True}

    def _event(self, seen: Seen, number: int) -> dict[str, Any]:
        votes = self._pipeline.votes(number)
        distance = float(f"{votes.distance:.5g}") if np.isfinite(votes.distance) else None
        return {
            "time": round(seen.frame.time, 2),
            "track": number,
            "person": votes.name,
            "votes": [votes.agreed, len(votes.said)],
            "distance": distance,
        }

    def _enrol(self, seen: Seen) -> Iterator[dict[str, Any]]:
        yield from self._enrol_tracks([number for number in seen.ended if number in self._walks])

    def _enrol_tracks(self, numbers: list[int]) -> Iterator[dict[str, Any]]:
        """A walk past a camera shows several views; the mean of some windows in turn stands for each."""
        for number in numbers:
            windows = self._walks.pop(number)
            assert self._enrolling is not None
            parts = np.array_split(np.stack(windows), min(VIEWS, -(-len(windows) // OF_A_VIEW)))
            for part in parts:
                self._gallery.enrol(self._enrolling, part.mean(0).astype(np.float32), len(part))
            self._enrolled += 1
            yield {"enrolled": self._enrolling, "track": number, "windows": len(windows)}

    def _show(self, seen: Seen) -> None:
        if self._options.headless and self._options.out is None:
            return
        start = time.perf_counter()
        image = drawn(seen, self._pipeline.votes)
        if self._options.out is not None:
            self._write(image)
        if not self._options.headless:
            try:
                cv2.imshow(WINDOW, image)
                if cv2.waitKey(1) & 0xFF in (27, ord("q")):
                    raise KeyboardInterrupt
            except cv2.error:
                self._tell("this OpenCV shows no windows, opencv-python does; going on without one: --out makes a film")
                self._options.headless = True
        self._drawing += time.perf_counter() - start

    def _write(self, image: np.ndarray) -> None:
        if self._writer is None:
            out = self._options.out
            self._partial = out.with_name(f".{out.stem}.partial{out.suffix}")
            codec = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()])
            self._shape = image.shape
            self._writer = cv2.VideoWriter(str(self._partial), codec, self._source.fps, (image.shape[1], image.shape[0]))
            if not self._writer.isOpened():
                raise RuntimeError(f"{out}: OpenCV cannot write it")
        if image.shape != self._shape:
            assert self._shape is not None
            image = cv2.resize(image, (self._shape[1], self._shape[0]))
        self._writer.write(image)


def _name(text: str | None) -> str | None:
    """A name to enrol.

    Raises:
        ValueError: it is empty, too long or has letters that cannot be printed.
    """
    if text is None:
        return None
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"--enrol {text!r}: a name has 1 to {LONGEST_NAME} letters that can be printed")
    return name


def _close_window() -> None:
    with suppress(cv2.error):
        cv2.destroyWindow(WINDOW)
