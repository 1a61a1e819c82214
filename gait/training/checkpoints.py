"""Checkpoints, from which a killed training continues, with the same result as one that was not killed.

A checkpoint is a folder. It has the model as it is always saved, so that it can also serve as ``init`` of another training;
training.safetensors, the tensors of the optimizer; and training.json, the progress and the history of the training. It has
no pickle. The random numbers of an iteration follow from the seed and the iteration's number, so they need not be saved.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gait.errors import DataError

STATE, TENSORS = "training.json", "training.safetensors"


class Checkpoints:
    """The last checkpoint of one training, in a folder of its own.

    Args:
        directory: the folder; the first checkpoint creates it.
        every_s: seconds between checkpoints.
        save_model: writes the model in training into an existing folder.
    """

    def __init__(self, directory: Path, every_s: float, save_model: Callable[[Path], None]) -> None:
        self.directory = directory
        self.every_s = every_s
        self._save_model = save_model
        self._last = time.monotonic()

    def __str__(self) -> str:
        checkpoint = self.latest()
        if checkpoint is None:
            return "none"
        return f"{checkpoint}, after {json.loads((checkpoint / STATE).read_text(encoding='utf-8'))['done']}"

    def latest(self) -> Path | None:
        """The folder of the last complete checkpoint, if there is one."""
        # If `save` is killed between its two renames, the last checkpoint has only the name "former".
        for name in ("checkpoint", "former"):
            if (self.directory / name / STATE).is_file():
                return self.directory / name
        return None

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self._last >= self.every_s

    def save(self, state: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
        """Replace the last checkpoint; if that fails, as on a full disk, print a warning and keep the last one.

        Args:
            state: values that JSON can hold; ``done`` is the number of completed steps.
            tensors: by name.
        """
        partial, former, checkpoint = (self.directory / name for name in ("partial", "former", "checkpoint"))
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            self._save_model(partial)
            save_file({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, partial / TENSORS)
            (partial / STATE).write_text(json.dumps(state) + "\n", encoding="utf-8")
            _to_disk(partial)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            print(f"warning: no checkpoint after {state['done']}: {error}; the last one: {self}", file=sys.stderr)
        else:
            if checkpoint.exists():
                shutil.rmtree(former, ignore_errors=True)
                checkpoint.rename(former)
            partial.rename(checkpoint)
            shutil.rmtree(former, ignore_errors=True)
        self._last = time.monotonic()

    def load(self) -> tuple[Path, dict[str, Any], dict[str, np.ndarray]] | None:
        """The last checkpoint: its folder, which holds the model, state and tensors; None if there is none.

        Raises:
            DataError: it is damaged.
        """
        checkpoint = self.latest()
        if checkpoint is None:
            return None
        try:
            state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
            return checkpoint, state, load_file(checkpoint / TENSORS)
        except (OSError, ValueError, SafetensorError) as error:
            raise DataError(
                f"{checkpoint}: the checkpoint is damaged ({error}); remove it to train from the start"
            ) from None


def _to_disk(directory: Path) -> None:
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
