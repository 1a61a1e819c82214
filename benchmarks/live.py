"""Whether people who walk past a camera get their names, and strangers none: a bundle's watch.py on films of walkers.

    python -m benchmarks.live --variant local/gaitset/p60-fp32 --work films

It reads what the pipeline made: first run `snakemake --cores 2 all`. Nobody in the films was in the dataset. Some people are
enrolled, each by a film in which they walk both ways. In every other film two of them cross, then two strangers cross, and
one of the enrolled comes back. `windows` counts what the network said of each window, by who is really there; `walks` what a
track is called when it ends. Intervals are of 95 %, over people. `promised` is what the bundle says for the same
false accept rate: how many windows of enrolled people are recognised, and how many of strangers are accepted.

`--work` keeps the films, so that another variant watches the same ones.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gait.data.walkers import FPS
from gait.evaluation import intervals
from gait.live.scene import Passing, Scene
from gaitpress.commands.watch_study import films
from gaitpress.progress import progress

FIRST = 1001  # the number of the first walker: datasets have fewer
WALK_S, LATER_S = 7.0, 5.0  # a walk through the picture, and from one pair to the next
BEHIND_M = -0.8  # of one of two who cross
OVERLAP = 0.3  # of the boxes of a track and of the person whom it follows, at least

Box = tuple[int, int, int, int]  # left, top, width, height


@dataclass
class Answers:
    """What was said of one person's windows, and of their walks when they ended: a name, or None for a stranger."""

    windows: list[str | None] = field(default_factory=list)
    walks: list[str | None] = field(default_factory=list)


def enrolment(person: int) -> Scene:
    """Somebody walks through the picture and comes back."""
    there, back = Passing(person, 1.0, WALK_S), Passing(person, 1.0 + WALK_S, WALK_S, heading=180, number=2)
    return Scene([there, back], 2 * WALK_S + 1.5)


def encounters(enrolled: Sequence[int], strangers: Sequence[int]) -> Iterator[Scene]:
    """Films in which all strangers pass once, two a film, and enrolled people in turns."""
    for number in range(len(strangers) // 2):
        ada, bob = (enrolled[place % len(enrolled)] for place in (2 * number, 2 * number + 1))
        carl, dora = strangers[2 * number : 2 * number + 2]
        walk = 3 + number
        passings = [
            Passing(ada, 1.0, WALK_S, number=walk),
            Passing(bob, 1.0, WALK_S, (0.0, BEHIND_M), 180, number=walk),
            Passing(carl, 1.0 + LATER_S, WALK_S, number=walk),
            Passing(dora, 1.0 + LATER_S, WALK_S, (0.0, BEHIND_M), 180, number=walk),
            Passing(ada, 1.0 + 2 * LATER_S, WALK_S, heading=180, number=walk + len(strangers)),
        ]
        yield Scene(passings, 1.5 + 2 * LATER_S + WALK_S)


def written(scene: Scene, path: Path) -> list[Mapping[int, Box]]:
    """Write a film unless it is there; returns who is seen where in each frame."""
    places = path.with_suffix(".json")
    if not places.exists():
        places.write_text(json.dumps(films.write(scene, path)), encoding="utf-8")
    frames = json.loads(places.read_text(encoding="utf-8"))
    return [{int(person): tuple(box) for person, box in boxes.items()} for boxes in frames]


class Bundle:
    """A bundle's own program, in this process.

    Args:
        folder: of the bundle.
        gallery: the file for those who are enrolled.
        far: the false accept rate in %.
    """

    def __init__(self, folder: Path, gallery: Path, far: float) -> None:
        sys.path.insert(0, str(folder))
        runtime = {name: importlib.import_module(f"gaitpress_runtime.{name}") for name in ("watching", "gallery")}
        options = importlib.import_module("gaitpress_runtime.watch_options")
        self._folder, self._far, self._watching = folder, far, runtime["watching"].Watching
        self._gallery = runtime["gallery"].GalleryFile.open(gallery, folder)
        self._parser = argparse.ArgumentParser()
        options.add_options(self._parser)

    def enrol(self, film: Path, name: str) -> None:
        options = self._parser.parse_args(["--source", str(film), "--headless", "--enrol", name])
        watched = self._watching(options, self._folder, self._gallery, lambda text: None)
        list(watched.events())
        watched.close()

    def watch(self, film: Path, places: Sequence[Mapping[int, Box]], answers: Mapping[int, Answers]) -> int:
        """Add what is said of the people in a film to their answers; returns how many windows follow nobody for sure."""
        of_track: dict[int, list[tuple[int, str | None]]] = defaultdict(list)
        boxes: dict[tuple[int, int], Box] = {}

        class Recorded(self._watching):  # type: ignore[misc, name-defined]
            def _judge(self, asked: Any) -> tuple[str | None, float]:
                answer: tuple[str | None, float] = super()._judge(asked)
                of_track[asked.track].append((round(asked.time * FPS), answer[0]))
                return answer

            def _names(self, seen: Any, said: Any) -> Iterator[dict[str, Any]]:
                boxes.update({(seen.frame.number, track.number): track.person.box for track in seen.tracks if track.person})
                return super()._names(seen, said)  # type: ignore[no-any-return]

        options = self._parser.parse_args(["--source", str(film), "--headless", "--far", str(self._far)])
        watched = Recorded(options, self._folder, self._gallery, lambda text: None)
        last = {event["track"]: event["person"] for event in watched.events()}
        watched.close()
        unclear = 0
        for track, windows in of_track.items():
            followed = [_who(boxes.get((frame, track)), places[frame]) for frame, _ in windows]
            for person, (_, name) in zip(followed, windows, strict=True):
                if person is None:
                    unclear += 1
                else:
                    answers[person].windows.append(name)
            if followed[-1] is not None:
                answers[followed[-1]].walks.append(last.get(track))
        return unclear


def _who(box: Box | None, places: Mapping[int, Box]) -> int | None:
    """The person whose box overlaps most with a track's, as intersection over union."""
    shares = {person: _shared(box, other) for person, other in places.items()} if box else {}
    person = max(shares, key=lambda each: shares[each], default=None)
    return person if person is not None and shares[person] >= OVERLAP else None


def _shared(one: Box, other: Box) -> float:
    (x, y, w, h), (a, b, c, d) = one, other
    both = max(0, min(x + w, a + c) - max(x, a)) * max(0, min(y + h, b + d) - max(y, b))
    return both / (w * h + c * d - both)


def share(hits: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """The share of hits in %, of each person's answers together, with its interval over people."""
    counts = np.array([[sum(of_person), len(of_person)] for of_person in hits if of_person])
    (right, total) = counts.sum(0)
    without = 100 * (right - counts[:, 0]) / np.maximum(total - counts[:, 1], 1)
    rate = 100 * right / total
    low, high = intervals.of_rate(rate, without, int(total)) or (None, None)
    ends = None if low is None or high is None else [round(low, 1), round(high, 1)]
    return {"rate": round(float(rate), 1), "interval": ends, "of": int(total)}


def shares(answers: Iterable[tuple[str | None, Sequence[str | None]]]) -> dict[str, Any]:
    """How many answers are right, a wrong name or none, of people's own names (None: strangers) and the answers on them."""
    people = list(answers)
    if people[0][0] is None:
        return {"named": share([[name is not None for name in said] for _, said in people])}
    return {
        "right": share([[name == own for name in said] for own, said in people]),
        "nobody": share([[name is None for name in said] for _, said in people]),
        "wrong": share([[name not in (own, None) for name in said] for own, said in people]),
    }


def bundled(variant: str | None, where: Path) -> Path:
    """The bundle of a variant, or of the one that `select` chooses."""
    command = [sys.executable, "-m", "gaitpress", "bundle", "--out", str(where)]
    done = subprocess.run([*command, *(["--variant", variant] if variant else [])], stdout=subprocess.DEVNULL)
    if done.returncode:  # it has said why
        sys.exit(done.returncode)
    return where


def promised(settings: Mapping[str, Any], far: float) -> dict[str, Any]:
    """What a bundle's settings say of a false accept rate."""
    (rates,) = [rates for rates in (settings["windows"] or settings["walks"])["promised"] if rates["far"] == far]
    return {key: rates[key] for key in ("tar", "false_accepts")}


def measure(bundle: Path, work: Path, enrolled: int, strangers: int, far: float) -> dict[str, Any]:
    """All rates of a bundle."""
    known = [FIRST + number for number in range(enrolled)]
    unknown = [FIRST + enrolled + number for number in range(strangers)]
    answers: dict[int, Answers] = {person: Answers() for person in (*known, *unknown)}
    unclear = 0
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        program = Bundle(bundle, Path(scratch) / "gallery.json", far)
        for person in progress(known, len(known), "live: people enrolled"):
            film = work / f"enrol-{person}.avi"
            written(enrolment(person), film)
            program.enrol(film, str(person))
        for number, scene in enumerate(progress(encounters(known, unknown), strangers // 2, "live: films")):
            film = work / f"{enrolled}-{strangers}-{number}.avi"
            unclear += program.watch(film, written(scene, film), answers)
    groups: dict[str, list[tuple[str | None, Answers]]] = {
        "enrolled": [(str(person), answers[person]) for person in known],
        "strangers": [(None, answers[person]) for person in unknown],
    }
    record = json.loads((bundle / "record.json").read_text(encoding="utf-8"))
    return {
        "benchmark": "live",
        "variant": record["variant"],
        "far": far,
        "promised": promised(json.loads((bundle / "settings.json").read_text(encoding="utf-8")), far),
        "people": {"enrolled": enrolled, "strangers": strangers},
        "windows": {name: shares((own, answered.windows) for own, answered in of) for name, of in groups.items()},
        "walks": {name: shares((own, answered.walks) for own, answered in of) for name, of in groups.items()},
        "windows_of_nobody_for_sure": unclear,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", help="such as local/gaitset/p60-fp32 (default: the one that `select` chooses)")
    parser.add_argument("--work", type=Path, help="folder that keeps the films, 1 MB a second (default: none)")
    parser.add_argument("--enrolled", type=int, default=12, help="people (default: 12)")
    parser.add_argument("--strangers", type=int, default=40, help="an even number (default: 40)")
    parser.add_argument("--far", type=float, default=1.0, help="strangers who may be named, in %% (default: 1)")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = bundled(options.variant, Path(scratch) / "bundle")
        work = options.work or Path(scratch) / "films"
        print(json.dumps(measure(bundle, work, options.enrolled, options.strangers, options.far)))


if __name__ == "__main__":
    main()
