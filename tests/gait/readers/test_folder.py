"""A user's own folders: identity/condition/view with silhouettes, pictures or a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gait.data.readers import open_dataset
from gait.errors import DataError
from tests.gait.readers import trees

SILHOUETTES = [trees.silhouette(30 + step) for step in range(4)]


def test_black_and_white_pngs_are_silhouettes(tmp_path: Path) -> None:
    names = [f"frame_{n}.png" for n in (8, 9, 10, 12)]
    trees.write_pictures(tmp_path / "anna/coat/090", SILHOUETTES, names)
    reader = open_dataset("folder", tmp_path)
    assert (reader.fps, reader.identities(), reader.units()) == (None, ["anna"], ["anna/coat/090"])
    (clip,), faults = trees.all_clips(reader)
    shown, problems = trees.read(clip)
    assert clip.name == "anna-coat-090"
    assert list(shown) == [8, 9, 10, 12]
    assert all(np.array_equal(one, other) for one, other in zip(shown.values(), SILHOUETTES, strict=True))
    assert faults == problems == []
    assert clip.video is None
    assert list(reader.expected()) == []
    assert reader.split() == {}


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["0.png", "1.png", "2.png", "10.png"], [1, 2, 3, 11]),
        (["a1_7.png", "a1_8.png", "a2_9.png", "a1_30.png"], [7, 8, 30, 9]),
        (["a.png", "b.png", "c.png", "d.png"], [1, 2, 3, 4]),
        (["a1.png", "b1.png", "c2.png", "d3.png"], [1, 2, 3, 4]),
    ],
)
def test_frames_have_the_numbers_of_their_names(tmp_path: Path, names: list[str], numbers: list[int]) -> None:
    trees.write_pictures(tmp_path / "a/b/c", SILHOUETTES, names)
    (clip,), _ = trees.all_clips(open_dataset("folder", tmp_path))
    shown, _ = trees.read(clip)
    assert sorted(shown) == sorted(numbers)


def test_three_equal_channels_are_black_and_white_too_and_grey_is_not(tmp_path: Path) -> None:
    trees.write_pictures(
        tmp_path / "a/b/c", [np.dstack([frame] * 3) for frame in SILHOUETTES], ["1234.png", "2.png", "3.png", "4.png"]
    )
    trees.write_pictures(
        tmp_path / "a/b/d", [frame[..., 0] for frame in trees.film(4)], ["1.png", "2.png", "3.png", "4.png"]
    )
    (equal, grey), _ = trees.all_clips(open_dataset("folder", tmp_path))
    assert equal.video is None
    assert grey.video is not None


@pytest.mark.parametrize("kind", ["png", "jpg", "jpeg", "bmp", "JPG"])
def test_other_pictures_go_through_background_subtraction_in_natural_order(tmp_path: Path, kind: str) -> None:
    frames = trees.film()
    trees.write_pictures(tmp_path / "a/b/c", frames, [f"img{n}.{kind}" for n in range(1, 13)])
    (clip,), _ = trees.all_clips(open_dataset("folder", tmp_path))
    shown, faults = trees.read(clip)
    assert (list(shown), faults) == (list(range(1, 13)), [])
    left = [int(np.flatnonzero(frame.any(0))[0]) for frame in shown.values()]
    assert left == sorted(left)
    assert clip.video is not None
    assert len(clip.video([])) == 12


@pytest.mark.parametrize(
    ("path", "codec"),
    [
        ("v.avi", "XVID"),
        ("v.AVI", "XVID"),
        ("v.mp4", "mp4v"),
        ("v.mkv", "XVID"),
        ("v.mov", "mp4v"),
        ("v/a film.avi", "MJPG"),
    ],
)
def test_a_view_may_be_a_video(tmp_path: Path, path: str, codec: str) -> None:
    written = trees.write_film(tmp_path / "film" / Path(path).name.lower(), trees.film(), codec)
    place = tmp_path / "root/a/b" / path
    place.parent.mkdir(parents=True)
    written.rename(place)
    reader = open_dataset("folder", tmp_path / "root")
    assert reader.units() == ["a/b/v"]
    assert reader.files("a/b/v") == [place]
    (clip,), faults = trees.all_clips(reader)
    shown, problems = trees.read(clip)
    assert (len(shown), faults, problems) == (12, [], [])


@pytest.mark.parametrize("moving", ["video.avi", "pictures"])
def test_the_users_silhouettes_and_a_video_give_silhouettes_and_flow(tmp_path: Path, moving: str) -> None:
    view = tmp_path / "a/b/c"
    trees.write_pictures(view / "silhouettes", SILHOUETTES, [f"{n}.png" for n in (2, 3, 4, 5)])
    if moving == "pictures":
        trees.write_pictures(view, trees.film(), [f"{n}.jpg" for n in range(12)])
    else:
        trees.write_film(view / moving, trees.film())
    (clip,), faults = trees.all_clips(open_dataset("folder", tmp_path))
    shown, _ = trees.read(clip)
    assert np.array_equal(shown[2], SILHOUETTES[0])
    assert clip.video is not None
    video = clip.video(faults)
    assert (len(video), video[0].shape, faults) == (12, (60, 80), [])


def test_an_unclear_walk_is_left_out_and_named(tmp_path: Path) -> None:
    trees.write_film(tmp_path / "a/b/c/one.avi", trees.film())
    trees.write_film(tmp_path / "a/b/c/two.avi", trees.film())
    trees.write_pictures(tmp_path / "a/b/d", trees.film(2), ["1.jpg", "2.jpg"])
    trees.write_film(tmp_path / "a/b/d.avi", trees.film())
    clips, faults = trees.all_clips(open_dataset("folder", tmp_path))
    assert clips == []
    assert faults == [
        f"{tmp_path}/a/b/c: left out, for it is not clear which of these is the walk: one.avi, two.avi",
        f"{tmp_path}/a/b/d: left out, for it is not clear which of these is the walk: 1.jpg, d.avi",
    ]


@pytest.mark.parametrize("folder", ["a b/n/v", "a/n m/v", "a/n/v w", "ä/n/v", "a/-n/v"])
def test_a_folder_with_a_wrong_name_is_reported_and_left_out(tmp_path: Path, folder: str) -> None:
    for path in (folder, "good/n/v", ".hidden/n/v"):
        trees.write_pictures(tmp_path / path, SILHOUETTES, [f"{n}.png" for n in range(4)])
    (tmp_path / "good/readme.txt").write_text("no condition")
    (tmp_path / "good/n/notes.txt").write_text("no view")
    reader = open_dataset("folder", tmp_path)
    clips, faults = trees.all_clips(reader)
    assert [clip.name for clip in clips] == ["good-n-v"]
    (fault,) = faults
    assert fault.startswith(f"{tmp_path}/{folder}".removesuffix("/v")[: len(str(tmp_path)) + 2])
    assert fault.endswith("left out, for names may have letters, digits, '_', '.' and '-' only")
    assert all(isinstance(reader.files(unit), list) for unit in reader.units())


def test_names_that_are_not_text_do_not_end_the_listing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (Path(str(tmp_path)) / b"\xff\xfe".decode(errors="surrogateescape")).mkdir()
    _, faults = trees.all_clips(open_dataset("folder", tmp_path))
    (fault,) = faults
    fault.encode()


def test_an_empty_view_is_a_walk_without_frames_and_an_empty_dataset_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folders identity/condition/view"):
        open_dataset("folder", tmp_path).identities()
    (tmp_path / "a/b/c").mkdir(parents=True)
    (clip,), _ = trees.all_clips(open_dataset("folder", tmp_path))
    assert trees.read(clip) == ({}, [])


def test_a_damaged_first_silhouette_does_not_hide_the_kind_of_the_others(tmp_path: Path) -> None:
    paths = trees.write_pictures(tmp_path / "a/b/c", SILHOUETTES, [f"{n}.png" for n in range(1, 5)])
    paths[0].write_bytes(b"\x89PNG")
    (clip,), _ = trees.all_clips(open_dataset("folder", tmp_path))
    shown, faults = trees.read(clip)
    assert (list(shown), faults) == ([2, 3, 4], [f"{paths[0]} is not a readable PNG file"])


def test_people_whose_names_all_have_other_letters_are_not_said_to_be_missing(tmp_path: Path) -> None:
    for person in ("José", "anna k"):
        trees.write_pictures(tmp_path / person / "coat/090", SILHOUETTES, [f"{n}.png" for n in range(4)])
    with pytest.raises(DataError, match=r"names may have letters, digits, '_', '.' and '-' only; rename such as 'José'"):
        open_dataset("folder", tmp_path).identities()
