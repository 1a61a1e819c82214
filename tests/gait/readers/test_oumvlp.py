"""OU-MVLP as unzipped: Silhouette_<view>-<walk>/<identity>/<frame>.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gait.data.readers import open_dataset
from gait.errors import DataError
from tests.gait.readers import trees


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for view, walk, identity in [
        ("000", "00", "00001"),
        ("000", "01", "00001"),
        ("270", "00", "00001"),
        ("000", "00", "10307"),
    ]:
        folder = tmp_path / f"Silhouette_{view}-{walk}" / identity
        trees.write_pictures(folder, [trees.silhouette(30 + step) for step in range(3)], [f"{n:04d}.png" for n in (1, 2, 5)])
    (tmp_path / "Silhouette_000-00" / "00002").mkdir()
    return tmp_path


def test_walks_have_the_names_of_the_dataset(root: Path) -> None:
    for stray in ("Silhouette_000", "Silhouette_000-00/123", "Silhouette_000-00/notes", "masks"):
        (root / stray).mkdir()
    (root / "Silhouette_000-00/00009").write_text("no folder")
    reader = open_dataset("oumvlp", root)
    assert reader.fps == 25
    assert reader.identities() == ["00001", "00002", "10307"]
    assert reader.units() == ["00001/00/000", "00001/00/270", "00001/01/000", "00002/00/000", "10307/00/000"]
    clips, faults = trees.all_clips(reader)
    assert [clip.name for clip in clips][:2] == ["00001-00-000", "00001-00-270"]
    assert faults == []
    assert all(clip.video is None and not clip.aligned for clip in clips)
    assert reader.split() == {}


def test_frames_are_read_by_their_numbers(root: Path) -> None:
    reader = open_dataset("oumvlp", root)
    (clip,) = reader.clips("00001/00/270", [])
    frames, faults = trees.read(clip)
    assert list(frames) == [1, 2, 5]
    assert np.array_equal(frames[5], trees.silhouette(32))
    assert faults == []
    assert [path.name for path in reader.files("00001/00/270")] == ["0001.png", "0002.png", "0005.png"]


def test_other_files_are_ignored_and_damaged_frames_are_named(root: Path) -> None:
    folder = root / "Silhouette_000-00/00001"
    (folder / "0003.png").write_bytes((folder / "0001.png").read_bytes()[:40])
    (folder / "0004.png").symlink_to(root / "nowhere")
    for stray in ("1.png", "0006.jpg", "00007.png", "Thumbs.db", ".0008.png"):
        (folder / stray).write_bytes(b"x")
    (clip,) = open_dataset("oumvlp", root).clips("00001/00/000", [])
    frames, faults = trees.read(clip)
    assert list(frames) == [1, 2, 5]
    assert faults == [f"{folder}/0003.png is not a readable PNG file", f"{folder}/0004.png: not a readable file"]


def test_a_folder_without_frames_is_a_walk_without_frames(root: Path) -> None:
    (clip,) = open_dataset("oumvlp", root).clips("00002/00/000", [])
    assert trees.read(clip) == ({}, [])


def test_a_folder_without_people_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folder Silhouette_000-00"):
        open_dataset("oumvlp", tmp_path).identities()


def test_the_published_walks_are_all_expected(root: Path) -> None:
    expected = list(open_dataset("oumvlp", root).expected())
    assert len(expected) == len(set(expected)) == 10307 * 2 * 14
    assert {"00001-00-000", "10307-01-270", "05000-01-090", "05000-01-180"} <= set(expected)
    assert {name[-3:] for name in expected} == {f"{degrees:03d}" for degrees in [*range(0, 91, 15), *range(180, 271, 15)]}
