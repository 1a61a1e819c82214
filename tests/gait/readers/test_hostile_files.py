"""Any bytes in place of any file: readers report faults, raise only DataError, and write nothing."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gait.data.readers import LAYOUTS, open_dataset
from gait.errors import DataError
from tests.gait.readers import trees


def png() -> bytes:
    return cv2.imencode(".png", trees.silhouette())[1].tobytes()


def jpg() -> bytes:
    return cv2.imencode(".jpg", trees.film(1)[0])[1].tobytes()


def tar_gz(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(png())
            tar.addfile(member, io.BytesIO(png()))
    return packed.getvalue()


ARCHIVE = tar_gz("001/nm-01/090/001-nm-01-090-001.png", "001/nm-01/090/001-nm-01-090-002.png")
# Layout, where the file is, and what it would hold if it were whole.
PLACES = {
    "casia-b archive": ("casia-b", "GaitDatasetB-silh/001.tar.gz", ARCHIVE),
    "casia-b picture": ("casia-b", "GaitDatasetB-silh/001/nm-01/090/001-nm-01-090-001.png", png()),
    "ou-mvlp picture": ("oumvlp", "Silhouette_000-00/00001/0001.png", png()),
    "tum-gaid picture": ("tum-gaid", "image/p001/n01/001.jpg", jpg()),
    "tum-gaid background": ("tum-gaid", "image/p001/back/background.jpg", jpg()),
    "folder's png": ("folder", "a/b/c/1.png", png()),
    "folder's jpg": ("folder", "a/b/c/1.jpg", jpg()),
    "folder's bmp": ("folder", "a/b/c/1.bmp", cv2.imencode(".bmp", trees.film(1)[0])[1].tobytes()),
    "pickle": ("pickles", "001/nm-01/090/090.pkl", pickle.dumps(np.zeros((3, 8, 8), np.uint8))),
}  # fmt: skip
VIDEOS = {
    "casia-b video": ("casia-b", "DatasetB-video/001-nm-01-090.avi"),
    "tum-gaid video": ("tum-gaid", "p001-n01.avi"),
    "folder's video": ("folder", "a/b/c.avi"),
}


def everything(layout: str, root: Path) -> list[str]:
    """Read all walks, and the faults."""
    reader = open_dataset(layout, root)
    try:
        reader.identities()
        reader.split()
    except DataError:
        pass
    clips, faults = trees.all_clips(reader)
    for unit in reader.units():
        reader.files(unit)
    for clip in clips:
        frames = [*clip.silhouettes(faults).values(), *(clip.video(faults) if clip.video else [])]
        assert all(frame.dtype == np.uint8 and frame.ndim == 2 for frame in frames)
    return faults


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root for a dataset; the test fails if a file around it appears or changes."""
    root = tmp_path / "outer" / "root"
    root.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outer/kept.png").write_bytes(png())
    yield root
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outer"]
    assert sorted(path.name for path in root.parent.iterdir()) == ["kept.png", "root"]
    assert (tmp_path / "outer/kept.png").read_bytes() == png()


def put(root: Path, place: str, content: bytes) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("which", PLACES)
@given(data=st.data())
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_and_damaged_files_crash_nothing_and_write_nothing(which: str, watched: Path, data: st.DataObject) -> None:
    layout, place, whole = PLACES[which]
    content = data.draw(
        st.one_of(
            st.binary(max_size=600),
            st.binary(max_size=200).map(lambda tail: whole[: len(whole) // 2] + tail),
            st.integers(0, len(whole)).map(lambda end: whole[:end]),
            st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)).map(
                lambda change: whole[: change[0]] + bytes([change[1]]) + whole[change[0] + 1 :]
            ),
        )
    )
    path = put(watched, place, content)
    everything(layout, watched)
    assert [file for file in watched.rglob("*") if file.is_file()] == [path]
    assert path.read_bytes() == content


@pytest.mark.parametrize("which", PLACES)
def test_the_whole_files_of_these_tests_have_no_fault(which: str, watched: Path) -> None:
    layout, place, whole = PLACES[which]
    put(watched, place, whole)
    assert [fault for fault in everything(layout, watched) if "no such file" not in fault] == []


@pytest.mark.parametrize("which", VIDEOS)
@pytest.mark.parametrize("how", ["random", "zeros", "noise amid", "cut", "header", "nothing"])
def test_damaged_videos_crash_nothing(which: str, how: str, watched: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    layout, place = VIDEOS[which]
    whole = trees.write_film(tmp_path_factory.mktemp("films") / "film.avi", trees.film(20)).read_bytes()
    rng = np.random.default_rng(0)
    middle = len(whole) // 2
    content = {
        "random": rng.bytes(5000),
        "zeros": whole[:12] + bytes(5000),
        "noise amid": whole[:middle] + rng.bytes(200) + whole[middle + 200 :],
        "cut": whole[:middle],
        "header": whole[:300],
        "nothing": b"",
    }[how]
    if layout == "casia-b":
        put(watched, PLACES["casia-b picture"][1], png())
    path = put(watched, place, content)
    faults = everything(layout, watched)
    if how != "noise amid":
        assert any(str(path) in fault for fault in faults)


@given(
    st.lists(
        st.sampled_from(["../x.png", "/x.png", "001/nm-01/090/../../../../x.png", "001/nm-01/090/001-nm-01-090-001.png"])
    ),
    st.binary(max_size=100),
    st.integers(0, 10**6),
)
@example(["../x.png"] * 3, b"", 0)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_archives_with_any_names_and_damage_below_the_compression(
    watched: Path, names: list[str], noise: bytes, at: int
) -> None:
    plain = bytearray(gzip.decompress(tar_gz(*names)))
    at %= len(plain)
    plain[at : at + len(noise)] = noise
    put(watched, "GaitDatasetB-silh/001.tar.gz", gzip.compress(bytes(plain)))
    everything("casia-b", watched)
    assert [path.name for path in watched.rglob("*") if path.is_file()] == ["001.tar.gz"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_where_folders_are_expected_and_folders_where_files_are(layout: str, watched: Path) -> None:
    for place in (*(place for _, place, _ in PLACES.values()), *(place for _, place in VIDEOS.values())):
        (watched / place).mkdir(parents=True)
    everything(layout, watched)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_special_files_are_not_waited_for(layout: str, watched: Path) -> None:
    for kept, place, _ in (*PLACES.values(), *((kept, place, b"") for kept, place in VIDEOS.values())):
        if kept == layout:
            path = watched / place
            path.parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(path)
    everything(layout, watched)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_folder_is_reported(layout: str, watched: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(layout, watched / "nowhere")
