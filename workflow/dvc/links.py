"""Links to folders on another disk in the place of outputs, or of folders around them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from workflow.dvc.stages import PipelineError


def refuse_folders_elsewhere(outs: Iterable[str]) -> None:
    """Refuse outputs in a linked folder outside this repository: DVC fails at them once they are made, hours later.

    Raises:
        PipelineError: there is one; the message says what to do.
    """
    here = Path.cwd().resolve()
    for folder in sorted({parent for out in outs for parent in Path(out).parents if parent.is_symlink()}):
        target = folder.resolve()
        if not target.is_relative_to(here):
            raise PipelineError(
                f"{folder} is a link to {target}, where DVC records nothing. Keep this whole repository on that disk, or "
                f"mount that folder here: rm {folder} && mkdir {folder} && sudo mount --bind {target} {folder}"
            )


def refuse_linked_folders(outs: Iterable[str]) -> None:
    """Refuse outputs that are links to folders: Snakemake removes a link before it makes the output. DVC keeps the link.

    Raises:
        PipelineError: there is one; the message says what to do.
    """
    for out in map(Path, outs):
        if out.is_symlink() and out.is_dir():
            raise PipelineError(
                f"{out} is a link to {out.resolve()}, and Snakemake would put a folder on this disk in its place. "
                "`dvc repro` keeps the link"
            )
