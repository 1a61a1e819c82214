"""Make the dataset that params.yaml chooses: generate `walkers`, or take stock of a dataset on disk without copying it.

`dvc repro -f -s dataset` takes stock again after files changed; it reads only what is new or changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gait.data.content import look
from gait.data.partitions import check_people, choose, doubts
from gait.data.prepared.sequences import Sequence
from gait.data.readers import Reader, casia_b, open_dataset
from gait.data.walkers import FPS, Walkers
from gait.errors import DataError
from gaitpress import command_line, outputs
from gaitpress.errors import StageError
from gaitpress.params import datasets
from gaitpress.progress import progress

SAVE_EVERY_S = 20.0
SHOWN = 10  # how many names or endings of unused files a note lists


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write (data/raw/<dataset>)")
    options, settings = command_line.parse(parser)
    entry = settings.datasets[settings.dataset]
    with outputs.new_directory(options.out) as out:
        if isinstance(entry, datasets.Walkers):
            facts = _generate(entry, out, settings.threads.dataset)
        else:
            memory = options.out.with_name(f".{options.out.name}.known.json")
            facts = _take_stock(entry, settings.dataset, memory, settings.threads.dataset)
        outputs.write_json(out / "manifest.json", {"dataset": settings.dataset, **facts})


def _generate(entry: datasets.Walkers, out: Path, processes: int) -> dict[str, Any]:
    """Write the walkers; their folders stand beside the manifest."""
    kinds = {"nm": entry.nm, "bg": entry.bg, "cl": entry.cl}
    people = [f"{person:03d}" for person in range(1, entry.subjects + 1)]
    conditions = [f"{kind}-{number:02d}" for kind, count in kinds.items() for number in range(1, count + 1)]
    _check_rules(product(people, conditions, entry.views), people, {}, entry)
    settings = entry.model_dump(include={field.name for field in fields(Walkers)})
    walkers = Walkers(**settings | {"views": tuple(entry.views)})
    (out / casia_b.SILHOUETTES).mkdir()
    (out / casia_b.VIDEOS).mkdir()
    with get_context("spawn").Pool(processes) as pool:
        work = pool.imap_unordered(partial(_write_subject, walkers, out), range(1, entry.subjects + 1))
        for _ in progress(work, entry.subjects, "walkers: subjects"):
            pass
    return {"layout": "casia-b", "fps": FPS, "evidence": "synthetic", "split": {}}


def _write_subject(walkers: Walkers, out: Path, subject: int) -> None:
    def walks() -> Any:
        for walk in walkers.walks(subject):
            name = f"{walk.identity}-{walk.condition}-{walk.view}.avi"
            casia_b.write_video(out / casia_b.VIDEOS / name, walk.video, FPS)
            yield walk.identity, walk.condition, walk.view, walk.silhouettes

    casia_b.write_archive(out / casia_b.SILHOUETTES / f"{subject:03d}.tar.gz", walks())


def _take_stock(entry: datasets.Published | datasets.Own, name: str, memory: Path, threads: int) -> dict[str, Any]:
    """List the user's files by unit, so that a change reruns what depends on them. The list does not say where they are.

    Args:
        entry: the dataset's entry in params.yaml.
        name: the entry's name.
        memory: file that remembers the contents of files by their sizes and times, so that each is read once.
        threads: how many files to read at a time.
    """
    root = Path(entry.path)
    if not root.is_dir():
        raise StageError(f"{root.absolute()}: no such folder; set datasets.{name}.path in params.yaml")
    reader = open_dataset(entry.layout, root, entry.pickle)
    identities, units, split = reader.identities(), reader.units(), reader.split()
    notes = _strays(reader)
    if walks := [walk for unit in units if (walk := reader.names(unit))]:
        notes += _check_rules(walks, identities, split, entry)
    elif (training := getattr(entry.partition, "train_subjects", None)) is not None:
        check_people(identities, training)
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    try:
        content = look(reader, units)
    except DataError as error:
        raise StageError(f"{root}: {error}") from None
    print(f"{name}: {content.words()}", file=sys.stderr)
    known = _known(memory)
    endings: Counter[str] = Counter()
    stock: dict[str, dict[str, Any]] = {}
    changed, to_read = [], 0
    for unit in progress(units, len(units), f"{name}: looking at files"):
        files = reader.files(unit)
        fingerprint, size = _fingerprint(files, root)
        stock[unit] = {"files": len(files), "bytes": size, "seen": fingerprint}
        if known.get(unit, {}).get("seen") != fingerprint:
            changed.append(unit)
            to_read += size
        endings.update(path.suffix.lower() or path.name for path in reader.unread(unit))
    if endings:
        counts = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(SHOWN))
        notes.append(f"files among the walks whose kind or name is not read: {counts}")
        print(f"warning: {notes[-1]}", file=sys.stderr)
    total = sum(facts["bytes"] for facts in stock.values())
    print(f"{name}: {total / 1e9:.2f} GB in {len(units)} units, {to_read / 1e9:.2f} GB of them to read", file=sys.stderr)
    saved = time.monotonic()
    for unit, digest in progress(_digests(reader, root, changed, threads), len(changed), f"{name}: reading files"):
        known[unit] = {"seen": stock[unit]["seen"], "sha256": digest}
        if time.monotonic() - saved > SAVE_EVERY_S:
            outputs.write_json(memory, known)
            saved = time.monotonic()
    outputs.write_json(memory, {unit: known[unit] for unit in units})
    listed = {
        unit: {"files": facts["files"], "bytes": facts["bytes"], "sha256": known[unit]["sha256"]}
        for unit, facts in stock.items()
    }
    fps = entry.fps if isinstance(entry, datasets.Own) else reader.fps
    evidence = "published" if isinstance(entry, datasets.Published) else "own"
    facts = {"layout": entry.layout, "fps": fps, "evidence": evidence, "split": split}
    facts |= {} if entry.pickle is None else {"pickle": entry.pickle}
    return {**facts, "content": content.facts(), "notes": notes, "units": listed}


def _check_rules(
    walks: Iterable[tuple[str, str, str]], identities: list[str], split: dict[str, list[str]], entry: datasets.Dataset
) -> list[str]:
    """Fail now if the walks on the disk do not fit the rules of who trains and who is tested.

    Returns:
        Doubts about the walks, which their user should know.
    """
    sequences = [Sequence(*walk, start=place, count=1) for place, walk in enumerate(walks)]
    protocol, chosen = choose(sequences, identities, split, entry.partition.model_dump())
    return doubts(sequences, chosen, protocol)


def _strays(reader: Reader) -> list[str]:
    """A note about what is not used of the dataset's folder, if there is something."""
    if not (strays := reader.strays()):
        return []
    more = f" and {len(strays) - SHOWN} more" if len(strays) > SHOWN else ""
    return [f"left out, as they belong to no person and no walk: {', '.join(strays[:SHOWN])}{more}"]


def _known(memory: Path) -> dict[str, Any]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _named(file: Path, root: Path) -> bytes:
    """A file's name in its dataset for a digest; a name need not be text in UTF-8."""
    return os.fsencode(file.relative_to(root)) + b"\0"


def _fingerprint(files: list[Path], root: Path) -> tuple[str, int]:
    """A digest that shows, without reading any file, whether one changed; and the size of all."""
    digest, total = hashlib.sha256(), 0
    for file in files:
        status = os.stat(file)
        total += status.st_size
        digest.update(_named(file, root) + f"{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest(), total


def _digests(reader: Reader, root: Path, units: list[str], threads: int) -> Iterator[tuple[str, str]]:
    """SHA-256 over names and contents of each unit's files, in order."""

    def digest(unit: str) -> str:
        whole = hashlib.sha256()
        for file in reader.files(unit):
            with file.open("rb") as content:
                whole.update(_named(file, root))
                whole.update(hashlib.file_digest(content, "sha256").digest())
        return whole.hexdigest()

    waiting: deque[tuple[str, Future[str]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for unit in units:
            waiting.append((unit, pool.submit(digest, unit)))
            if len(waiting) > 4 * threads:
                first, done = waiting.popleft()
                yield first, done.result()
        for unit, done in waiting:
            yield unit, done.result()


if __name__ == "__main__":
    command_line.run(main)
