"""The store of preprocessed sequences: written sequences are read back, and damage is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gait.data.prepared.sequences import FRAMES, INDEX, Sequence, SequenceStore, StoreWriter
from gait.errors import DataError

FACTS: dict[str, Any] = {
    "modality": "silhouette",
    "dataset": "toy",
    "evidence": "synthetic",
    "fps": 25,
    "settings": {"kind": "silhouette", "pixels": 4},
    "identities": ["001", "002"],
    "split": {},
}
NAMES = [("001", "nm-01", "000"), ("001", "bg-02", "090"), ("002", "cl-01", "180")]


def write(directory: Path, rows: list[np.ndarray], names: list[tuple[str, str, str]] = NAMES, **facts: Any) -> SequenceStore:
    directory.mkdir(exist_ok=True)
    writer = StoreWriter(directory, rows[0].shape[1:], rows[0].dtype.str)
    for (identity, condition, view), frames in zip(names, rows, strict=False):
        writer.add(identity, condition, view, frames)
    writer.close(**{**FACTS, **facts})
    return SequenceStore.open(directory)


def some_rows(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (count, 4, 4), np.uint8) for count in (3, 1, 5)]


KINDS = {"silhouette": (np.uint8, (5, 5)), "flow": (np.int16, (3, 3, 4))}


@given(st.data(), st.sampled_from(sorted(KINDS)), st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_written_sequences_are_read_back(tmp_path_factory: Any, data: st.DataObject, kind: str, counts: list[int]) -> None:
    dtype, shape = KINDS[kind]
    rows = [data.draw(arrays(dtype, (count, *shape))) for count in counts]
    store = write(tmp_path_factory.mktemp("store"), rows, modality=kind, settings={"kind": kind}, fps=30)
    assert (store.modality, store.kind, store.dataset, store.evidence, store.fps) == (kind, kind, "toy", "synthetic", 30)
    assert [(sequence.identity, sequence.condition, sequence.view) for sequence in store.sequences] == NAMES[: len(rows)]
    for sequence, frames in zip(store.sequences, rows, strict=True):
        assert store.frames(sequence).dtype == dtype
        assert np.array_equal(store.frames(sequence), frames)


def test_names_and_kinds_are_the_datasets() -> None:
    sequence = Sequence("001", "bg-02", "090", 0, 3)
    assert (sequence.name, sequence.kind) == ("001-bg-02-090", "bg")


def test_frames_are_mapped_and_read_only(tmp_path: Path) -> None:
    store = write(tmp_path, some_rows())
    frames = store.frames(store.sequences[1])
    assert isinstance(frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0, 0] = 1


def test_the_array_is_plain_npy(tmp_path: Path) -> None:
    rows = some_rows()
    write(tmp_path, rows)
    assert np.array_equal(np.load(tmp_path / FRAMES, allow_pickle=False), np.concatenate(rows))


def test_the_same_content_has_the_same_digest_and_bytes(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, some_rows()) for name in ("one", "other"))
    assert one.digest == other.digest
    for file in (FRAMES, INDEX):
        assert (one.directory / file).read_bytes() == (other.directory / file).read_bytes()


def test_the_digest_changes_with_all_that_results_depend_on(tmp_path: Path) -> None:
    pixel = some_rows()
    pixel[2][4, 3, 3] ^= 1
    joined = [np.concatenate(some_rows())]
    variants: dict[str, Callable[[Path], SequenceStore]] = {
        "same": lambda path: write(path, some_rows()),
        "a pixel": lambda path: write(path, pixel),
        "one sequence": lambda path: write(path, joined),
        "a view": lambda path: write(path, some_rows(), [*NAMES[:2], ("002", "cl-01", "162")]),
        "an identity": lambda path: write(path, some_rows(), [*NAMES[:2], ("003", "cl-01", "180")]),
        "frame rate": lambda path: write(path, some_rows(), fps=30),
        "people": lambda path: write(path, some_rows(), identities=["001", "002", "003"]),
        "shape": lambda path: write(path, [frames.reshape(-1, 2, 8) for frames in some_rows()]),
        "settings": lambda path: write(path, some_rows(), settings={"kind": "silhouette", "pixels": 5}),
    }
    digests = {what: make(tmp_path / what).digest for what, make in variants.items()}
    assert len(set(digests.values())) == len(digests), digests
    moved = write(tmp_path / "moved", some_rows(), faults=["/elsewhere/001.tar.gz: damaged"], skipped=[{"sequence": "x"}])
    assert moved.digest == digests["same"], "where a dataset lies and what could not be read of it change no result"


def test_people_without_usable_walks_are_known(tmp_path: Path) -> None:
    assert write(tmp_path / "a", some_rows()).identities == ["001", "002"]
    assert write(tmp_path / "b", some_rows(), identities=["001", "002", "003"]).identities == ["001", "002", "003"]


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 4, 5), np.uint8),
        np.zeros((2, 4), np.uint8),
        np.zeros((2, 4, 4), np.float32),
        np.zeros((2, 4, 4), np.int16),
        np.zeros((0, 4, 4), np.uint8),
    ],
)
def test_frames_that_do_not_fit_are_refused(tmp_path: Path, frames: np.ndarray) -> None:
    writer = StoreWriter(tmp_path, (4, 4), "uint8")
    with pytest.raises(DataError, match=r"^001-nm-01-090: frames are .*, not uint8 \(n, 4, 4\)$"):
        writer.add("001", "nm-01", "090", frames)


def edited(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads((directory / INDEX).read_text())
    change(index)
    (directory / INDEX).write_text(json.dumps(index))


def replaced(directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)


def saved(directory: Path, array: Any) -> None:
    with (directory / FRAMES).open("wb") as file:
        np.save(file, array, allow_pickle=True)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "index is no JSON": (lambda at: replaced(at, INDEX, b"{"), "damaged"),
    "index is not text": (lambda at: replaced(at, INDEX, b"\xff\xfe"), "damaged"),
    "index is a list": (lambda at: replaced(at, INDEX, b"[]"), "damaged"),
    "index without digest": (lambda at: edited(at, lambda index: index.pop("digest")), "index.json has no digest"),
    "index without kind": (lambda at: edited(at, lambda index: index.update(settings={})), "index.json has no kind"),
    "unknown kind": (lambda at: edited(at, lambda index: index.update(settings={"kind": "depth"})), "is no depth"),
    "other kind": (lambda at: edited(at, lambda index: index.update(settings={"kind": "flow"})), "uint8, which is no flow"),
    "unknown key": (lambda at: edited(at, lambda index: index["sequences"][0].update(age=3)), "unexpected keyword"),
    "sequence removed": (lambda at: edited(at, lambda index: index["sequences"].pop(1)), "do not follow row 3"),
    "last removed": (lambda at: edited(at, lambda index: index["sequences"].pop()), "has 9 rows and index.json 4"),
    "all removed": (lambda at: edited(at, lambda index: index["sequences"].clear()), "has 9 rows and index.json 0"),
    "count changed": (lambda at: edited(at, lambda index: index["sequences"][0].update(count=2)), "do not follow row 2"),
    "count negative": (lambda at: edited(at, lambda index: index["sequences"][0].update(count=-3)), "rows 0"),
    "count is text": (lambda at: edited(at, lambda index: index["sequences"][0].update(count="3")), "rows 0"),
    "frames empty": (lambda at: replaced(at, FRAMES, b""), "damaged"),
    "frames no npy": (lambda at: replaced(at, FRAMES, b"text" * 100), "damaged"),
    "frames cut": (lambda at: replaced(at, FRAMES, (at / FRAMES).read_bytes()[:-1]), "damaged"),
    "frames extended": (lambda at: replaced(at, FRAMES, (at / FRAMES).read_bytes() + b"x"), "has 273 bytes, not 272"),
    "frames pickled": (lambda at: saved(at, np.array([{"a": 1}], object)), "damaged"),
    "frames of floats": (lambda at: saved(at, np.zeros((9, 4, 4))), "float64, which is no silhouette"),
}


@pytest.mark.parametrize("which", DAMAGES)
def test_a_damaged_store_is_reported_in_one_line_with_the_remedy(tmp_path: Path, which: str) -> None:
    write(tmp_path, some_rows())
    damage, reason = DAMAGES[which]
    damage(tmp_path)
    with pytest.raises(DataError) as raised:
        SequenceStore.open(tmp_path)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}: damaged (")
    assert reason in message
    assert message.endswith("run `dvc repro -f -s preprocess`")
    assert "\n" not in message


@pytest.mark.parametrize("missing", [FRAMES, INDEX])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write(tmp_path, some_rows())
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=f"{missing}: no such file"):
        SequenceStore.open(tmp_path)


def test_a_store_that_was_not_completed_does_not_open(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path, (4, 4), "uint8")
    writer.add("001", "nm-01", "090", np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(DataError, match=f"{INDEX}: no such file"):
        SequenceStore.open(tmp_path)
