"""Hits of each person, from which a protocol's mean follows for any choice of its people.

A comparison of two engines needs them: it draws people with replacement, the same for both.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gait.errors import DataError

TYPES = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, eq=False)
class ByPerson:
    """Hits of one measure by person.

    Attributes:
        people: a digest of the people's names, in whose order they stand. A record names nobody.
        hits, counted: whole numbers, [people, conditions, probe views, gallery views]: the hits, and the counted probes.
    """

    people: str
    hits: np.ndarray
    counted: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str], hits: np.ndarray, counted: np.ndarray) -> Self:
        """Of people with these names, in the order of the rows of ``hits`` and ``counted``."""
        digest = hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()
        return cls(digest[:16], hits, counted)

    @property
    def mean(self) -> float:
        """The protocol's mean rate in %."""
        return float(mean_rates(self.hits.sum(0), self.counted.sum(0)))

    def comparable(self, other: ByPerson) -> bool:
        """Whether the other hits are of the same people and probes."""
        return self.people == other.people and np.array_equal(self.counted, other.counted)

    def to_json(self) -> dict[str, Any]:
        """In JSON's types: ``people``, ``shape``, and ``hits`` and ``counted`` in the form of :func:`packed`."""
        arrays = {"hits": packed(self.hits), "counted": packed(self.counted)}
        return {"people": self.people, "shape": list(self.hits.shape), **arrays}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` made.

        Raises:
            DataError: it did not make this.
        """
        try:
            shape = [int(length) for length in content["shape"]]
            hits, counted = (unpacked(content[name], shape) for name in ("hits", "counted"))
            people = content["people"]
        except (KeyError, TypeError, ValueError, zlib.error, binascii.Error) as error:
            raise DataError(f"the hits of each person are damaged ({error})") from None
        if len(shape) != 4 or not isinstance(people, str) or (hits > counted).any():
            raise DataError("the hits of each person are damaged (they do not belong together)")
        return cls(people, hits, counted)


def mean_rates(hits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The protocol's means in %: over gallery views, then over probe views, then over conditions.

    Args:
        hits, counted: [..., conditions, probe views, gallery views].

    Returns:
        [...], NaN where no probe is counted.
    """
    rates: np.ndarray = _mean(_mean(_mean(ratio(hits, counted))))
    return rates


def ratio(hits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Hits in % of the counted probes; NaN where none is counted."""
    return 100 * np.divide(hits, counted, out=np.full(hits.shape, np.nan), where=counted > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis without NaN; NaN where nothing else is."""
    counted = ~np.isnan(values)
    return ratio(np.where(counted, values, 0).sum(-1), counted.sum(-1).astype(np.float64)) / 100


def packed(numbers: np.ndarray) -> str:
    """Whole numbers of at least 0 as text: little-endian, in the fewest bytes that hold the greatest, by zlib, in base64."""
    greatest = int(numbers.max(initial=0))
    kind = next(kind for kind in TYPES if greatest <= np.iinfo(kind).max)
    content = numbers.astype(np.dtype(kind).newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def unpacked(text: str, shape: Sequence[int]) -> np.ndarray:
    """The numbers of :func:`packed`.

    Raises:
        ValueError, zlib.error: the text is not of as many numbers as the shape says.
    """
    count = math.prod(shape)
    most = max(np.dtype(kind).itemsize for kind in TYPES) * count
    content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), most + 1)
    kinds = {np.dtype(kind).itemsize * count: kind for kind in TYPES}
    if len(content) not in kinds:
        raise ValueError(f"{len(content)} bytes are not {count} numbers")
    return np.frombuffer(content, np.dtype(kinds[len(content)]).newbyteorder("<")).reshape(shape)
