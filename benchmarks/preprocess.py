"""Speed of silhouette preprocessing: from archives of PNG files to the store, beside two references of the same run.

- a plain loop of the published algorithm, sequence by sequence (unpack, decode, crop, resize, centre, one file a sequence),
  which must give the same pixels bit for bit;
- the bare cost of decoding the same PNG files from memory with OpenCV.

The PNG files are written as libpng does by itself, with a filter chosen for each line. Those of the demo's walkers are
written faster and decode in half of the time; the figures for such are measured beside, with ``_fast`` in their names.

    python -m benchmarks.preprocess [--json] [--subjects N] [--processes N]

All on one process, as often as --repeats says, interleaved, best times; then ours on --processes.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gait.data.modalities.preparation import Job, prepare_all, row_format
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.readers import casia_b, open_dataset
from gait.data.walkers import Walkers

SETTINGS = {"kind": "silhouette", "pixels": 64}
ENCODINGS = {
    "fast": casia_b.PNG_SETTINGS,
    "adaptive": [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS],
}


def write_walkers(root: Path, subjects: int, encoding: str) -> None:
    """Archives of walkers as CASIA-B's are: all conditions, some views, 60 frames a walk."""
    folder = root / casia_b.SILHOUETTES
    folder.mkdir(parents=True)
    walkers = Walkers(("018", "090", "144"), nm=5, bg=1, cl=1, frames=60, difficulty=0.4, noise=0.4, seed=3)
    for subject in range(1, subjects + 1):
        walks = ((walk.identity, walk.condition, walk.view, walk.silhouettes) for walk in walkers.walks(subject))
        casia_b.write_archive(folder / f"{subject:03d}.tar.gz", walks, ENCODINGS[encoding])


def plain(root: Path, out: Path) -> None:
    """The published steps as one would write them down, one sequence after the other."""
    for archive in sorted((root / casia_b.SILHOUETTES).glob("*.tar.gz")):
        walks: dict[str, list[tuple[str, bytes]]] = {}
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    walks.setdefault(str(Path(member.name).parent), []).append((member.name, file.read()))
        for walk, files in sorted(walks.items()):
            frames = []
            for _, content in sorted(files):
                image: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
                if image.sum() <= 10_000:
                    continue
                row_sums = image.sum(axis=1)
                top, bottom = (row_sums != 0).argmax(), len(row_sums) - (row_sums[::-1] != 0).argmax()
                image = image[top:bottom]
                image = cv2.resize(image, (int(64 * image.shape[1] / image.shape[0]), 64), interpolation=cv2.INTER_CUBIC)
                column_sums = image.sum(axis=0).cumsum()
                centre = int((column_sums > image.sum() / 2).argmax())
                left, right = centre - 32, centre + 32
                if left < 0 or right > image.shape[1]:
                    side = np.zeros((64, 32), np.uint8)
                    image = np.concatenate([side, image, side], axis=1)
                    left, right = left + 32, right + 32
                frames.append(image[:, left:right])
            if frames:
                np.save(out / f"{walk.replace('/', '-')}.npy", np.stack(frames))


def ours(root: Path, out: Path, processes: int) -> SequenceStore:
    """The stage's work."""
    jobs = [Job("casia-b", root, unit, SETTINGS) for unit in open_dataset("casia-b", root).units()]
    store = StoreWriter(out, *row_format(SETTINGS))
    for prepared in prepare_all(jobs, processes):
        for identity, condition, view, frames in prepared.sequences:
            store.add(identity, condition, view, frames)
        store.complete(prepared.unit, prepared.skipped, prepared.faults)
    facts = {"modality": "silhouette", "settings": SETTINGS, "dataset": "walkers", "evidence": "synthetic", "fps": 25}
    store.close(**facts, identities=[], split={})
    return SequenceStore.open(out)


def pictures(root: Path) -> Iterator[bytes]:
    """The PNG files of all archives."""
    for archive in sorted((root / casia_b.SILHOUETTES).glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            yield from (content.read() for member in tar if (content := tar.extractfile(member)) is not None)


def decoding(files: list[bytes]) -> None:
    for content in files:
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)


def measure(subjects: int, processes: int, repeats: int, encoding: str) -> dict[str, Any]:
    """All figures of one way of writing PNG files."""
    cv2.setNumThreads(1)
    best: dict[str, float] = {}

    def timed(name: str, work: Any, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = work(*arguments)
        best[name] = min(best.get(name, np.inf), time.perf_counter() - start)
        return result

    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        write_walkers(where / "data", subjects, encoding)
        files = list(pictures(where / "data"))
        for repeat in range(repeats):
            for part in ("plain", "ours", "parallel"):
                (where / f"{part}{repeat}").mkdir()
            timed("plain", plain, where / "data", where / f"plain{repeat}")
            store = timed("ours", ours, where / "data", where / f"ours{repeat}", 1)
            timed("decoding", decoding, files)
            if processes > 1:
                timed("parallel", ours, where / "data", where / f"parallel{repeat}", processes)
        written = {path.stem: np.load(path) for path in (where / "plain0").iterdir()}
        stored = {sequence.name: store.frames(sequence) for sequence in store.sequences}
        identical = written.keys() == stored.keys() and all(np.array_equal(written[name], stored[name]) for name in written)
        sequences = len(store.sequences)
    return {
        "identical": bool(identical),
        "speedup": best["plain"] / best["ours"],
        "decode_ratio": best["ours"] / best["decoding"],
        "sequences_per_s": sequences / best["ours"],
        "plain_sequences_per_s": sequences / best["plain"],
        "processes": processes,
        "speedup_processes": best["plain"] / best.get("parallel", best["ours"]),
        "sequences": sequences,
        "frames": len(files),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--subjects", type=int, default=6, help="people to write and read (default: 6)")
    parser.add_argument("--processes", type=int, default=2, help="for the parallel figure (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="of every measurement (default: 3)")
    options = parser.parse_args()
    figures = measure(options.subjects, options.processes, options.repeats, "adaptive")
    fast = measure(options.subjects, options.processes, options.repeats, "fast")
    figures |= {f"{key}_fast": fast[key] for key in ("speedup", "decode_ratio", "speedup_processes")}
    figures["identical"] = figures["identical"] and fast["identical"]
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['sequences']} sequences, {figures['frames']} frames; the same pixels: {figures['identical']}")
    print(f"plain loop {figures['plain_sequences_per_s']:.0f} sequences/s, ours {figures['sequences_per_s']:.0f}")
    for kind, end in (("as libpng writes them", ""), ("written fast", "_fast")):
        print(f"PNG files {kind}: {figures[f'speedup{end}']:.2f} x as fast as the plain loop on one process,")
        print(f"  in {figures[f'decode_ratio{end}']:.2f} x the time of decoding alone;")
        print(f"  {figures[f'speedup_processes{end}']:.2f} x with {figures['processes']} processes, starting them included")


if __name__ == "__main__":
    main()
