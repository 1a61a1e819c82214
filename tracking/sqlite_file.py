"""MLflow's SQLite file, and the folder of artifacts beside it."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

FOLDER = "mlartifacts"
WAIT_S = 20.0  # for others who write


def artifacts(database: Path, experiment: str) -> Path:
    """The folder of an experiment's artifacts, beside the file, so that both move and vanish together."""
    return database.absolute().parent / FOLDER / experiment


def create(path: Path, make: Callable[[Path], None]) -> None:
    """Make an SQLite database under another name and move it to its place once its tables are complete.

    So neither an interruption nor an `mlflow ui` that starts at the same time meets half a database. Among several
    processes, one makes it and the others wait for it.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, partial = path.with_name(f"{path.name}.lock"), path.with_name(f".{path.name}.partial")
    with lock.open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not path.exists():
            _remove(partial)  # a killed process left it
            try:
                make(partial)
                partial.replace(path)
            finally:
                _remove(partial)
        # Not before: a process that opens another lock file from here on finds the database.
        lock.unlink(missing_ok=True)


def bring_artifacts_along(database: Path, experiment: str, experiment_id: str, noted: str) -> None:
    """Point a copied or moved file to the artifacts beside it: MLflow notes absolute places when it makes an experiment.

    Runs whose artifacts are in the former place alone keep it. A place that somebody chose stays.

    Args:
        database: the file.
        experiment, experiment_id: the experiment's name and id.
        noted: the place of its artifacts that the file has.
    """
    here, former = artifacts(database, experiment), _path(noted)
    if former is None or former == here or former.parts[-2:] != here.parts[-2:]:
        return
    beside = former.parent.parent / database.name
    if former.exists() and (not beside.exists() or beside.samefile(database)):
        return
    with closing(sqlite3.connect(database, timeout=WAIT_S)) as connection, connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (here.as_uri(), int(experiment_id))
        )
        rows = connection.execute("SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?", (int(experiment_id),))
        for run_id, uri in rows.fetchall():
            place = _path(uri)
            if place is None or not place.is_relative_to(former):
                continue
            now = here / place.relative_to(former)
            if now.exists() or not place.exists():
                connection.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (now.as_uri(), run_id))


def fault(message: str) -> str | None:
    """What to do about a file that SQLite refuses; None if the message is about something else."""
    if any(words in message for words in ("file is not a database", "database disk image is malformed")):
        return "the file is damaged, or no database; move it away, and `dvc repro -f -s track` fills a new one"
    return None


def _path(uri: str) -> Path | None:
    """The path that the place of artifacts stands for; None for one elsewhere, such as in a cloud."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(uri)


def _remove(database: Path) -> None:
    """Remove an SQLite file and the files that SQLite keeps beside it."""
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
