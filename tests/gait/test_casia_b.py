"""Reading CASIA-B's form: what is usable is used, what is not is named, and nothing in an archive is trusted."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data import casia_b
from gait.data.preparation import Job, prepare
from gait.errors import DataError

SILHOUETTE = {"kind": "silhouette", "size": 64}
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
    """A tar.gz of some files; an entry may also be a TarInfo of any kind."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{subject}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for entry, data in entries:
            if isinstance(entry, str):
                entry = tarfile.TarInfo(entry)
                entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def of_kind(kind: bytes, path: str, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.linkname = kind, link
    return member


def test_a_written_archive_has_casia_b_names_and_reads_back(tmp_path: Path) -> None:
    frames = [person(30 + step) for step in range(3)]
    path = tmp_path / "001.tar.gz"
    casia_b.write_archive(path, [("001", "nm-01", "090", frames), ("001", "bg-02", "018", frames[:1])])
    with tarfile.open(path) as tar:
        assert tar.getnames() == [*(name(number) for number in (1, 2, 3)), name(1, "bg-02", "018")]
    clips, faults = casia_b.clips(tmp_path, "001")
    assert faults == []
    assert [clip.name for clip in clips] == ["001-bg-02-018", "001-nm-01-090"]
    back = clips[1].silhouettes()
    assert list(back) == [1, 2, 3]
    assert all(np.array_equal(back[number], frame) for number, frame in enumerate(frames, start=1))


def test_the_same_frames_give_the_same_archive_bytes(tmp_path: Path) -> None:
    for file in ("a", "b"):
        casia_b.write_archive(tmp_path / file, [("001", "nm-01", "090", [person()])])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_extracted_folder_gives_what_its_archive_gives(tmp_path: Path) -> None:
    entries = [(name(number), png(person(30 + number))) for number in (1, 2, 5)]
    entries.append((name(1, "cl-01"), b"broken"))
    packed = archive(tmp_path / "packed", [*entries, (of_kind(tarfile.DIRTYPE, "001/bg-01/090/"), b"")])
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path / "folders", filter="data")
    from_archive, from_folder = (
        prepare(Job("001", tmp_path / kind, tmp_path, SILHOUETTE)) for kind in ("packed", "folders")
    )
    assert from_archive.skipped == from_folder.skipped
    assert from_archive.faults == from_folder.faults
    assert [entry[:3] for entry in from_archive.sequences] == [("001", "nm-01", "090")]
    assert np.array_equal(from_archive.sequences[0][3], from_folder.sequences[0][3])


def test_names_with_a_leading_dot_are_read_too(tmp_path: Path) -> None:
    archive(tmp_path, [(f"./{name(1)}", png(person()))])
    (clip,), faults = casia_b.clips(tmp_path, "001")
    assert faults == []
    assert list(clip.silhouettes()) == [1]


def test_nothing_but_pictures_of_the_subject_is_taken_from_an_archive(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(person()))
    good = png(person())
    hostile: list[tuple[str | tarfile.TarInfo, bytes]] = [
        ("../outside.png", good),
        (f"../{name(1)}", good),
        (f"/{name(1)}", good),
        (f"{tmp_path}/absolute.png", good),
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
    archive(tmp_path / "silh", hostile)
    before = sorted(tmp_path.rglob("*"))
    clips, faults = casia_b.clips(tmp_path / "silh", "001")
    assert [(clip.name, list(clip.pictures)) for clip in clips] == [("001-nm-01-090", [20])]
    assert faults == []
    assert sorted(tmp_path.rglob("*")) == before, "reading must write nothing"


def test_an_archive_that_announces_a_huge_picture_is_named_and_fills_no_memory(tmp_path: Path) -> None:
    huge = tarfile.TarInfo(name(2))
    huge.size = 2**40
    with gzip.open(tmp_path / "001.tar.gz", "wb") as packed:
        small = tarfile.TarInfo(name(1))
        data = png(person())
        small.size = len(data)
        packed.write(small.tobuf() + data + bytes(-len(data) % 512) + huge.tobuf() + bytes(4096))
    (clip,), faults = casia_b.clips(tmp_path, "001")
    assert list(clip.pictures) == [1]
    assert faults == [f"{tmp_path}/001.tar.gz: damaged, read up to the damage (more than 1024 MiB when unpacked)"]


def test_a_picture_too_large_for_a_silhouette_is_left_out_and_named(tmp_path: Path) -> None:
    archive(tmp_path, [(name(1), bytes(casia_b.LARGEST_PICTURE + 1)), (name(2), png(person()))])
    (clip,), faults = casia_b.clips(tmp_path, "001")
    assert list(clip.pictures) == [2]
    assert len(faults) == 1
    assert f"{name(1)} is too large" in faults[0]


def test_an_archive_that_unpacks_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(casia_b, "LARGEST_ARCHIVE", 2**20)
    archive(tmp_path, [(name(1), png(person())), ("padding", bytes(3 * 2**20)), (name(2), png(person()))])
    (clip,), faults = casia_b.clips(tmp_path, "001")
    assert list(clip.pictures) == [1]
    assert len(faults) == 1
    assert "more than 1 MiB when unpacked" in faults[0]


def test_a_header_that_claims_a_huge_name_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(casia_b, "LARGEST_ARCHIVE", 2**20)
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2**33
    with gzip.open(tmp_path / "001.tar.gz", "wb") as packed:
        packed.write(long_name.tobuf(tarfile.GNU_FORMAT))
        packed.write(b"a" * (4 * 2**20))
    clips, faults = casia_b.clips(tmp_path, "001")
    assert clips == []
    assert "more than 1 MiB when unpacked" in faults[0]


@pytest.mark.parametrize("keep", [0, 1, 15, 0.3, 0.6, 0.9, -1, -8])
def test_a_cut_archive_gives_what_comes_before_the_cut_and_is_named(tmp_path: Path, keep: float) -> None:
    rng = np.random.default_rng(0)
    pictures = [(name(number), png(rng.integers(0, 256, (60, 80), np.uint8))) for number in range(1, 31)]
    path = archive(tmp_path, pictures)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    clips, faults = casia_b.clips(tmp_path, "001")
    assert len(faults) == 1
    assert str(path) in faults[0]
    read = clips[0].pictures if clips else {}
    assert list(read) == list(range(1, len(read) + 1))
    assert all(read[number] == pictures[number - 1][1] for number in read)
    if keep == 0.6:
        assert 5 < len(read) < 30


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_flipped_bits_in_an_archive_are_noticed(tmp_path: Path, at: float) -> None:
    rng = np.random.default_rng(1)
    path = archive(tmp_path, [(name(number), png(rng.integers(0, 256, (60, 80), np.uint8))) for number in range(1, 31)])
    damaged = bytearray(path.read_bytes())
    damaged[int(at * len(damaged))] ^= 0x55
    path.write_bytes(damaged)
    _, faults = casia_b.clips(tmp_path, "001")
    assert any(f"{path}: damaged" in fault for fault in faults)


def test_a_broken_entry_amid_an_archive_is_not_taken_for_its_end(tmp_path: Path) -> None:
    path = archive(tmp_path, [(name(number), png(person())) for number in (1, 2, 3)])
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[plain.index(name(2).encode()) + 5] ^= 1
    path.write_bytes(gzip.compress(plain))
    (clip,), faults = casia_b.clips(tmp_path, "001")
    assert list(clip.pictures) == [1]
    assert "a broken entry" in faults[0]


def test_something_else_than_an_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "001.tar.gz").write_bytes(b"no archive at all")
    clips, faults = casia_b.clips(tmp_path, "001")
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
def test_a_broken_picture_is_left_out_and_named_and_the_others_are_used(tmp_path: Path, which: str) -> None:
    archive(tmp_path, [(name(number), BAD[which] if number == 2 else GOOD) for number in range(1, 8)])
    result = prepare(Job("001", tmp_path, tmp_path, SILHOUETTE))
    assert result.faults == ["001-nm-01-090-002.png is not a readable PNG file"]
    assert [len(entry[3]) for entry in result.sequences] == [6]
    assert result.skipped == []


def test_a_picture_with_bytes_after_its_end_is_readable(tmp_path: Path) -> None:
    archive(tmp_path, [(name(1), GOOD + b"\0 appended")])
    (clip,), _ = casia_b.clips(tmp_path, "001")
    assert np.array_equal(clip.silhouettes()[1], person())


def test_walks_without_a_usable_frame_are_skipped_with_the_reason(tmp_path: Path) -> None:
    dark = png(np.zeros((60, 80), np.uint8))
    entries: list[tuple[str | tarfile.TarInfo, bytes]] = [(name(number), GOOD) for number in range(1, 6)]
    entries += [(name(1, "nm-02"), dark), (of_kind(tarfile.DIRTYPE, "001/nm-03/090"), b""), (name(1, "nm-04"), GOOD)]
    archive(tmp_path, entries)
    result = prepare(Job("001", tmp_path, tmp_path, SILHOUETTE))
    assert [entry[1] for entry in result.sequences] == ["nm-01", "nm-04"]
    assert [entry["sequence"] for entry in result.skipped] == ["001-nm-02-090", "001-nm-03-090"]
    assert {entry["reason"] for entry in result.skipped} == {"no frame shows a person"}
    assert result.faults == ["001-nm-04-090: only 1 frames show a person"]


def test_special_files_and_broken_links_in_a_folder_are_named_and_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "001/nm-01/090"
    folder.mkdir(parents=True)
    (tmp_path / name(1)).write_bytes(GOOD)
    os.mkfifo(tmp_path / name(2))
    (tmp_path / name(3)).symlink_to(tmp_path / "nowhere.png")
    (tmp_path / name(4)).write_bytes(bytes(casia_b.LARGEST_PICTURE + 1))
    (clip,), faults = casia_b.clips(tmp_path, "001")
    assert list(clip.pictures) == [1]
    assert [Path(fault.split(":")[0]).name for fault in faults] == [
        f"001-nm-01-090-{number:03d}.png" for number in (2, 3, 4)
    ]


def test_subjects_are_archives_and_folders_with_three_digits(tmp_path: Path) -> None:
    for folder in ("003", "12", "abc", "0004"):
        (tmp_path / folder).mkdir()
    for file in ("001.tar.gz", "002.zip", "005"):
        (tmp_path / file).write_bytes(b"")
    assert casia_b.subjects(tmp_path) == ["001", "003"]


def test_a_missing_or_empty_dataset_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        casia_b.subjects(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no 001\.tar\.gz"):
        casia_b.subjects(tmp_path)


def moving(frames: int) -> list[np.ndarray]:
    """Grey frames [60, 80] with a texture that shifts by 1 px a frame."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 160), np.uint8), (5, 5), 1.5)
    return [np.ascontiguousarray(texture[:, 60 - step : 140 - step]) for step in range(frames)]


def test_a_video_reads_back_with_its_frames_in_order(tmp_path: Path) -> None:
    path = tmp_path / "walk.avi"
    frames = moving(8)
    casia_b.write_video(path, frames, 25)
    back, fault = casia_b.read_video(path)
    assert fault is None
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
    ("how", "said"),
    [
        ("missing", "no such file"),
        ("zero bytes", "not a readable video"),
        ("text", "not a readable video"),
        ("header only", "not a readable video"),
    ],
)
def test_a_walk_without_a_readable_video_is_skipped_once_with_its_name(tmp_path: Path, how: str, said: str) -> None:
    archive(tmp_path, [(name(number), GOOD) for number in range(1, 31)])
    path = tmp_path / "001-nm-01-090.avi"
    broken_video(path, how)
    result = prepare(Job("001", tmp_path, tmp_path, FLOW))
    assert result.sequences == []
    assert result.skipped == [{"sequence": "001-nm-01-090", "reason": f"{path}: {said}"}]
    assert result.faults == []


def test_a_cut_video_is_used_up_to_the_cut_and_named(tmp_path: Path) -> None:
    archive(tmp_path, [(name(number), GOOD) for number in range(1, 31)])
    path = tmp_path / "001-nm-01-090.avi"
    broken_video(path, "cut")
    frames, _ = casia_b.read_video(path)
    assert 5 < len(frames) < 30
    result = prepare(Job("001", tmp_path, tmp_path, FLOW))
    assert result.skipped == []
    assert len(result.sequences[0][3]) == (len(frames) - 1 - 4) // 2 + 1
    assert result.faults == [f"{path}: 30 frames announced, {len(frames)} readable"]


def test_flow_walks_that_give_no_sample_say_why(tmp_path: Path) -> None:
    pictures = [(name(number, f"nm-0{walk}"), GOOD) for walk in (1, 2) for number in range(1, 31)]
    pictures = [entry for entry in pictures if "nm-02" not in entry[0] or entry[0].endswith("-001.png")]
    large = [(name(number, "nm-03"), png(np.full((120, 160), 255, np.uint8))) for number in range(1, 31)]
    archive(tmp_path, [*pictures, *large])
    for walk, frames in ((1, 4), (2, 30), (3, 30)):
        casia_b.write_video(tmp_path / f"001-nm-0{walk}-090.avi", moving(frames), 25)
    result = prepare(Job("001", tmp_path, tmp_path, FLOW))
    assert result.sequences == []
    assert [entry["reason"] for entry in result.skipped] == [
        f"{tmp_path}/001-nm-01-090.avi: 4 frames are too few for a sample of 4 flow frames",
        "no silhouette shows the person in the middle of a sample",
        f"{tmp_path}/001-nm-03-090.avi: its frames and the silhouettes differ in size",
    ]
