"""CASIA-B's form: usable frames are read, the others are named, and no entry of an archive is trusted."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data.modalities.preparation import Job, Prepared, prepare
from gait.data.readers import Clip, archives, casia_b, open_dataset, pictures
from gait.errors import DataError

SILHOUETTE = {"kind": "silhouette", "pixels": 64}
FLOW = {"kind": "flow", "method": "dis", "frames": 4, "stride": 2}


def person(at: int = 40) -> np.ndarray:
    """A silhouette [60, 80] of a standing blob."""
    frame = np.zeros((60, 80), np.uint8)
    frame[8:52, at - 6 : at + 6] = 255
    return frame


def png(frame: np.ndarray) -> bytes:
    return cv2.imencode(".png", frame)[1].tobytes()


def name(number: int, condition: str = "nm-01", view: str = "090") -> str:
    return f"001/{condition}/{view}/001-{condition}-{view}-{number:03d}.png"


def archive(folder: Path, entries: list[tuple[str | tarfile.TarInfo, bytes]], subject: str = "001") -> Path:
    """A tar.gz of these files; an entry may also be a TarInfo of any kind."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subject}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for entry, data in entries:
            if isinstance(entry, str):
                entry = tarfile.TarInfo(entry)
                entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a dataset's archives and videos."""
    folder = tmp_path / casia_b.SILHOUETTES
    folder.mkdir()
    (tmp_path / casia_b.VIDEOS).symlink_to(folder)
    return folder


def read(folder: Path) -> tuple[list[Clip], list[str]]:
    """The walks of person 001, and the faults of their archive or folder."""
    faults: list[str] = []
    return list(open_dataset("casia-b", folder.parent).clips("001", faults)), faults


def numbers(clip: Clip) -> list[int]:
    return list(clip.silhouettes([]))


def prepared(folder: Path, settings: dict[str, object]) -> Prepared:
    """The prepared walks of person 001."""
    return prepare(Job("casia-b", folder.parent, "001", settings))


def of_kind(kind: bytes, path: str, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.linkname = kind, link
    return member


def test_a_written_archive_has_casia_b_names_and_reads_back(folder: Path) -> None:
    frames = [person(30 + step) for step in range(3)]
    path = folder / "001.tar.gz"
    casia_b.write_archive(path, [("001", "nm-01", "090", frames), ("001", "bg-02", "018", frames[:1])])
    with tarfile.open(path) as tar:
        assert tar.getnames() == [*(name(number) for number in (1, 2, 3)), name(1, "bg-02", "018")]
    clips, faults = read(folder)
    assert faults == []
    assert [clip.name for clip in clips] == ["001-bg-02-018", "001-nm-01-090"]
    back = clips[1].silhouettes([])
    assert list(back) == [1, 2, 3]
    assert all(np.array_equal(back[number], frame) for number, frame in enumerate(frames, start=1))


def test_the_same_frames_give_the_same_archive_bytes(folder: Path) -> None:
    for file in ("a", "b"):
        casia_b.write_archive(folder / file, [("001", "nm-01", "090", [person()])])
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


def test_an_extracted_folder_gives_the_walks_of_its_archive(folder: Path) -> None:
    entries = [(name(number), png(person(30 + number))) for number in (1, 2, 5)]
    entries.append((name(1, "cl-01"), b"broken"))
    packed = archive(folder / "packed" / casia_b.SILHOUETTES, [*entries, (of_kind(tarfile.DIRTYPE, "001/bg-01/090/"), b"")])
    shutil.unpack_archive(packed, folder / "folders" / casia_b.SILHOUETTES, "gztar")
    from_archive, from_folder = (prepared(folder / kind / casia_b.SILHOUETTES, SILHOUETTE) for kind in ("packed", "folders"))
    assert from_archive.skipped == from_folder.skipped
    assert from_archive.faults == from_folder.faults
    assert [entry[:3] for entry in from_archive.sequences] == [("001", "nm-01", "090")]
    assert np.array_equal(from_archive.sequences[0][3], from_folder.sequences[0][3])


def test_names_with_a_leading_dot_are_read_too(folder: Path) -> None:
    archive(folder, [(f"./{name(1)}", png(person()))])
    (clip,), faults = read(folder)
    assert faults == []
    assert numbers(clip) == [1]


def test_nothing_but_pictures_of_the_subject_is_taken_from_an_archive(folder: Path) -> None:
    secret = folder / "secret.png"
    secret.write_bytes(png(person()))
    good = png(person())
    hostile: list[tuple[str | tarfile.TarInfo, bytes]] = [
        ("../outside.png", good),
        (f"../{name(1)}", good),
        (f"/{name(1)}", good),
        (f"{folder}/absolute.png", good),
        ("001/nm-01/090/../../../up.png", good),
        ("001/nm-01/090/001-nm-02-090-001.png", good),
        ("001/nm-01/notes.txt", b"text"),
        (name(2).replace("001", "002"), good),
        (of_kind(tarfile.SYMTYPE, name(10), str(secret)), b""),
        (of_kind(tarfile.LNKTYPE, name(11), "../secret.png"), b""),
        (of_kind(tarfile.CHRTYPE, name(12)), b""),
        (of_kind(tarfile.BLKTYPE, name(13)), b""),
        (of_kind(tarfile.FIFOTYPE, name(14)), b""),
        (name(20), good),
    ]
    archive(folder / "silh" / casia_b.SILHOUETTES, hostile)
    before = sorted(folder.rglob("*"))
    clips, faults = read(folder / "silh" / casia_b.SILHOUETTES)
    assert [(clip.name, numbers(clip)) for clip in clips] == [("001-nm-01-090", [20])]
    assert faults == []
    assert sorted(folder.rglob("*")) == before, "reading must write nothing"


def test_an_archive_that_announces_a_huge_picture_is_named_and_fills_no_memory(folder: Path) -> None:
    huge = tarfile.TarInfo(name(2))
    huge.size = 2**40
    with gzip.open(folder / "001.tar.gz", "wb") as packed:
        small = tarfile.TarInfo(name(1))
        data = png(person())
        small.size = len(data)
        packed.write(small.tobuf() + data + bytes(-len(data) % 512) + huge.tobuf() + bytes(4096))
    (clip,), faults = read(folder)
    assert numbers(clip) == [1]
    assert faults == [f"{folder}/001.tar.gz: damaged, read up to the damage (more than 1024 MiB when unpacked)"]


def test_a_picture_too_large_for_a_silhouette_is_left_out_and_named(folder: Path) -> None:
    archive(folder, [(name(1), bytes(pictures.LARGEST_PICTURE + 1)), (name(2), png(person()))])
    (clip,), faults = read(folder)
    assert numbers(clip) == [2]
    assert len(faults) == 1
    assert f"{name(1)} is too large" in faults[0]


def test_an_archive_that_unpacks_without_end_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE", 2**20)
    archive(folder, [(name(1), png(person())), ("padding", bytes(3 * 2**20)), (name(2), png(person()))])
    (clip,), faults = read(folder)
    assert numbers(clip) == [1]
    assert len(faults) == 1
    assert "more than 1 MiB when unpacked" in faults[0]


def test_a_header_that_claims_a_huge_name_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE", 2**20)
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2**33
    with gzip.open(folder / "001.tar.gz", "wb") as packed:
        packed.write(long_name.tobuf(tarfile.GNU_FORMAT))
        packed.write(b"a" * (4 * 2**20))
    clips, faults = read(folder)
    assert clips == []
    assert "more than 1 MiB when unpacked" in faults[0]


@pytest.mark.parametrize("keep", [0, 1, 15, 0.3, 0.6, 0.9, -1, -8])
def test_a_cut_archive_gives_what_comes_before_the_cut_and_is_named(folder: Path, keep: float) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (60, 80), np.uint8) for _ in range(30)]
    path = archive(folder, [(name(number), png(frame)) for number, frame in enumerate(frames, start=1)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    clips, faults = read(folder)
    assert len(faults) == 1
    assert str(path) in faults[0]
    back = clips[0].silhouettes([]) if clips else {}
    assert list(back) == list(range(1, len(back) + 1))
    assert all(np.array_equal(back[number], frames[number - 1]) for number in back)
    if keep == 0.6:
        assert 5 < len(back) < 30


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_flipped_bits_in_an_archive_are_noticed(folder: Path, at: float) -> None:
    rng = np.random.default_rng(1)
    path = archive(folder, [(name(number), png(rng.integers(0, 256, (60, 80), np.uint8))) for number in range(1, 31)])
    damaged = bytearray(path.read_bytes())
    damaged[int(at * len(damaged))] ^= 0x55
    path.write_bytes(damaged)
    _, faults = read(folder)
    assert any(f"{path}: damaged" in fault for fault in faults)


def test_a_broken_entry_amid_an_archive_is_not_taken_for_its_end(folder: Path) -> None:
    path = archive(folder, [(name(number), png(person())) for number in (1, 2, 3)])
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[plain.index(name(2).encode()) + 5] ^= 1
    path.write_bytes(gzip.compress(plain))
    (clip,), faults = read(folder)
    assert numbers(clip) == [1]
    assert "a broken entry" in faults[0]


def test_a_file_that_is_no_archive_is_named(folder: Path) -> None:
    (folder / "001.tar.gz").write_bytes(b"no archive at all")
    clips, faults = read(folder)
    assert clips == []
    assert "001.tar.gz: damaged" in faults[0]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that announces many pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


GOOD = png(person())
BAD = {
    "empty": b"",
    "text": b"not a picture",
    "signature only": GOOD[:8],
    "cut": GOOD[: len(GOOD) // 2],
    "without an end": GOOD[:-12],
    "flipped": GOOD[:50] + bytes([GOOD[50] ^ 1]) + GOOD[51:],
    "bomb": bomb(100_000, 100_000),
    "no pixels": bomb(0, 5),
}


@pytest.mark.parametrize("which", BAD)
def test_a_broken_picture_is_left_out_and_named_and_the_others_are_used(folder: Path, which: str) -> None:
    archive(folder, [(name(number), BAD[which] if number == 2 else GOOD) for number in range(1, 8)])
    result = prepared(folder, SILHOUETTE)
    assert result.faults == ["001-nm-01-090-002.png is not a readable PNG file"]
    assert [len(entry[3]) for entry in result.sequences] == [6]
    assert result.skipped == []


def test_a_picture_with_bytes_after_its_end_is_readable(folder: Path) -> None:
    archive(folder, [(name(1), GOOD + b"\0 appended")])
    (clip,), _ = read(folder)
    assert np.array_equal(clip.silhouettes([])[1], person())


def test_walks_without_a_usable_frame_are_skipped_with_the_reason(folder: Path) -> None:
    dark = png(np.zeros((60, 80), np.uint8))
    entries: list[tuple[str | tarfile.TarInfo, bytes]] = [(name(number), GOOD) for number in range(1, 6)]
    entries += [(name(1, "nm-02"), dark), (of_kind(tarfile.DIRTYPE, "001/nm-03/090"), b""), (name(1, "nm-04"), GOOD)]
    archive(folder, entries)
    result = prepared(folder, SILHOUETTE)
    assert [entry[1] for entry in result.sequences] == ["nm-01", "nm-04"]
    assert [entry["sequence"] for entry in result.skipped] == ["001-nm-02-090", "001-nm-03-090"]
    assert {entry["reason"] for entry in result.skipped} == {"no frame shows a person"}
    assert result.faults == ["001-nm-04-090: only 1 frames show a person"]


def test_special_files_and_broken_links_in_a_folder_are_named_and_not_opened(folder: Path) -> None:
    (folder / "001/nm-01/090").mkdir(parents=True)
    (folder / name(1)).write_bytes(GOOD)
    os.mkfifo(folder / name(2))
    (folder / name(3)).symlink_to(folder / "nowhere.png")
    (folder / name(4)).write_bytes(bytes(pictures.LARGEST_PICTURE + 1))
    (clip,), faults = read(folder)
    assert numbers(clip) == [1]
    assert [Path(fault.split(":")[0]).name for fault in faults] == [
        f"001-nm-01-090-{number:03d}.png" for number in (2, 3, 4)
    ]


def test_subjects_are_archives_and_folders_with_three_digits(folder: Path) -> None:
    for name in ("003", "12", "abc", "0004"):
        (folder / name).mkdir()
    for file in ("001.tar.gz", "002.zip", "005"):
        (folder / file).write_bytes(b"")
    assert open_dataset("casia-b", folder.parent).identities() == ["001", "003"]


def test_a_missing_or_empty_dataset_folder_is_reported(folder: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        open_dataset("casia-b", folder / "nowhere")
    with pytest.raises(DataError, match="GaitDatasetB-silh: no such folder"):
        open_dataset("casia-b", folder).identities()
    with pytest.raises(DataError, match=r"holds no 001\.tar\.gz"):
        open_dataset("casia-b", folder.parent).identities()


def moving(frames: int) -> list[np.ndarray]:
    """Grey frames [60, 80] with a texture that shifts by 1 px a frame."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 160), np.uint8), (5, 5), 1.5)
    return [np.ascontiguousarray(texture[:, 60 - step : 140 - step]) for step in range(frames)]


def test_a_video_reads_back_with_its_frames_in_order(folder: Path) -> None:
    path = folder / "walk.avi"
    frames = moving(8)
    casia_b.write_video(path, frames, 25)
    faults: list[str] = []
    back = pictures.read_video(path, faults)
    assert faults == []
    assert len(back) == 8
    for index, frame in enumerate(back):
        assert frame.shape == (60, 80)
        errors = [np.abs(frame.astype(int) - original).mean() for original in frames]
        assert int(np.argmin(errors)) == index


def broken_video(path: Path, how: str) -> None:
    casia_b.write_video(path, moving(30), 25)
    data = path.read_bytes()
    contents = {"zero bytes": b"", "text": b"no video" * 500, "header only": data[:300], "cut": data[: len(data) * 4 // 5]}
    path.unlink()
    if how != "missing":
        path.write_bytes(contents[how])


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "no such file"),
        ("zero bytes", "not a readable video"),
        ("text", "not a readable video"),
        ("header only", "not a readable video"),
    ],
)
def test_a_walk_without_a_readable_video_is_skipped_once_with_its_name(folder: Path, how: str, reason: str) -> None:
    archive(folder, [(name(number), GOOD) for number in range(1, 31)])
    path = folder.parent / casia_b.VIDEOS / "001-nm-01-090.avi"
    broken_video(path, how)
    result = prepared(folder, FLOW)
    assert result.sequences == []
    assert result.skipped == [{"sequence": "001-nm-01-090", "reason": f"{path}: {reason}"}]
    assert result.faults == []


def test_a_cut_video_is_used_up_to_the_cut_and_named(folder: Path) -> None:
    archive(folder, [(name(number), GOOD) for number in range(1, 31)])
    path = folder.parent / casia_b.VIDEOS / "001-nm-01-090.avi"
    broken_video(path, "cut")
    frames = pictures.read_video(path, [])
    assert 5 < len(frames) < 30
    result = prepared(folder, FLOW)
    assert result.skipped == []
    assert len(result.sequences[0][3]) == (len(frames) - 1 - 4) // 2 + 1
    assert result.faults == [f"{path}: 30 frames announced, {len(frames)} readable"]


def test_flow_walks_that_give_no_sample_say_why(folder: Path) -> None:
    shown = [(name(number, f"nm-0{walk}"), GOOD) for walk in (1, 2) for number in range(1, 31)]
    shown = [entry for entry in shown if "nm-02" not in entry[0] or entry[0].endswith("-001.png")]
    large = [(name(number, "nm-03"), png(np.full((120, 160), 255, np.uint8))) for number in range(1, 31)]
    archive(folder, [*shown, *large])
    for walk, frames in ((1, 4), (2, 30), (3, 30)):
        casia_b.write_video(folder / f"001-nm-0{walk}-090.avi", moving(frames), 25)
    result = prepared(folder, FLOW)
    assert result.sequences == []
    assert [entry["reason"] for entry in result.skipped] == [
        "4 frames are too few for a sample of 4 flow frames",
        "no silhouette shows the person in the middle of a sample",
        "the video's frames and the silhouettes differ in size",
    ]
