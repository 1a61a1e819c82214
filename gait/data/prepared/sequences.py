"""Preprocessed sequences on disk: one array of all frames of a modality, memory-mapped, and an index."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from gait.errors import DataError

FRAMES, INDEX, JOURNAL = "frames.npy", "index.json", "journal.jsonl"
DTYPES = {"silhouette": np.dtype(np.uint8), "flow": np.dtype(np.int16)}
UNCOUNTED = ("skipped", "faults", "missing")  # not in the digest: no model sees these, and they hold paths
REMEDY = "run `dvc repro -f -s preprocess`"


@dataclass(frozen=True)
class Sequence:
    """One walk in one view.

    Attributes:
        identity, condition, view: as the dataset names them, such as "001", "nm-01", "090".
        start, count: the first row and the number of rows of its frames (or flow samples) in the store's array.
    """

    identity: str
    condition: str
    view: str
    start: int
    count: int

    @property
    def kind(self) -> str:
        """The walking condition without its number: "nm" for "nm-01", "n" for "n05"; a number alone stays, "00" for "00"."""
        return re.sub("[-_]?[0-9]+$", "", self.condition) or self.condition

    @property
    def name(self) -> str:
        """The sequence's name, such as "001-nm-01-090"."""
        return f"{self.identity}-{self.condition}-{self.view}"


class SequenceStore:
    """Sequences of one modality, opened with :meth:`open`.

    Attributes:
        directory: the store's folder.
        modality, kind, settings: the name of an entry of ``preprocess`` in params.yaml, its ``kind``, and all its settings.
        dataset, evidence: the dataset of the frames; "synthetic" or "published".
        fps: frames a second of the video.
        digest: SHA-256 of all that results depend on: the array and all facts but ``skipped``, ``faults`` and ``missing``.
        identities: all people of the dataset, including those without a usable walk.
        split: the identities of each part, if the dataset comes with lists of them.
        sequences: all sequences, in the order of their frames.
    """

    def __init__(self, directory: Path, index: Mapping[str, Any], frames: np.ndarray) -> None:
        self.directory = directory
        self.modality: str = index["modality"]
        self.settings: dict[str, Any] = index["settings"]
        self.kind: str = self.settings["kind"]
        self.dataset: str = index["dataset"]
        self.evidence: str = index["evidence"]
        self.fps: float = index["fps"]
        self.digest: str = index["digest"]
        self.sequences = [Sequence(**entry) for entry in index["sequences"]]
        self.identities: list[str] = index["identities"]
        self.split: dict[str, list[str]] = index["split"]
        self._frames = frames

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open a store that :class:`StoreWriter` wrote.

        Raises:
            DataError: the store is missing, damaged or cut short.
        """
        try:
            index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
            frames = _memory_map(directory / FRAMES)
            store = cls(directory, index, frames)
            _check(store, frames)
        except FileNotFoundError as error:
            raise DataError(f"{error.filename}: no such file; run `dvc repro` to preprocess the dataset") from None
        except KeyError as error:
            raise DataError(f"{directory}: damaged ({INDEX} has no {error.args[0]}); {REMEDY}") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"{directory}: damaged ({error}); {REMEDY}") from None
        return store

    def frames(self, sequence: Sequence) -> np.ndarray:
        """The frames of a sequence, memory-mapped: uint8 [n, 64, 64] silhouettes or int16 [n, 60, 60, 50] flow."""
        return self._frames[sequence.start : sequence.start + sequence.count]


def _memory_map(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped into memory; pickles are refused."""
    frames = np.lib.format.open_memmap(path, mode="r")
    expected, size = frames.offset + frames.nbytes, path.stat().st_size
    if size != expected:
        raise ValueError(f"{path.name} has {size} bytes, not {expected}")
    return frames


def _check(store: SequenceStore, frames: np.ndarray) -> None:
    """Check that the sequences cover each row of the array once.

    Raises:
        ValueError: they do not, or the array has the wrong type.
    """
    if frames.dtype != DTYPES.get(store.kind, np.dtype(object)):
        raise ValueError(f"{FRAMES} holds {frames.dtype}, which is no {store.kind}")
    end = 0
    for sequence in store.sequences:
        if sequence.start != end or not isinstance(sequence.count, int) or sequence.count < 1:
            raise ValueError(f"{INDEX}: rows {sequence.start} + {sequence.count} of {sequence.name} do not follow row {end}")
        end += sequence.count
    if end != len(frames):
        raise ValueError(f"{FRAMES} has {len(frames)} rows and {INDEX} {end}")


class StoreWriter:
    """Writes a store unit by unit; only the index stays in memory.

    A journal notes each complete unit. If a killed writer left files, a new writer continues after the last unit in them.

    Attributes:
        units: the units in the store so far.
        skipped, faults: the skipped walks and the faults of these units.
        rows: the number of rows in the array so far.
    """

    def __init__(self, directory: Path, shape: tuple[int, ...], dtype: str) -> None:
        self._directory = directory
        self._shape, self._dtype = shape, np.dtype(dtype)
        self.units: list[str] = []
        self.skipped: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.rows = 0
        self._sequences: list[Sequence] = []
        self._hash = hashlib.sha256()
        self._checksum = 0  # of the current unit's rows
        self._journaled = 0  # sequences in the journal
        self._file = (directory / FRAMES).open("r+b" if (directory / FRAMES).exists() else "w+b")
        self._write_header()
        self._journal = (directory / JOURNAL).open("a+", encoding="utf-8")
        self._resume()

    @property
    def names(self) -> set[str]:
        """The names of all sequences so far."""
        return {sequence.name for sequence in self._sequences}

    def _write_header(self) -> None:
        # numpy leaves room for a larger number of rows, so the header keeps its length.
        self._file.seek(0)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.rows, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def _resume(self) -> None:
        """Take over the units of an earlier writer, up to the first that is incomplete on disk."""
        row_bytes = int(np.prod(self._shape)) * self._dtype.itemsize
        end = 0
        self._journal.seek(0)
        while line := self._journal.readline():
            try:
                unit = json.loads(line)
                sequences = [Sequence(**entry) for entry in unit["sequences"]]
                content = self._file.read(sum(sequence.count for sequence in sequences) * row_bytes)
                if not line.endswith("\n") or zlib.crc32(content) != unit["crc32"]:
                    break
            except (ValueError, KeyError, TypeError):
                break
            self._hash.update(content)
            self.rows += len(content) // row_bytes
            self._record(unit["unit"], sequences, unit["skipped"], unit["faults"])
            end = self._journal.tell()
        self._journal.truncate(end)
        self._journal.seek(end)
        self._write_header()
        self._file.seek(self.rows * row_bytes, os.SEEK_CUR)
        self._file.truncate()

    def _record(self, unit: str, sequences: list[Sequence], skipped: list[dict[str, str]], faults: list[str]) -> None:
        self.units.append(unit)
        self._sequences += sequences
        self._journaled = len(self._sequences)
        self.skipped += skipped
        self.faults += faults

    def add(self, identity: str, condition: str, view: str, frames: np.ndarray) -> None:
        """Append a sequence of at least one frame: [n, *shape] of the writer's dtype.

        Raises:
            DataError: the frames have another shape or type, or there are none.
        """
        content = np.ascontiguousarray(frames)
        if content.shape[1:] != self._shape or content.dtype != self._dtype or not len(content):
            given, required = f"{content.dtype} {content.shape}", f"{self._dtype} (n, {', '.join(map(str, self._shape))})"
            raise DataError(f"{identity}-{condition}-{view}: frames are {given}, not {required}")
        self._file.write(content.data)
        self._hash.update(content.data)
        self._checksum = zlib.crc32(content.data, self._checksum)
        self._sequences.append(Sequence(identity, condition, view, self.rows, len(content)))
        self.rows += len(content)

    def complete(self, unit: str, skipped: list[dict[str, str]], faults: list[str]) -> None:
        """Note in the journal that the sequences added since the last unit are all sequences of this unit."""
        new = self._sequences[self._journaled :]
        entry = {"unit": unit, "sequences": [asdict(sequence) for sequence in new], "crc32": self._checksum}
        self._file.flush()
        self._journal.write(json.dumps({**entry, "skipped": skipped, "faults": faults}) + "\n")
        self._journal.flush()
        self._checksum = 0
        self._record(unit, [], skipped, faults)

    def close(self, **facts: Any) -> int:
        """Complete the array, write the index with facts (modality, dataset, ...) and return the number of sequences."""
        self._write_header()
        self._file.close()
        self._journal.close()
        sequences = [asdict(sequence) for sequence in self._sequences]
        index = {"skipped": self.skipped, "faults": self.faults, **facts, "sequences": sequences}
        # Names and frame rate are in the digest too: the same frames give other results if these differ.
        counted = {key: value for key, value in index.items() if key not in UNCOUNTED}
        counted["array"] = [self._dtype.str, *self._shape]
        self._hash.update(json.dumps(counted, sort_keys=True).encode())
        index["digest"] = self._hash.hexdigest()
        (self._directory / INDEX).write_text(json.dumps(index, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        (self._directory / JOURNAL).unlink()
        return len(sequences)
