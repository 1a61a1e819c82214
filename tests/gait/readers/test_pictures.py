"""Pictures and videos: damaged or too large ones are refused before they cost memory or time."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data.readers import Faults, pictures
from tests.gait.readers import trees

FRAME = trees.film(1)[0]
WHOLE = {kind: cv2.imencode(f".{kind}", FRAME)[1].tobytes() for kind in ("png", "jpg", "bmp")}


def progressive() -> bytes:
    return cv2.imencode(".jpg", FRAME, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_pictures_are_read_in_colour(kind: str) -> None:
    frame = pictures.colour(WHOLE[kind])
    assert frame is not None
    assert np.abs(frame.astype(int) - FRAME).mean() < (3 if kind == "jpg" else 0.1)
    assert pictures.colour(WHOLE[kind] + b"appended") is not None
    assert pictures.colour(progressive()) is not None


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.7, 0.99])
def test_a_cut_picture_is_not_shown_in_part(kind: str, share: float) -> None:
    content = WHOLE[kind]
    assert pictures.colour(content[: int(share * len(content))]) is None


def test_pictures_that_announce_too_many_pixels_are_not_decoded() -> None:
    header = struct.pack(">IIBBBBB", 2**14, 2**13, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    assert pictures.colour(b"\x89PNG\r\n\x1a\n" + b"".join(packed)) is None
    start = WHOLE["jpg"].index(b"\xff\xc0") + 5
    assert pictures.colour(WHOLE["jpg"][:start] + b"\xff\xff\xff\xff" + WHOLE["jpg"][start + 4 :]) is None
    assert pictures.colour(WHOLE["bmp"][:18] + struct.pack("<ii", 2**20, -(2**20)) + WHOLE["bmp"][26:]) is None


@pytest.mark.parametrize(
    "start", [b"GIF89a", b"II*\0", b"RIFF\0\0\0\0WEBP", b"P6 9 9 255\n", b"#?RADIANCE\n", b"\x76\x2f\x31\x01", b"v/1"]
)
def test_other_formats_do_not_reach_the_decoder(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *arguments: pytest.fail("decoded"))
    assert pictures.colour(start + bytes(100)) is None
    assert pictures.grey(start + bytes(100)) is None


def test_a_file_that_is_no_picture_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "large.png").write_bytes(bytes(11))
    faults: Faults = []
    for name in ("pipe", "folder", "large", "missing"):
        assert pictures.read_picture(tmp_path / f"{name}.png", faults, largest=10) is None
    assert [fault.partition(": ")[2] for fault in faults] == [
        "not a readable file",
        "not a readable file",
        "too large for a picture (11 bytes)",
        "not a readable file",
    ]


def test_a_walk_with_more_frames_than_memory_holds_is_used_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_DECODED", 5 * FRAME.nbytes)
    paths = trees.write_pictures(tmp_path, trees.film(), [f"{n}.jpg" for n in range(12)])
    faults: Faults = []
    assert len(pictures.read_frames(paths, faults)) == 5
    assert faults == [f"{paths[5]}: the walk is too long, and only the 5 frames before are used"]
    path = trees.write_film(tmp_path / "walk.avi", trees.film())
    assert len(pictures.read_video(path, faults, colour=True)) <= 6
    assert faults[1].startswith(f"{path}: 12 frames announced")


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '{secret}'\n",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"GIF89a" + bytes(100),
        WHOLE["jpg"],
    ],
)
def test_playlists_and_pictures_with_the_name_of_a_video_are_not_read(tmp_path: Path, content: bytes) -> None:
    secret = trees.write_film(tmp_path / "secret.avi", trees.film())
    path = tmp_path / "walk.avi"
    path.write_bytes(content.replace(b"{secret}", str(secret).encode()))
    faults: Faults = []
    assert pictures.read_video(path, faults) == []
    assert faults == [f"{path}: not a readable video"]


def test_a_video_with_frames_that_are_too_large_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trees.write_film(tmp_path / "walk.avi", trees.film())
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1000)
    faults: Faults = []
    assert pictures.read_video(path, faults) == []
    assert faults == [f"{path}: its frames are too large"]
