"""Turn a dataset into training-ready sequences of one modality: aligned silhouettes or optical-flow samples.

Interrupted work goes on where it stopped when the stage runs again. index.json lists what could not be read, and what the
published dataset has and this copy lacks; metrics.json counts both. Of data of your own, silhouettes that are hardly a
walking person's are listed and counted too, and look.png shows frames of the walks.
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
from gait.data import contact_sheet
from gait.data.content import Content
from gait.data.modalities.preparation import DOUBTFUL, Job, convert, prepare_all, row_format, scaling
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.readers import LAYOUTS, OWN, Reader, open_dataset
from gait.data.readers.pickles import Pickles
from gait.errors import DataError
from gaitpress import command_line, outputs, params
from gaitpress.errors import StageError
from gaitpress.params.datasets import Walkers
from gaitpress.progress import progress

KEYS = {"dataset", "evidence", "fps", "layout", "split"}
SHOWN = 10  # faults shown on the terminal; all are in index.json
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
    modality_settings = settings.preprocess[options.modality].model_dump()
    manifest = _manifest(options.dataset / "manifest.json")
    root = _root(settings, manifest["dataset"], options.dataset)
    layout, pickle = manifest["layout"], manifest.get("pickle")
    reader = open_dataset(layout, root, pickle)
    content = Content.of(manifest.get("content", {}))
    jobs = [Job(layout, root, unit, modality_settings, content, pickle) for unit in reader.units()]
    identities = reader.identities()
    _check_size(content, reader, options.modality, modality_settings)
    _check_videos(reader, jobs, modality_settings, options.dataset)
    with outputs.resumed_directory(options.out, _key(options.dataset / "manifest.json", modality_settings)) as out:
        store = StoreWriter(out, *row_format(modality_settings))
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
        faults = [*(f"{entry['sequence']} skipped: {entry['reason']}" for entry in store.skipped), *store.faults]
        facts |= {"modality": options.modality, "settings": modality_settings}
        sequences = store.close(identities=identities, missing=missing, **facts)
        if not sequences:
            reasons = [*(entry["reason"] for entry in store.skipped), *store.faults, "there is no walk"]
            raise StageError(f"{options.dataset}: no sequence can be used; the first because: {reasons[0]}")
        if layout in OWN and modality_settings["kind"] == "silhouette":
            doubtful = [fault.partition(DOUBTFUL)[0] for fault in store.faults if DOUBTFUL in fault]
            counts["doubtful"] = len(doubtful)
            contact_sheet.write(out / contact_sheet.FILE, SequenceStore.open(out), doubtful)
        outputs.write_json(out / "metrics.json", {"sequences": sequences, **counts, "identities": len(identities)})
    for fault in faults[:SHOWN]:
        print(f"warning: {fault}", file=sys.stderr)
    if len(faults) > SHOWN:
        print(f"warning: and {len(faults) - SHOWN} more", file=sys.stderr)
    words = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
    print(f"{sequences} sequences, {words}; all listed in {options.out}/index.json")
    if (page := options.out / contact_sheet.FILE).exists():
        print(f"look at {page}: frames of the walks, the doubtful ones first")


def _root(settings: params.Params, name: str, raw: Path) -> Path:
    """Where the dataset's files are: the manifest's own folder, or what params.yaml says."""
    entry = settings.datasets[name]
    return raw if isinstance(entry, Walkers) else Path(entry.path)


def _key(manifest: Path, modality_settings: dict[str, Any]) -> str:
    """What the rows depend on: the files, the settings and the code."""
    package = Path(gait.data.__path__[0])
    sources = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    digests = [hashlib.sha256(content).hexdigest() for content in (manifest.read_bytes(), *sources)]
    return json.dumps([modality_settings, digests], sort_keys=True)


def _check_size(content: Content, reader: Reader, modality: str, modality_settings: dict[str, Any]) -> None:
    """Warn at once if silhouettes that are already aligned have another size than `pixels`.

    Raises:
        StageError: the dataset is of pickles, which would have to be enlarged.
    """
    if (sizes := scaling(content, modality_settings)) is None:
        return
    height, wanted = sizes
    key = f"preprocess.{modality}.pixels"
    words = f"the dataset's silhouettes are aligned already, {height} px high, and {key} asks for {wanted}"
    if isinstance(reader, Pickles) and wanted > height:
        raise StageError(f"{words}; set it to {height}, or use a model and modality of that size")
    print(f"warning: {words}: they are scaled", file=sys.stderr)


def _check_videos(reader: Reader, jobs: list[Job], modality_settings: dict[str, Any], dataset: Path) -> None:
    """Fail at once if the modality is optical flow and the dataset has no videos."""
    first = next(iter(reader.clips(jobs[0].unit, [])), None) if modality_settings["kind"] == "flow" and jobs else None
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
    words = f"about {_duration(seconds)} and {needed / 1e9:.2f} GB for {len(jobs)} units; {free / 1e9:.2f} GB are free"
    if needed > free:
        raise DataError(f"{out.parent}: too little room: {words}; make room there and run the same again")
    print(f"{modality}: {words}", file=sys.stderr)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    )


def _missing(reader: Reader, store: StoreWriter) -> dict[str, list[str]]:
    """The people whom this copy of a published dataset lacks, and the walks that it lacks of all others."""
    present = store.names | {entry["sequence"] for entry in store.skipped}
    absent = [name for name in reader.expected() if name not in present]
    people = {name.partition("-")[0] for name in absent} - {name.partition("-")[0] for name in present}
    return {"identities": sorted(people), "sequences": [name for name in absent if name.partition("-")[0] not in people]}


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest that stages.dataset wrote.

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
