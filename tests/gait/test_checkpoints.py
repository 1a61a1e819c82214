"""Checkpoints of a training that is killed, or loses its disk, at any step of saving one."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from gait.training.checkpoints import Checkpoints
from tests.support.small_disk import mounted

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "shutil.rmtree")


def checkpoints(where: Path) -> Checkpoints:
    return Checkpoints(where, 0.0, lambda folder: np.save(folder / "model.npy", np.arange(1 << 12)) and None)


def save(where: Path, done: int) -> None:
    checkpoints(where).save({"done": done}, {"w": np.full(1 << 12, done, np.float32)})


def killed_while_saving(where: Path, done: int, step: int) -> bool:
    """Save a checkpoint in a process that is killed right before one of its steps; whether it came to that."""
    process = os.fork()
    if not process:
        seen = 0

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event in STEPS:
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        save(where, done)
        os._exit(0)
    return os.waitpid(process, 0)[1] == signal.SIGKILL


def test_whenever_a_process_is_killed_there_is_a_whole_checkpoint(tmp_path: Path) -> None:
    where, done, step = tmp_path / "phase1", 1, 1
    save(where, done)
    while killed_while_saving(where, done + 1, step):
        loaded = checkpoints(where).load()
        assert loaded is not None
        folder, state, tensors = loaded
        assert state["done"] in (done, done + 1)
        np.testing.assert_array_equal(tensors["w"], np.full(1 << 12, state["done"], np.float32))
        np.testing.assert_array_equal(np.load(folder / "model.npy"), np.arange(1 << 12))
        done, step = state["done"], step + 1
    assert step > 10
    assert sorted(path.name for path in where.iterdir()) == ["checkpoint"]


def test_a_full_disk_keeps_the_last_checkpoint_and_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mounted(tmp_path / "disk", 1 << 20) as disk:
        where = disk.where / "phase1"
        save(where, 7)
        for left in (0, 4096, 40_000):
            disk.leave(left)
            save(where, 8)
            assert "warning: no checkpoint after 8: " in capsys.readouterr().err
            assert json.loads((where / "checkpoint/training.json").read_text())["done"] == 7
            assert sorted(path.name for path in where.iterdir()) == ["checkpoint"]
        disk.make_room()
        save(where, 8)
        assert str(checkpoints(where)).endswith("checkpoint, after 8")
