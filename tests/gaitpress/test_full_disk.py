"""A full disk is reported in one line, with its folder and what to do, whichever library could not write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import save_file

from gait.data.readers import casia_b
from gaitpress import outputs
from gaitpress.errors import StageError
from gaitpress.full_disk import DiskFull
from tests.support.onnx_files import linear
from tests.support.small_disk import mounted
from tests.support.toy import ROOT

MANY = np.random.default_rng(0).standard_normal(1 << 18)


def database(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("create table kept (what)")
        connection.execute("insert into kept values (?)", (MANY.tobytes(),))
        connection.commit()
    finally:
        connection.close()


def network(path: Path) -> None:
    model = onnx.load(linear(path.with_name("small.onnx")))
    model.graph.initializer.append(onnx.numpy_helper.from_array(MANY, "more"))
    onnx.save(model, path)


def video(path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (60, 240, 320), np.uint8)
    casia_b.write_video(path, list(frames), 25)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("x" * MANY.nbytes),
    "array.npy": lambda path: np.save(path, MANY),
    "array": lambda path: MANY.tofile(path),
    "weights.safetensors": lambda path: save_file({"w": MANY}, path),
    "weights.pt": lambda path: torch.save(torch.from_numpy(MANY), path),
    "model.onnx": network,
    "database.db": database,
    "video.avi": video,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_the_former_output_stays(tmp_path: Path, name: str) -> None:
    with mounted(tmp_path / "disk", 1 << 20) as disk:
        out = disk.where / "results/out"
        with outputs.new_directory(out) as partial:
            (partial / "former").touch()
        with pytest.raises(DiskFull) as raised, outputs.new_directory(out) as partial:
            WRITERS[name](partial / name)
        said = str(raised.value)
        # These two give back what they could not use.
        if name in ("weights.safetensors", "database.db"):
            assert said.startswith(f"no space was left on the disk of {out.parent} (")
        else:
            assert said.startswith(f"{out.parent}: its disk, mounted at {disk.where}, is full")
        assert said.endswith("make room there and run the same again; nothing half-written stays")
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        assert [path.name for path in out.iterdir()] == ["former"]


def test_a_disk_that_takes_no_more_files_is_told_from_a_full_one(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1 << 20, files=8) as disk:
        with pytest.raises(DiskFull, match="takes no more files"), outputs.new_directory(disk.where / "out") as partial:
            for number in range(20):
                (partial / str(number)).touch()
        assert not (disk.where / "out").exists()


def test_on_a_full_disk_a_mistake_in_settings_is_still_that_mistake(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", 1 << 20) as disk,
        pytest.raises(StageError, match="no such key"),
        outputs.begun(disk.where / "out", "key"),
    ):
        disk.leave(0)
        raise StageError("no such key")


def test_work_that_a_full_disk_stopped_goes_on_once_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1 << 20) as disk:
        with pytest.raises(DiskFull), outputs.resumed_directory(disk.where / "out", "key") as begun:
            (begun / "done").write_text("done")
            disk.leave(0)
            (begun / "more").write_text("x" * 9000)
        disk.make_room()
        with outputs.resumed_directory(disk.where / "out", "key") as begun:
            assert (begun / "done").read_text() == "done"


def test_a_full_disk_for_temporary_files_is_named_in_place_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", 1 << 20) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.where))
        with pytest.raises(DiskFull, match=f"^{disk.where}: its disk, .* is full"), outputs.new_directory(tmp_path / "out"):
            np.save(disk.where / "scratch.npy", MANY)


def test_a_stage_on_a_full_disk_ends_with_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1 << 20) as disk:
        disk.leave(0)
        out = disk.where / "table.json"
        command = [sys.executable, "-m", "stages.untimed", "--model", "gaitset", "--out", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {disk.where}: its disk, mounted at {disk.where}, is full (0 KB free); ")
        assert len(done.stderr.splitlines()) == 1
        assert not out.exists()
        disk.make_room()
        assert subprocess.run(command, cwd=ROOT).returncode == 0
