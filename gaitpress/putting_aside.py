"""Put aside outputs whose inputs were edited meanwhile: DVC does not record them, and taking the edit back restores them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gaitpress import started


def real(path: Path) -> Path:
    """The path of an output; for a link, such as to a folder on a larger disk, its target, because the link stays."""
    return path.resolve() if path.is_symlink() else path


def confirm(path: Path, finished: Path) -> None:
    """Make sure, before an output goes to its place, that it was made of what DVC will record.

    Args:
        path: the output's path.
        finished: where the output is now.

    Raises:
        Edited: it was not; the output is put aside.
    """
    this = started.this
    if this is None or not this.declares(path):
        return
    try:
        this.confirm()
    except started.Edited as error:
        raise _put_aside(this, {path: finished}, error) from None
    this.placed.append(path)


def look_for_the_last_time() -> int:
    """The exit status of a stage that has done its work: 1 if something was edited since its outputs were put in place."""
    this = started.this
    if this is None or not this.placed:  # such as a process that helped to train
        return 0
    try:
        this.confirm()
    except started.Edited as error:
        edited = _put_aside(this, {path: real(path) for path in this.placed}, error)
        print(f"error: {edited}", file=sys.stderr)
        return 1
    return 0


def _put_aside(this: started.Started, finished: Mapping[Path, Path], error: started.Edited) -> started.Edited:
    """Keep outputs that DVC must not record, if a later run can take them up. Returns the error to report."""
    again = f"run it again, such as by `dvc repro {this.address}`"
    content = this.content() if this.keeps else None
    if content is None:
        return started.Edited(f"{error}; {again}")
    for path, place in finished.items():
        aside = started.aside(real(path), content)
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    edited = started.Edited(
        f"{error}. It is kept as {aside}. Take the edit back and {again}: it is taken up as it stands. "
        "Or leave the edit and do the same: it is made anew"
    )
    edited.kept = True
    return edited
