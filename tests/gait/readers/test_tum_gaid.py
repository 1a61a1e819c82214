"""TUM-GAID: colour frames or videos of a fixed camera, and lists of identities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gait.data.readers import open_dataset
from gait.errors import DataError
from tests.gait.readers import trees


@pytest.fixture
def root(tmp_path: Path) -> Path:
    frames = trees.film()
    for walk in ("p001/n05", "p001/b01", "p305/s02"):
        trees.write_pictures(tmp_path / "image" / walk, frames, [f"{n:03d}.jpg" for n in range(1, 13)])
    trees.write_pictures(tmp_path / "image/p001/back", [trees.place()], ["background.jpg"])
    return tmp_path


def test_walks_of_frames_give_silhouettes_and_grey_frames(root: Path) -> None:
    for stray in ("image/p001/n13", "image/p001/x01", "image/p02/n01", "image/notes"):
        (root / stray).mkdir(parents=True)
    reader = open_dataset("tum-gaid", root)
    assert reader.fps == 30
    assert reader.identities() == ["001", "305"]
    assert reader.units() == ["001/b01", "001/n05", "305/s02"]
    clips, faults = trees.all_clips(reader)
    assert [clip.name for clip in clips] == ["001-b01-090", "001-n05-090", "305-s02-090"]
    for clip in clips:
        shown, problems = trees.read(clip)
        assert list(shown) == list(range(1, 13))
        for number, frame in enumerate(trees.film(), start=1):
            assert trees.overlap(shown[number], (frame[..., 0] > 150).astype(np.uint8)) > 0.7
        assert clip.video is not None
        grey = clip.video(problems)
        assert {frame.shape for frame in grey} == {(60, 80)}
        assert problems == faults == []


def test_files_are_the_frames_and_the_background(root: Path) -> None:
    reader = open_dataset("tum-gaid", root)
    assert [path.name for path in reader.files("001/n05")][:3] == ["background.jpg", "001.jpg", "002.jpg"]
    assert len(reader.files("305/s02")) == 12


def test_people_with_only_a_background_count_as_people(root: Path) -> None:
    (root / "image/p007/back").mkdir(parents=True)
    reader = open_dataset("tum-gaid", root)
    assert reader.identities() == ["001", "007", "305"]
    assert not any(unit.startswith("007") for unit in reader.units())


@pytest.mark.parametrize("folder", ["video", "videos", "."])
@pytest.mark.parametrize(("kind", "codec"), [("avi", "XVID"), ("mp4", "mp4v")])
def test_videos_are_read_where_there_are_no_frames(tmp_path: Path, folder: str, kind: str, codec: str) -> None:
    path = trees.write_film(tmp_path / folder / f"p012-n01.{kind}", trees.film(), codec)
    (tmp_path / folder / "p012.avi").write_bytes(b"")
    reader = open_dataset("tum-gaid", tmp_path)
    assert (reader.identities(), reader.units()) == (["012"], ["012/n01"])
    assert [file.resolve() for file in reader.files("012/n01")] == [path.resolve()]
    (clip,) = reader.clips("012/n01", [])
    shown, faults = trees.read(clip)
    assert (len(shown), faults) == (12, [])
    assert clip.video is not None
    assert len(clip.video([])) == 12


def test_a_cut_video_and_damaged_frames_are_used_as_far_as_they_go_and_named(root: Path) -> None:
    whole = trees.write_film(root / "video/p002-n01.avi", trees.film(40)).read_bytes()
    (root / "video/p002-n01.avi").write_bytes(whole[: len(whole) * 3 // 4])
    frame = root / "image/p001/n05/003.jpg"
    frame.write_bytes(frame.read_bytes()[:-400])
    trees.write_pictures(frame.parent, trees.film(1, 30, 40), ["005.jpg"])
    (root / "image/p001/back/background.jpg").write_bytes(b"broken")
    reader = open_dataset("tum-gaid", root)
    (clip,) = reader.clips("001/n05", [])
    shown, faults = trees.read(clip)
    assert len(shown) == 10
    assert [fault.split("/")[-1] for fault in faults] == [
        "003.jpg is not a readable picture",
        "005.jpg differs in size from the walk's first picture",
        "background.jpg is not a readable picture",
    ]
    (clip,) = reader.clips("002/n01", [])
    shown, faults = trees.read(clip)
    assert 5 < len(shown) < 40
    assert faults == [f"{root}/video/p002-n01.avi: 40 frames announced, {len(shown)} readable"]


def test_lists_give_the_parts_and_missing_ones_are_absent(root: Path) -> None:
    reader = open_dataset("tum-gaid", root)
    assert reader.split() == {}
    (root / "labels").mkdir()
    (root / "labels/tumgaidtrainids.lst").write_text("2\n1\n305\n")
    (root / "tumgaidtestids.lst").write_text(" 003 010\t11 \r\n")
    assert reader.split() == {"train": ["001", "002", "305"], "test": ["003", "010", "011"]}


@pytest.mark.parametrize("content", [b"", b"1 two 3", b"0", b"306", b"1,2", b"\xff\xfe1", b"-1", b"1" * 300_000])
def test_a_malformed_list_is_named(root: Path, content: bytes) -> None:
    (root / "tumgaidvalids.lst").write_bytes(content)
    with pytest.raises(DataError, match=r"tumgaidvalids\.lst: is no list of numbers from 1 to 305"):
        open_dataset("tum-gaid", root).split()


def test_a_folder_without_people_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folder image/p001"):
        open_dataset("tum-gaid", tmp_path).identities()


def test_the_published_walks_are_all_expected(root: Path) -> None:
    expected = list(open_dataset("tum-gaid", root).expected())
    assert len(expected) == len(set(expected)) == 305 * 10 + 32 * 10
    assert {"001-n12-090", "032-b03-090", "033-n06-090", "305-s02-090"} <= set(expected)
    assert not {"033-n07-090", "305-b03-090"} & set(expected)
