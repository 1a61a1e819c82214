"""Every row of the table of docs/data.md: what is taken, and what is said before anything is computed."""

from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML

from gait.data.modalities import preparation, silhouettes
from gait.data.prepared import inputs
from gait.data.prepared.sequences import SequenceStore
from gait.data.readers import casia_b, foreground, open_dataset
from gait.data.readers.folder import VIDEOS
from gaitpress import params
from gaitpress.command_line import EXPECTED
from stages import dataset, preprocess
from tests.gait.readers import trees
from tests.stages.test_data_stages import ROOT
from tests.support.families import some

PEOPLE, CONDITIONS, VIEWS = ("anna", "ben", "carl"), ("n-1", "n-2"), ("front", "side")
RULES = {"protocol": "own", "train_subjects": 1, "gallery": ["n-1"], "cross_view": False}
MASKS = list(trees.walk("090", 24).silhouettes[8:14])
ALIGNED = silhouettes.align_all(MASKS, 64)  # as GaitSet's pretreatment writes them: with grey edges
Encoder = Callable[[np.ndarray], bytes]


@cache
def defaults() -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@cache
def checked(text: str) -> params.Params:
    """Reading YAML takes a second, and these tests have few such files."""
    return params.Params.model_validate(json.loads(text))


@dataclass
class World:
    """A dataset of a user's, and the stages run on it within this process."""

    where: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    layout: str = "folder"
    pickle: str | None = None

    root = Path("mine")  # within ``where``, so that all these tests have the same params.yaml

    def write(self, name: str, encode: Encoder, frames: Iterable[np.ndarray], below: str = "") -> None:
        """The same frames as every walk; {} in the name stands for their number."""
        contents = [encode(frame) for frame in frames]
        for walk in (f"{who}/{how}/{view}" for who in PEOPLE for how in CONDITIONS for view in VIEWS):
            folder = self.root / below / walk
            folder.mkdir(parents=True)
            for number, content in enumerate(contents, start=1):
                (folder / name.format(number)).write_bytes(content)

    def write_pickles(self, array: Any) -> None:
        self.layout = "pickles"
        for walk in (f"{who}/{how}/{view}" for who in PEOPLE for how in CONDITIONS for view in VIEWS):
            (self.root / walk).mkdir(parents=True)
            (self.root / walk / f"{Path(walk).name}.pkl").write_bytes(pickle.dumps(array))

    def _stage(self, stage: Any, *words: object) -> None:
        self.monkeypatch.setattr("sys.argv", ["stage", "--params", str(self.where / "params.yaml"), *map(str, words)])
        stage.main()

    def dataset(self, **rules: Any) -> str:
        """Run the stage dataset; what it says."""
        data = copy.deepcopy(defaults())
        entry = {"layout": self.layout, "path": str(self.root), "partition": {**RULES, **rules}}
        if self.layout in ("folder", "pickles"):
            entry["fps"] = 25
        if self.pickle is not None:
            entry["pickle"] = self.pickle
        data |= {"dataset": "mine", "datasets": {"mine": entry}}
        data["threads"].update(dataset=1, preprocess=1)
        (self.where / "params.yaml").write_text(json.dumps(data))
        self._stage(dataset, "--out", self.where / "raw")
        return self.capsys.readouterr().err

    def preprocess(self, modality: str = "silhouette") -> tuple[SequenceStore, str]:
        """Run both stages; the sequences, and what the second says."""
        preparation._reader.cache_clear()  # a process of its own, which a stage is, has found no other dataset here before
        self._stage(preprocess, "--modality", modality, "--dataset", self.where / "raw", "--out", self.where / modality)
        return SequenceStore.open(self.where / modality), self.capsys.readouterr().err

    def index(self, modality: str = "silhouette") -> Any:
        return json.loads((self.where / modality / "index.json").read_text())

    def gives(self, expected: np.ndarray, most: float = 0, **rules: Any) -> str:
        """Check that every walk of three people became these frames without a fault; what the stage dataset said."""
        said = self.dataset(**rules)
        store, _ = self.preprocess("silhouette" if expected.shape[1] == 64 else "silhouette128")
        assert store.identities == list(PEOPLE)
        assert len(store.sequences) == 12
        index = self.index(store.modality)
        # Some people are painted as rectangles here, which is noticed.
        faults = [fault for fault in index["faults"] if preparation.DOUBTFUL not in fault]
        assert (index["skipped"], faults) == ([], [])
        for sequence in store.sequences:
            frames = store.frames(sequence)
            assert frames.shape == expected.shape
            assert np.abs(frames.astype(int) - expected).mean() <= most
        return said


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(params, "load", lambda path: checked(path.read_text()))
    return World(tmp_path, monkeypatch, capsys)


def encoder(kind: str, *settings: int) -> Encoder:
    return lambda frame: cv2.imencode(kind, frame, settings)[1].tobytes()


def of_palette(frame: np.ndarray) -> bytes:
    """A PNG file of 8 bits whose pixels name one of two colours, black and dark red, as label pictures have them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", frame.shape[1], frame.shape[0], 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + (row > 0).astype(np.uint8).tobytes() for row in frame)
    parts = [(b"IHDR", header), (b"PLTE", bytes([0, 0, 0, 128, 0, 0])), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def masks_of_any_kind(world: World) -> None:
    for kind in ("png", "jpg", "JPEG", "bmp", "tif", "TIFF"):
        world.write(f"{{}}.{kind}", encoder(f".{kind.lower()}"), MASKS)
        assert "of silhouettes; the silhouettes are not aligned, 240 x 320 px\n" in world.gives(ALIGNED)
        shutil.rmtree(world.root)
    world.write("{}.jpg", encoder(".jpg", cv2.IMWRITE_JPEG_QUALITY, 50), MASKS)
    world.gives(ALIGNED)


def masks_of_other_levels(world: World) -> None:
    ways: dict[str, tuple[Encoder, list[np.ndarray]]] = {
        "0 and 1": (encoder(".png"), [frame // 255 for frame in MASKS]),
        "0 and 200": (encoder(".png"), [frame // 255 * 200 for frame in MASKS]),
        "colour of 1": (encoder(".png"), [np.dstack([frame // 255] * 3) for frame in MASKS]),
        "16 bits, 0 and 1": (encoder(".png"), [(frame // 255).astype(np.uint16) for frame in MASKS]),
        "16 bits, all": (encoder(".png"), [frame.astype(np.uint16) * 257 for frame in MASKS]),
        "16 bits of TIFF": (encoder(".png"), [(frame // 255).astype(np.uint16) for frame in MASKS]),
        "1 bit": (encoder(".png", cv2.IMWRITE_PNG_BILEVEL, 1), MASKS),
        "palette": (of_palette, MASKS),
    }
    for name, (encode, frames) in ways.items():
        world.write("{}.png", encode, frames)
        said = world.gives(ALIGNED)
        scaled = name not in ("1 bit", "16 bits, all")
        assert ("some are written as 0 and" in said) == scaled, name
        shutil.rmtree(world.root)


def small_masks_of_ones(world: World) -> None:
    world.write("{}.png", encoder(".png"), [frame // 255 for frame in MASKS])
    assert "written as 0 and 1, and taken as 0 and 255" in world.gives(ALIGNED)
    shutil.rmtree(world.root)
    world.layout = "casia-b"
    (world.root / casia_b.SILHOUETTES).mkdir(parents=True)
    for person in ("001", "002"):
        walks = [
            (person, how, view, [frame // 255 for frame in MASKS]) for how in ("nm-01", "nm-05") for view in ("000", "090")
        ]
        casia_b.write_archive(world.root / casia_b.SILHOUETTES / f"{person}.tar.gz", walks)
    assert "written as 0 and 1" in world.dataset(gallery=["nm-01"])
    store, _ = world.preprocess()
    assert all(np.array_equal(store.frames(sequence), ALIGNED) for sequence in store.sequences)


def masks_in_the_alpha_channel(world: World) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*MASKS[0].shape, 3), np.uint8)
    for coloured in (np.zeros_like(noise), np.full_like(noise, 255), noise):
        world.write("{}.png", encoder(".png"), [np.dstack([coloured, frame]) for frame in MASKS])
        world.gives(ALIGNED)
        shutil.rmtree(world.root)


def aligned_pictures(world: World) -> None:
    for kind, most in (("png", 0), ("bmp", 0), ("tif", 0), ("jpg", 0.5)):
        world.write(f"{{}}.{kind}", encoder(f".{kind}"), list(ALIGNED))
        assert "the silhouettes are aligned already, 64 x 64 px" in world.gives(ALIGNED, most)
        shutil.rmtree(world.root)


def cut_pictures(world: World) -> None:
    for size in (64, 128):
        whole = silhouettes.align_all(MASKS, size)
        cut = inputs.cut(whole)
        world.write("{}.png", encoder(".png"), list(cut))
        margin = (size - cut.shape[2]) // 2
        expected = np.pad(cut, ((0, 0), (0, 0), (margin, margin)))
        assert f"aligned already, {size} x {cut.shape[2]} px" in world.gives(expected)
        assert np.array_equal(inputs.cut(expected), cut), "no column is cut twice"
        shutil.rmtree(world.root)


def films(world: World) -> None:
    codecs = {"webm": "VP80", "wmv": "WMV2", "flv": "FLV1", "ogv": "VP80", "mpg": "PIM1", "mpeg": "PIM1", "3gp": "mp4v"}
    codecs |= {"ts": "mp4v", "mts": "mpg2", "m2ts": "mpg2", "mp4": "mp4v", "m4v": "mp4v", "mov": "mp4v"}
    for number, ending in enumerate(kind.removeprefix(".") for kind in VIDEOS):
        film = trees.write_film(world.where / f"film.{ending}", trees.film(12), codecs.get(ending, "XVID"))
        shown = ending.upper() if number % 2 else ending
        for walk in (f"{who}/{how}/{view}" for who in PEOPLE[:2] for how in CONDITIONS for view in VIEWS):
            path = world.root / (f"{walk}/walk.{shown}" if "front" in walk else f"{walk}.{shown}")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(film, path)
        assert "8 walks looked at: 8 of pictures" in world.dataset(), ending
        store, _ = world.preprocess()
        assert [sequence.count > 8 for sequence in store.sequences] == [True] * 8, ending
        assert world.index()["skipped"] == []
        shutil.rmtree(world.root)


def frames_of_films(world: World) -> None:
    frames = trees.film(10)
    world.write("{}.tif", encoder(".tif"), frames)
    expected = silhouettes.align_all(foreground.silhouettes(frames), 64)
    assert "12 of pictures" in world.gives(expected)


def pickles_of_any_width(world: World) -> None:
    for size, layout in ((64, "whole"), (64, "cut"), (128, "cut")):
        whole = silhouettes.align_all(MASKS, size)
        cut = inputs.cut(whole)
        margin = (size - cut.shape[2]) // 2
        world.write_pickles(cut if layout == "cut" else whole)
        expected = np.pad(cut, ((0, 0), (0, 0), (margin, margin))) if layout == "cut" else whole
        assert "aligned already" in world.gives(expected)
        shutil.rmtree(world.root)


def pickles_of_other_numbers(world: World) -> None:
    black_and_white = (ALIGNED > 127).astype(np.uint8) * 255
    ways: list[tuple[Any, np.ndarray]] = [
        (black_and_white // 255, black_and_white),
        (black_and_white > 0, black_and_white),
        ([frame > 0 for frame in black_and_white], black_and_white),
        ((black_and_white // 255).astype(np.int64), black_and_white),
        ((ALIGNED / 255).astype(np.float32), ALIGNED),
        (ALIGNED / 255, ALIGNED),
        ((ALIGNED / 255).astype(">f8"), ALIGNED),
        (ALIGNED.astype(np.float32), ALIGNED),
        (ALIGNED.astype(np.uint16), ALIGNED),
    ]
    for array, expected in ways:
        world.write_pickles(array)
        world.gives(expected)
        shutil.rmtree(world.root)


def casia_b_at_other_levels(world: World) -> None:
    world.layout = "casia-b"
    walks = [("nm-01", "000"), ("nm-01", "090"), ("nm-05", "000"), ("nm-05", "090")]
    packed = world.where / "packed"
    packed.mkdir()
    for person in ("001", "002"):
        casia_b.write_archive(packed / f"{person}.tar.gz", [(person, how, view, MASKS) for how, view in walks])
    for place in ("", "silhouettes", casia_b.SILHOUETTES, f"CASIA-B/{casia_b.SILHOUETTES}"):
        for extracted in ("no", "folder", "folder of its own"):
            folder = world.root / place
            folder.mkdir(parents=True)
            for person in ("001", "002"):
                if extracted == "no":
                    shutil.copy(packed / f"{person}.tar.gz", folder)
                else:
                    shutil.unpack_archive(packed / f"{person}.tar.gz", folder / (person if "own" in extracted else "."))
            world.dataset(gallery=["nm-01"])
            store, _ = world.preprocess()
            assert [sequence.name for sequence in store.sequences] == [
                f"{person}-{how}-{view}" for person in ("001", "002") for how, view in walks
            ]
            shutil.rmtree(world.root)


def oumvlp_at_other_levels(world: World) -> None:
    for place in ("{}", "Silhouette/{}", "{}/{}"):
        for name in ("Silhouette_000-00", "Silhouette_090-01"):
            folder = world.root / place.format(name, name) / "00002"
            trees.write_pictures(folder, MASKS, [f"{number:04d}.png" for number in range(6)])
        reader = open_dataset("oumvlp", world.root)
        assert reader.units() == ["00002/00/000", "00002/01/090"]
        assert reader.strays() == []
        assert [len(reader.files(unit)) for unit in reader.units()] == [6, 6]
        assert [len(trees.read(clip)[0]) for clip in trees.all_clips(reader)[0]] == [6, 6]
        shutil.rmtree(world.root)


def tum_gaid_at_other_levels(world: World) -> None:
    for place in ("image", "", "TUM-GAID/image", "image/image", "frames"):
        for walk in ("p001/n01", "p002/n05"):
            trees.write_pictures(world.root / place / walk, trees.film(3), [f"{number:03d}.jpg" for number in range(3)])
        (world.root / "tumgaidtrainids.lst").write_text("1 2")
        reader = open_dataset("tum-gaid", world.root)
        assert reader.units() == ["001/n01", "002/n05"], place
        assert reader.strays() == []
        assert reader.split() == {"train": ["001", "002"]}
        assert [len(reader.files(unit)) for unit in reader.units()] == [3, 3]
        shutil.rmtree(world.root)


def trees_one_level_deeper(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS, below="unpacked/data")
    world.gives(ALIGNED)


def what_systems_leave(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    for place in ("__MACOSX/anna/n-1/side/._1.png", "@eaDir/anna/n-1/side/1.png", "anna/@eaDir/x/1.png", "Thumbs.db",
                  "anna/n-1/@eaDir/1.png", "anna/n-1/side/Thumbs.db", ".DS_Store", "lost+found/1/2/3.png",
                  "$RECYCLE.BIN/a/b/1.png", "ben/n-2/.DS_Store", "ben/n-2/side/desktop.ini"):  # fmt: skip
        path = world.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoder(".png")(MASKS[0]))
    assert "warning" not in world.gives(ALIGNED)


def folders_without_a_walk(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    for place in ("aaa/readme.txt", "notes/2024/may/todo.txt", "anna/n-1/film.gif"):
        (world.root / place).parent.mkdir(parents=True, exist_ok=True)
        (world.root / place).write_text("nothing to see")
    said = world.gives(ALIGNED)
    assert "warning: left out, as they belong to no person and no walk: aaa, anna/n-1/film.gif, notes\n" in said
    assert json.loads((world.where / "raw/manifest.json").read_text())["notes"]


def files_of_other_kinds(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    for number in range(3):
        (world.root / f"anna/n-1/side/{number}.webp").write_bytes(b"RIFF")
    (world.root / "ben/n-2/side/notes.txt").write_text("notes")
    assert "whose kind or name is not read: 3 .webp, 1 .txt\n" in world.gives(ALIGNED)


def masks_of_several_dark_levels(world: World) -> None:
    labels = [frame // 255 * (1 + np.arange(320, dtype=np.uint8) % 2) for frame in MASKS]
    world.write("{}.png", encoder(".png"), labels)
    world.dataset()
    with pytest.raises(EXPECTED, match="its levels are 0 to 2, too dark to show a person; a person must be 255"):
        world.preprocess()


def dark_on_bright(world: World) -> None:
    world.write("{}.png", encoder(".png"), [255 - frame for frame in MASKS])
    with pytest.raises(EXPECTED, match="the silhouettes are dark on bright; invert them"):
        world.dataset()


def levels_of_one_walk(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    folder = world.root / "carl/n-2/side"
    # Only walks spread over the dataset are looked at, all of these few: what they hold must come from another stage.
    world.dataset()
    manifest = json.loads((world.where / "raw/manifest.json").read_text())
    for path in folder.iterdir():
        path.write_bytes(encoder(".png")(cv2.imread(str(path), 0) // 255))
    (world.where / "raw/manifest.json").write_text(json.dumps(manifest))
    store, said = world.preprocess()
    assert np.array_equal(store.frames(store.sequences[-1]), ALIGNED)
    assert "warning: carl-n-2-side: written as 0 and 1, unlike the other walks; taken as 0 and 255" in said


def mixed_pictures(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    grey = trees.walk("090", 24).video[0]
    (world.root / "anna/n-1/side/3.png").write_bytes(encoder(".png")(grey))
    world.dataset()
    _, said = world.preprocess()
    assert f"{world.root}/anna/n-1/side: 5 of 6 pictures looked at are silhouettes, the others not" in said


def both_kinds_of_walks(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    shutil.rmtree(world.root / "carl/n-2/side")
    trees.write_pictures(world.root / "carl/n-2/side", trees.film(), [f"{number}.jpg" for number in range(12)])
    assert "11 of silhouettes, 1 of pictures; " in (said := world.dataset())
    assert "for walks of pictures, background subtraction makes the silhouettes" in said


def pickles_of_strange_values(world: World) -> None:
    world.write_pickles(ALIGNED)
    (world.root / "anna/n-1/side/side.pkl").write_bytes(pickle.dumps(ALIGNED - 128.0))
    world.dataset()
    _, said = world.preprocess()
    assert "side.pkl: not read (values from -128 to 127; silhouettes have 0 to 255, or 0 to 1)" in said


def several_pickles(world: World) -> None:
    world.write_pickles(ALIGNED)
    for walk in world.root.glob("*/*/*"):
        (walk / f"{walk.name}-rgbs.pkl").write_bytes(pickle.dumps(ALIGNED[:, :3]))
    world.gives(ALIGNED)
    for walk in world.root.glob("*/*/*"):
        (walk / f"{walk.name}.pkl").rename(walk / f"{walk.name}-aligned-sils.pkl")
    world.pickle = "*-aligned-sils.pkl"
    world.gives(ALIGNED)
    # What is not read may change, and nothing runs again.
    manifest = (world.where / "raw/manifest.json").read_text()
    (world.root / "anna/n-1/side/side-rgbs.pkl").write_bytes(b"")
    world.dataset()
    assert (world.where / "raw/manifest.json").read_text() == manifest


def several_pickles_and_no_choice(world: World) -> None:
    world.write_pickles(ALIGNED)
    for walk in world.root.glob("*/*/*"):
        for name in ("ratios", "sils"):
            (walk / f"{walk.name}-{name}.pkl").write_bytes(pickle.dumps(ALIGNED))
        (walk / f"{walk.name}.pkl").unlink()
    words = r"anna/n-1/front: it holds several pickles \(front-ratios\.pkl, front-sils\.pkl\), .*; set `pickle`"
    with pytest.raises(EXPECTED, match=words):
        world.dataset()


def pickles_that_are_too_small(world: World) -> None:
    world.write_pickles(ALIGNED)
    world.dataset()
    words = r"aligned already, 64 px high, and preprocess\.silhouette128\.pixels asks for 128; set it to 64"
    with pytest.raises(EXPECTED, match=words):
        world.preprocess("silhouette128")


def aligned_of_another_size(world: World) -> None:
    world.write_pickles(inputs.cut(silhouettes.align_all(MASKS, 128)))
    world.dataset()
    store, said = world.preprocess()
    assert "aligned already, 128 px high, and preprocess.silhouette.pixels asks for 64: they are scaled" in said
    difference = np.abs(store.frames(store.sequences[0]).astype(int) - ALIGNED)
    assert difference.mean() < 8


def a_level_is_missing(world: World) -> None:
    for who in PEOPLE:
        trees.write_pictures(world.root / who / "n-1", MASKS, [f"{number}.png" for number in range(6)])
    with pytest.raises(EXPECTED, match="with a walk; anna/n-1 holds files, so that a level is missing"):
        world.dataset()


def several_datasets(world: World) -> None:
    for name in ("first", "second"):
        world.write("{}.png", encoder(".png"), MASKS, below=name)
    with pytest.raises(EXPECTED, match="holds several datasets, such as first, second; set the dataset's path"):
        world.dataset()


def a_mistyped_name_under_gallery(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    for typed in ("n1", "N-1", "n_1"):
        with pytest.raises(EXPECTED, match=rf"gallery = \['{typed}'\]: no walk has such a condition; did you mean n-1"):
            world.dataset(gallery=["n-2", typed])
    with pytest.raises(EXPECTED, match=r"gallery = \['slow'\]: no walk has such a condition; \(there: n-1, n-2\)"):
        world.dataset(gallery=["slow"])


def one_view_across_views(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    for folder in world.root.glob("*/*/front"):
        shutil.rmtree(folder)
    words = (
        "the only view is side, and protocol cross-view compares walks of different views alone; set .*cross_view to false"
    )
    with pytest.raises(EXPECTED, match=words):
        world.dataset(cross_view=True)
    world.dataset(cross_view=False)


def nobody_left_to_test(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    with pytest.raises(EXPECTED, match="train_subjects = 3: the dataset has 3 identities, so none is left to test"):
        world.dataset(train_subjects=3)


def no_gallery_or_no_probe(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    with pytest.raises(EXPECTED, match="no probe sequences: the other identities have no usable walk besides n-1, n-2"):
        world.dataset(gallery=["n-1", "n-2"])
    for who in PEOPLE[1:]:
        shutil.rmtree(world.root / who / "n-1")
    with pytest.raises(EXPECTED, match="no gallery sequences: the other identities have no usable walk among n-1"):
        world.dataset()
    shutil.rmtree(world.root / "ben")
    trees.write_pictures(world.root / "ben/n-1/side", MASKS, [f"{number}.png" for number in range(6)])
    with pytest.raises(EXPECTED, match="nobody of the test identities has both a gallery walk and another"):
        world.dataset()


def people_on_one_side_alone(world: World) -> None:
    world.write("{}.png", encoder(".png"), MASKS)
    for who, how in (("dora", "n-1"), ("emil", "n-2"), ("anna", "fast-1")):
        shutil.copytree(world.root / "carl/n-1/side", world.root / who / how / "side")
    said = world.dataset(cross_view=True)
    assert "warning: enrolled, but with no probe: dora\n" in said
    assert "warning: not enrolled, so that their probes are misses: emil\n" in said
    assert "warning: no probe of fast: there will be no rank-1 of it\n" in said


ROWS: dict[str, Callable[[World], None]] = {
    "silhouettes as PNG, JPEG, BMP or TIFF": masks_of_any_kind,
    "masks of 0 and 1, in any layout": small_masks_of_ones,
    "masks of 0 and another level, of 1 or 16 bits, or of a palette": masks_of_other_levels,
    "masks in the alpha channel": masks_in_the_alpha_channel,
    "aligned silhouettes with grey edges, in any of these formats": aligned_pictures,
    "aligned silhouettes without their outer columns: 64 x 44, 128 x 88": cut_pictures,
    "videos": films,
    "frames of a fixed camera": frames_of_films,
    "pickles `[n, 64, 64]`, `[n, 64, 44]`, `[n, 128, 88]`": pickles_of_any_width,
    "pickles of 0 and 1, truth values, or fractions from 0 to 1": pickles_of_other_numbers,
    "several pickles in a view": several_pickles,
    "CASIA-B without the middle folder, or with one more": casia_b_at_other_levels,
    "OU-MVLP with one more folder": oumvlp_at_other_levels,
    "TUM-GAID without `image`, or with one more": tum_gaid_at_other_levels,
    "own data or pickles up to two folders deeper": trees_one_level_deeper,
    "`__MACOSX`, `@eaDir`, `lost+found`, `Thumbs.db`, `.DS_Store` and the like": what_systems_leave,
    "`notes` and other folders without a walk": folders_without_a_walk,
    "files of other kinds among the walks": files_of_other_kinds,
    "silhouettes and pictures in one dataset": both_kinds_of_walks,
    "silhouettes and other pictures in one walk": mixed_pictures,
    "one walk of other levels than the rest": levels_of_one_walk,
    "aligned silhouettes of another height than `pixels`": aligned_of_another_size,
    "people on one side alone, conditions without a probe": people_on_one_side_alone,
    "pickles of other values": pickles_of_strange_values,
    "masks of several dark levels, such as 0, 1 and 2": masks_of_several_dark_levels,
    "silhouettes dark on bright": dark_on_bright,
    "pickles lower than `size`": pickles_that_are_too_small,
    "several pickles in a view, and nothing says which is read": several_pickles_and_no_choice,
    "a level of folders too few": a_level_is_missing,
    "several datasets in the folder": several_datasets,
    "a name under `gallery` that no walk has": a_mistyped_name_under_gallery,
    "one view, where walks of different views are compared": one_view_across_views,
    "as many people as `train_subjects`, or fewer": nobody_left_to_test,
    "no gallery, no probe, or nobody with both": no_gallery_or_no_probe,
}
LONG = {
    "videos",
    "masks in the alpha channel",
    "silhouettes as PNG, JPEG, BMP or TIFF",
    "masks of 0 and another level, of 1 or 16 bits, or of a palette",
}


@pytest.mark.parametrize("row", some(ROWS, *ROWS.keys() - LONG))
def test_what_is_taken_and_what_is_said(world: World, row: str) -> None:
    ROWS[row](world)


def test_the_guide_has_exactly_these_rows() -> None:
    guide = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    table = guide.partition("## What is taken, and what is said")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) +\| .+\|$", table, re.MULTILINE)
    assert [row for row in rows if row not in ("what you have", "---")] == list(ROWS)


def test_doubtful_walks_are_counted_and_shown(world: World) -> None:
    frames_of_films(world)
    out = world.where / "silhouette"
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["doubtful"], metrics["sequences"]) == (12, 12)
    assert cv2.imread(str(out / "look.png")).shape[0] > 12 * 64
