"""Turn a dataset into training-ready sequences of one modality: aligned silhouettes or optical-flow samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gait.data import casia_b
from gait.data.flow import SIDE
from gait.data.preparation import Job, prepare_all
from gait.data.sequences import StoreWriter
from stages import io

LAYOUT = "casia-b"
KEYS = {"dataset", "evidence", "fps", "layout", "silhouettes", "videos"}
TOLD = 10  # faults shown on the terminal; all are in index.json


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--modality", required=True, help="entry of `preprocess` in params.yaml")
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset (data/raw/<dataset>)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write: frames.npy, index.json, metrics.json")
    options, settings = io.parse(parser)
    if options.modality not in settings.preprocess:
        known = ", ".join(settings.preprocess)
        raise io.StageError(f"unknown modality {options.modality}; params.yaml has these under preprocess: {known}")
    how = settings.preprocess[options.modality].model_dump()
    manifest = _manifest(options.dataset / "manifest.json")
    silhouettes, videos = (options.dataset / manifest[folder] for folder in ("silhouettes", "videos"))
    if how["kind"] == "flow" and not videos.is_dir():
        raise io.StageError(f"{videos}: no such folder; optical flow needs the dataset's videos")
    subjects = casia_b.subjects(silhouettes)
    jobs = [Job(subject, silhouettes, videos, how) for subject in subjects]
    shape, dtype = (
        ((how["size"],) * 2, "uint8") if how["kind"] == "silhouette" else ((SIDE, SIDE, 2 * how["frames"]), "int16")
    )
    skipped, faults, rows = [], [], 0
    with io.new_directory(options.out) as out:
        store = StoreWriter(out, shape, dtype)
        work = prepare_all(jobs, settings.threads.preprocess)
        for prepared in io.progress(work, len(jobs), f"{options.modality}: subjects"):
            for identity, condition, view, frames in prepared.sequences:
                store.add(identity, condition, view, frames)
                rows += len(frames)
            skipped += prepared.skipped
            faults += prepared.faults
        facts = {**{key: manifest[key] for key in ("dataset", "evidence", "fps")}, "identities": subjects}
        sequences = store.close(modality=options.modality, settings=how, skipped=skipped, faults=faults, **facts)
        metrics = {"sequences": sequences, "frames": rows, "skipped": len(skipped), "faults": len(faults)}
        if not sequences:
            first = skipped[0]["reason"] if skipped else faults[0] if faults else "there is no walk"
            raise io.StageError(f"{options.dataset}: no sequence can be used; the first because: {first}")
        io.write_json(out / "metrics.json", {**metrics, "identities": len(jobs)})
    told = [*(f"{entry['sequence']} skipped: {entry['reason']}" for entry in skipped), *faults]
    for fault in told[:TOLD]:
        print(f"warning: {fault}", file=sys.stderr)
    if len(told) > TOLD:
        print(f"warning: and {len(told) - TOLD} more", file=sys.stderr)
    print(", ".join(f"{count} {what}" for what, count in metrics.items()) + f"; all listed in {options.out}/index.json")


def _manifest(path: Path) -> dict[str, Any]:
    """What stages.dataset wrote.

    Raises:
        StageError: it is missing, incomplete or of an unknown layout.
    """
    manifest = io.read_json(path)
    if not isinstance(manifest, dict) or not manifest.keys() >= KEYS:
        raise io.StageError(f"{path}: must be a mapping with {', '.join(sorted(KEYS))}; run `dvc repro -f -s dataset`")
    if manifest["layout"] != LAYOUT:
        raise io.StageError(f"{path}: unknown layout {manifest['layout']}; known: {LAYOUT}")
    return manifest


if __name__ == "__main__":
    io.run(main)
