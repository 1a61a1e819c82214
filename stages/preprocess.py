"""Turn a dataset into training-ready sequences of one modality: aligned silhouettes or optical-flow samples.

Work that was interrupted goes on where it stopped when the stage runs again. What could not be read, and what the published
dataset has and this copy has not, is counted and listed in index.json.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import gait.data
from gait.data.content import Content
from gait.data.modalities.preparation import Job, convert, prepare_all, row_format, scaling
from gait.data.prepared.sequences import StoreWriter
from gait.data.readers import LAYOUTS, Reader, open_dataset
from gait.errors import DataError
from gaitpress import command_line, outputs, params
from gaitpress.errors import StageError
from gaitpress.params.datasets import Walkers
from gaitpress.progress import progress

KEYS = {"dataset", "evidence", "fps", "layout", "split"}
TOLD = 10  # faults shown on the terminal; all are in index.json
SAMPLE_S = 2.0  # how long to try before the estimate


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--modality", required=True, help="entry of `preprocess` in params.yaml")
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset (data/raw/<dataset>)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write: frames.npy, index.json, metrics.json")
    options, settings = command_line.parse(parser)
    if options.modality not in settings.preprocess:
        known = ", ".join(settings.preprocess)
        raise StageError(f"unknown modality {options.modality}; params.yaml has these under preprocess: {known}")
    how = settings.preprocess[options.modality].model_dump()
    manifest = _manifest(options.dataset / "manifest.json")
    root = _root(settings, manifest["dataset"], options.dataset)
    reader = open_dataset(manifest["layout"], root)
    content = Content.of(manifest.get("content", {}))
    jobs = [Job(manifest["layout"], root, unit, how, content) for unit in reader.units()]
    identities = reader.identities()
    _check_size(content, manifest["layout"], options.modality, how)
    _check_videos(reader, jobs, how, options.dataset)
    with outputs.resumed_directory(options.out, _key(options.dataset / "manifest.json", how)) as out:
        store = StoreWriter(out, *row_format(how))
        todo = jobs[len(store.units) :]
        if store.units:
            print(f"{options.modality}: goes on after {len(store.units)} of {len(jobs)} units", file=sys.stderr)
        processes = settings.threads.preprocess
        _estimate(options.modality, reader, todo, processes, out)
        for prepared in progress(prepare_all(todo, processes), len(todo), f"{options.modality}: units"):
            for identity, condition, view, frames in prepared.sequences:
                store.add(identity, condition, view, frames)
            store.complete(prepared.unit, prepared.skipped, prepared.faults)
        facts = {key: manifest[key] for key in ("dataset", "evidence", "fps", "split")}
        expected = manifest["evidence"] == "published"
        missing = _missing(reader, store) if expected else {"identities": [], "sequences": []}
        counts = {
            "frames": store.rows,
            "skipped": len(store.skipped),
            "faults": len(store.faults),
            "missing_identities": len(missing["identities"]),
            "missing_sequences": len(missing["sequences"]),
        }
        told = [*(f"{entry['sequence']} skipped: {entry['reason']}" for entry in store.skipped), *store.faults]
        sequences = store.close(modality=options.modality, settings=how, identities=identities, missing=missing, **facts)
        if not sequences:
            reasons = [*(entry["reason"] for entry in store.skipped), *store.faults, "there is no walk"]
            raise StageError(f"{options.dataset}: no sequence can be used; the first because: {reasons[0]}")
        outputs.write_json(out / "metrics.json", {"sequences": sequences, **counts, "identities": len(identities)})
    for fault in told[:TOLD]:
        print(f"warning: {fault}", file=sys.stderr)
    if len(told) > TOLD:
        print(f"warning: and {len(told) - TOLD} more", file=sys.stderr)
    words = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
    print(f"{sequences} sequences, {words}; all listed in {options.out}/index.json")


def _root(settings: params.Params, name: str, raw: Path) -> Path:
    """Where the dataset's files are: the manifest's own folder, or what params.yaml says."""
    entry = settings.datasets[name]
    return raw if isinstance(entry, Walkers) else Path(entry.path)


def _key(manifest: Path, how: dict[str, Any]) -> str:
    """What the rows depend on: the files, the settings and the code."""
    package = Path(gait.data.__path__[0])
    sources = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    digests = [hashlib.sha256(content).hexdigest() for content in (manifest.read_bytes(), *sources)]
    return json.dumps([how, digests], sort_keys=True)


def _check_size(content: Content, layout: str, modality: str, how: dict[str, Any]) -> None:
    """Say at once that silhouettes that are aligned already have another size than is asked for."""
    if (sizes := scaling(content, how)) is None:
        return
    there, asked = sizes
    words = (
        f"the dataset's silhouettes are aligned already, {there} px high, and preprocess.{modality}.pixels asks for {asked}"
    )
    if layout == "pickles" and asked > there:
        raise StageError(f"{words}; set it to {there}, or use a model and modality of that size")
    print(f"warning: {words}: they are scaled", file=sys.stderr)


def _check_videos(reader: Reader, jobs: list[Job], how: dict[str, Any], dataset: Path) -> None:
    """Fail at once where optical flow is asked of a dataset without videos."""
    first = next(iter(reader.clips(jobs[0].unit, [])), None) if how["kind"] == "flow" and jobs else None
    if first and not first.video:
        raise StageError(f"{dataset}: {first.name} has no video; optical flow needs the dataset's videos")


def _estimate(modality: str, reader: Reader, jobs: list[Job], processes: int, out: Path) -> None:
    """Say how long it will take and how much it will write, from a few walks of a few units spread over all.

    Raises:
        DataError: the disk has no room for it.
    """
    start = time.monotonic()
    units = walks = tried = written = 0
    for place in (0.5, 0.0, 0.25, 0.75):
        if units < len(jobs) and time.monotonic() - start < SAMPLE_S:
            job = jobs[int(place * len(jobs))]
            clips = list(reader.clips(job.unit, []))
            units, walks = units + 1, walks + len(clips)
            for clip in clips:
                if time.monotonic() - start < SAMPLE_S:
                    written += convert(clip, job.settings, [], job.content)[0].nbytes
                    tried += 1
    if not tried:
        return
    to_do = walks / units * len(jobs)
    seconds = (time.monotonic() - start) / tried * to_do / processes
    needed, free = written / tried * to_do, shutil.disk_usage(out).free
    words = f"about {_duration(seconds)} and {needed / 1e9:.2f} GB for {len(jobs)} units; {free / 1e9:.0f} GB are free"
    if needed > free:
        raise DataError(f"{out}: too little room: {words}")
    print(f"{modality}: {words}", file=sys.stderr)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    )


def _missing(reader: Reader, store: StoreWriter) -> dict[str, list[str]]:
    """People of whom, and walks of the others of which, the published dataset has files and this copy has none."""
    there = store.names | {entry["sequence"] for entry in store.skipped}
    absent = [name for name in reader.expected() if name not in there]
    people = {name.partition("-")[0] for name in absent} - {name.partition("-")[0] for name in there}
    return {"identities": sorted(people), "sequences": [name for name in absent if name.partition("-")[0] not in people]}


def _manifest(path: Path) -> dict[str, Any]:
    """What stages.dataset wrote.

    Raises:
        StageError: it is missing, incomplete or of an unknown layout.
    """
    manifest = outputs.read_json(path)
    if not isinstance(manifest, dict) or not manifest.keys() >= KEYS:
        raise StageError(f"{path}: must be a mapping with {', '.join(sorted(KEYS))}; run `dvc repro -f -s dataset`")
    if manifest["layout"] not in LAYOUTS:
        raise StageError(f"{path}: unknown layout {manifest['layout']}; known: {', '.join(LAYOUTS)}")
    return manifest


if __name__ == "__main__":
    command_line.run(main)
