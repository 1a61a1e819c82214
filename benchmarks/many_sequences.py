"""A dataset of OU-MVLP's size through the stages dataset, preprocess and partition, with interruptions.

133,780 sequences in OU-MVLP's published layout: the test people's walks 00 and 01 in all 14 views, and those of one who
trains. Their frames are hard links to those of a few hundred walkers, so that the dataset takes little room. The stages run
as programs. Preprocessing is ended several times, by SIGTERM and by SIGKILL in turn, and goes on each time: `again` says how
many finished sequences it had to make once more, and `going_on_s` how long it took until a new one was finished.

    python -m benchmarks.many_sequences             # 133,780 sequences of 6 frames: 4 GB in TMPDIR
    python -m benchmarks.many_sequences --sequences 2000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
from ruamel.yaml import YAML

from benchmarks.common.spending import MB, Spent, run, size_of
from benchmarks.oumvlp import SEQUENCES
from gait.data.prepared.sequences import JOURNAL, SequenceStore
from gait.data.readers import oumvlp
from gait.data.walkers import Walkers
from gaitpress.outputs import begun_path, read_json
from tests.support.toy import ROOT

RENDERED = 300  # different walks
FRAMES = 6  # of a sequence, and not 25 as OU-MVLP's have: the time of preprocessing grows with the frames
ENDINGS = (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)  # spread over the work
MODEL, MODALITY = "gaitset", "silhouette"


def render(where: Path, count: int, frames: int) -> list[list[Path]]:
    """Write the frames of different walks; returns their files by walk."""
    walkers = Walkers(
        ("000", "054", "090", "126", "180"), nm=4, bg=0, cl=0, frames=frames, difficulty=0.4, noise=1.2, seed=3
    )
    written: list[list[Path]] = []
    subject = 0
    while len(written) < count:
        subject += 1
        for walk in walkers.walks(subject):
            folder = where / f"{len(written):03d}"
            folder.mkdir(parents=True)
            files = [folder / f"{number:04d}.png" for number in range(1, frames + 1)]
            for file, frame in zip(files, walk.silhouettes, strict=True):
                cv2.imwrite(str(file), frame)
            written.append(files)
    return written[:count]


def walks(count: int) -> Iterator[tuple[str, str, str]]:
    """Identity, walk and view of one who trains, and of the test people."""
    people = [1, *range(2, 10307, 2), 10307]
    places = ((f"{person:05d}", walk, view) for person in people for walk in oumvlp.CONDITIONS for view in oumvlp.VIEWS)
    return (place for place, _ in zip(places, range(count), strict=False))


def link(root: Path, rendered: list[list[Path]], count: int) -> None:
    """Write the dataset: each sequence's frames are links to those of a rendered walk."""
    for place, (identity, walk, view) in enumerate(walks(count)):
        folder = root / f"Silhouette_{view}-{walk}" / identity
        folder.mkdir(parents=True)
        for file in rendered[place * 7 % len(rendered)]:
            os.link(file, folder / file.name)


def write_params(where: Path, processes: int) -> None:
    """params.yaml with the dataset."""
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"dataset": "oumvlp", "modalities": [MODALITY], "models": [MODEL], "devices": ["local"]}
    params["datasets"]["oumvlp"]["path"] = "OUMVLP"
    params["threads"] |= {"dataset": processes, "preprocess": processes}
    with (where / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


class Project:
    """A folder with params.yaml and the dataset, in which stages run."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.store = where / f"data/preprocessed/{MODALITY}"
        self.journal = begun_path(self.store) / JOURNAL

    def stage(self, name: str, *words: str, **how: Any) -> Spent:
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        return run([sys.executable, "-m", f"stages.{name}", *words], self.where, **how)

    def dataset(self) -> Spent:
        return self.stage("dataset", "--out", "data/raw/oumvlp")

    def preprocess(self, **how: Any) -> Spent:
        words = ["--modality", MODALITY, "--dataset", "data/raw/oumvlp", "--out", str(self.store.relative_to(self.where))]
        return self.stage("preprocess", *words, **how)

    def partition(self) -> Spent:
        outs = [word for part in ("training", "test", "code", "protocol") for word in (f"--{part}", f"data/{part}.json")]
        return self.stage("partition", "--model", MODEL, "--preprocessed", "data/preprocessed", *outs)

    def journaled(self, known: int = 0, read: int = 0) -> tuple[int, int]:
        """How many sequences the journal has, and its size.

        Args:
            known: how many it has at least, in its first bytes.
            read: how many bytes these are.
        """
        if not self.journal.exists():
            return 0, 0
        with self.journal.open("rb") as file:
            file.seek(read)
            for block in iter(lambda: file.read(1 << 20), b""):
                known, read = known + block.count(b"\n"), read + len(block)
        return known, read


class Goal:
    """Asked again and again whether preprocessing has come so far; it notes when the first new sequence was there."""

    def __init__(self, project: Project, sequences: float) -> None:
        self._project, self._sequences = project, sequences
        self.before, self._size = project.journaled()
        self._known, self._start = self.before, time.perf_counter()
        self.first_new_s = 0.0

    def reached(self) -> bool:
        # The stage cuts off a last line that is not whole before it writes new ones, so a size below the known one is none.
        known, size = self._project.journaled(self._known, self._size)
        if size > self._size:
            self._known, self._size = known, size
        if not self.first_new_s and self._known > self.before:
            self.first_new_s = time.perf_counter() - self._start
        return self._known >= self._sequences


def interrupted(project: Project, count: int) -> tuple[list[dict[str, Any]], list[Spent]]:
    """Preprocess with interruptions, and finish."""
    endings: list[dict[str, Any]] = []
    runs: list[Spent] = []
    for turn, by in enumerate((*ENDINGS, None)):
        goal = Goal(project, count * (turn + 1) // (len(ENDINGS) + 1) if by else math.inf)
        how: dict[str, Any] = {"by": by, "allowed": (1, -by)} if by else {}
        spent = project.preprocess(end_when=goal.reached, **how)
        runs.append(spent)
        if turn:
            went_on = next(line for line in spent.said.splitlines() if "goes on after" in line)
            kept = int(went_on.split()[4])
            endings[-1] |= {"again": goal.before - kept, "going_on_s": round(goal.first_new_s, 1)}
        if by:
            endings.append({"by": by.name, "finished": project.journaled()[0], "status": spent.status})
    return endings, runs


def measure(where: Path, count: int, frames: int, processes: int, whole: bool) -> dict[str, Any]:
    """All figures; ``where`` is an empty folder."""
    write_params(where, processes)
    project = Project(where)
    start = time.perf_counter()
    rendered = render(where / "rendered", min(RENDERED, count), frames)
    link(where / "OUMVLP", rendered, count)
    made = time.perf_counter() - start
    figures: dict[str, Any] = {"benchmark": "many_sequences", "sequences": count, "frames": frames, "processes": processes}
    figures["made_s"] = round(made, 1)
    figures["dataset"] = project.dataset().figures()
    figures["dataset_again"] = project.dataset().figures()
    figures["manifest_mb"] = round(size_of(where / "data/raw/oumvlp/manifest.json") / MB, 1)
    if whole:
        runs = [project.preprocess()]
    else:
        figures["endings"], runs = interrupted(project, count)
    figures["preprocess"] = {
        "wall_s": round(sum(spent.wall_s for spent in runs), 1),
        "cpu_s": round(sum(spent.cpu_s for spent in runs), 1),
        "peak_mb": round(max(spent.peak_mb for spent in runs), 1),
        "lines": sum(spent.lines for spent in runs),
    }
    figures["store_mb"] = round(size_of(project.store) / MB, 1)
    figures["index_mb"] = round(size_of(project.store / "index.json") / MB, 1)
    figures["partition"] = project.partition().figures()
    figures["test_mb"] = round(size_of(where / "data/test.json") / MB, 1)
    figures["stored"] = len(SequenceStore.open(project.store).sequences)
    figures["tested"] = sum(len(read_json(where / "data/test.json")[part]) for part in ("gallery", "probe"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help=f"fewer, to try it (default: all {SEQUENCES})")
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"of a sequence (default: {FRAMES})")
    parser.add_argument("--processes", type=int, default=2, help="of the stages dataset and preprocess (default: 2)")
    parser.add_argument("--whole", action="store_true", help="preprocess without interruptions")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.sequences, options.frames, options.processes, options.whole)
        # Before the folder goes, which takes minutes.
        if not options.json:
            print(f"{figures['sequences']} sequences of {figures['frames']} frames")
            for name in ("dataset", "dataset_again", "preprocess", "partition"):
                cost = figures[name]
                spent = f"{cost['wall_s']:7.1f} s, {cost['cpu_s']:7.1f} s of the processor, {cost['peak_mb']:5.0f} MB"
                print(f"{name:14} {spent}, {cost['lines']} lines")
            for ending in figures.get("endings", ()):
                print(f"{ending['by']} after {ending['finished']}: {ending['again']} again, on in {ending['going_on_s']} s")
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
