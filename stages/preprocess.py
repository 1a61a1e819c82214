"""Turn a dataset into training-ready sequences of one modality: aligned silhouettes or optical-flow samples."""

from __future__ import annotations

import sys
from pathlib import Path

from gait.data import casia_b
from gait.data.flow import SIDE
from gait.data.preparation import Job, prepare_all
from gait.data.sequences import StoreWriter
from stages import io

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
    manifest = io.read_json(options.dataset / "manifest.json")
    silhouettes, videos = (options.dataset / manifest[folder] for folder in ("silhouettes", "videos"))
    if how["kind"] == "flow" and not videos.is_dir():
        raise io.StageError(f"{videos}: no such folder; optical flow needs the dataset's videos")
    jobs = [Job(subject, silhouettes, videos, how) for subject in casia_b.subjects(silhouettes)]
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
        facts = {key: manifest[key] for key in ("dataset", "evidence", "fps")}
        sequences = store.close(modality=options.modality, settings=how, skipped=skipped, faults=faults, **facts)
        metrics = {"sequences": sequences, "frames": rows, "skipped": len(skipped), "faults": len(faults)}
        if not sequences:
            first = skipped[0]["reason"] if skipped else faults[0] if faults else "there is no walk"
            raise io.StageError(f"{options.dataset}: no sequence can be used; the first because: {first}")
        io.write_json(out / "metrics.json", {**metrics, "identities": len(jobs)})
    for fault in [*faults, *(f"{entry['sequence']} skipped: {entry['reason']}" for entry in skipped)][:TOLD]:
        print(f"warning: {fault}", file=sys.stderr)
    print(", ".join(f"{count} {what}" for what, count in metrics.items()) + f"; all listed in {options.out}/index.json")


if __name__ == "__main__":
    io.run(main)
