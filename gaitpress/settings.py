"""The settings that a result was made with, kept beside it in settings.json and handed on from stage to stage.

params.yaml says what the next run uses. A model, an engine or a measurement may have been made with other settings, such as
after an edit when only some stages ran again. So whatever describes a result reads the settings that are kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitpress import outputs

FILE = "settings.json"


def read(folder: Path) -> dict[str, Any]:
    """The settings that are kept beside a result.

    Raises:
        StageError: the result has none.
    """
    settings: dict[str, Any] = outputs.read_json(folder / FILE)
    return settings


def write(folder: Path, before: Mapping[str, Any], **sections: Any) -> None:
    """Keep settings beside a result.

    Args:
        folder: of the result.
        before: the settings of the result that it was made of.
        sections: the sections that this stage made it with.
    """
    outputs.write_json(folder / FILE, {**before, **sections})


def within(folder: Path, made_with: Mapping[str, Any]) -> bool:
    """Whether the result in a folder was made with the settings of a later result."""
    if not (folder / FILE).exists():
        return False
    return all(made_with.get(key) == value for key, value in read(folder).items())
