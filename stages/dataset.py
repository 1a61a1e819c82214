"""Make the dataset that params.yaml chooses: generate `walkers`, or take stock of a dataset on disk without copying it."""

from __future__ import annotations

import hashlib
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gait.data import casia_b
from gait.data.walkers import FPS, Walkers
from stages import io, params


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write (data/raw/<dataset>)")
    options, settings = io.parse(parser)
    entry = settings.datasets[settings.dataset]
    with io.new_directory(options.out) as out:
        if isinstance(entry, params.Walkers):
            facts = _generate(entry, out, settings.threads.dataset)
        else:
            facts = _take_stock(entry, settings.dataset)
        io.write_json(out / "manifest.json", {"dataset": settings.dataset, "layout": "casia-b", "fps": FPS, **facts})


def _generate(entry: params.Walkers, out: Path, processes: int) -> dict[str, Any]:
    """Write the walkers; their folders stand beside the manifest."""
    what = Walkers(tuple(entry.views), entry.nm, entry.bg, entry.cl, entry.frames, entry.difficulty, entry.seed)
    (out / casia_b.SILHOUETTES).mkdir()
    (out / casia_b.VIDEOS).mkdir()
    with get_context("spawn").Pool(processes) as pool:
        work = pool.imap_unordered(partial(_write_subject, what, out), range(1, entry.subjects + 1))
        for _ in io.progress(work, entry.subjects, "walkers: subjects"):
            pass
    return {"evidence": "synthetic", "silhouettes": casia_b.SILHOUETTES, "videos": casia_b.VIDEOS}


def _write_subject(what: Walkers, out: Path, subject: int) -> None:
    def walks() -> Any:
        for walk in what.walks(subject):
            name = f"{walk.identity}-{walk.condition}-{walk.view}.avi"
            casia_b.write_video(out / casia_b.VIDEOS / name, walk.video, FPS)
            yield walk.identity, walk.condition, walk.view, walk.silhouettes

    casia_b.write_archive(out / casia_b.SILHOUETTES / f"{subject:03d}.tar.gz", walks())


def _take_stock(entry: params.CasiaB, name: str) -> dict[str, Any]:
    """List the user's files with their size and content, so that a change reruns what depends on them."""
    root = Path(entry.path).absolute()
    if not root.is_dir():
        raise io.StageError(f"{root}: no such folder; set datasets.{name}.path in params.yaml")
    folders = [root / folder for folder in (casia_b.SILHOUETTES, casia_b.VIDEOS) if (root / folder).is_dir()]
    casia_b.subjects(root / casia_b.SILHOUETTES)
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    files = {}
    for path in io.progress(paths, len(paths), f"{name}: files"):
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        files[path.relative_to(root).as_posix()] = {"size": path.stat().st_size, "sha256": digest}
    silhouettes, videos = str(root / casia_b.SILHOUETTES), str(root / casia_b.VIDEOS)
    return {"evidence": "published", "silhouettes": silhouettes, "videos": videos, "files": files}


if __name__ == "__main__":
    io.run(main)
