"""The settings that a result was made with, kept beside it in settings.json and handed on from stage to stage.

params.yaml tells what the next run will use. What a model, an engine or a measurement was made with may be another matter,
such as after an edit when only some stages ran again: whatever tells of a result tells what is kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitpress import outputs

FILE = "settings.json"


def read(folder: Path) -> dict[str, Any]:
    """What is kept beside a result.

    Raises:
        StageError: nothing is.
    """
    found: dict[str, Any] = outputs.read_json(folder / FILE)
    return found


def write(folder: Path, before: Mapping[str, Any], **own: Any) -> None:
    """Keep settings beside a result.

    Args:
        folder: of the result.
        before: what is kept beside what it was made of.
        own: sections that it is made with itself.
    """
    outputs.write_json(folder / FILE, {**before, **own})


def within(folder: Path, made_with: Mapping[str, Any]) -> bool:
    """Whether what stands in a folder now was made with the settings of some later result."""
    if not (folder / FILE).exists():
        return False
    return all(made_with.get(key) == value for key, value in read(folder).items())
