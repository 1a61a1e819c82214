"""How inputs travel to a device: packed, and kept there, so that the next job with the same ones sends nothing of them."""

from __future__ import annotations

import json
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from remote.errors import DeviceError, LinkLost
from remote.transport import Transport

PACK_BYTES = 8 << 20  # of values, at least
KEEP_BYTES = 512 << 20  # of packs that a job leaves on a device, whose disk may be small
Group = list[np.ndarray]


def groups(link: Transport, inputs: Iterable[np.ndarray]) -> Iterator[Group]:
    """Float32 inputs that travel together, always the same ones of the same inputs. On this computer each goes alone."""
    group: Group = []
    for given in inputs:
        group.append(np.ascontiguousarray(given, np.float32))
        if not link.far or sum(values.nbytes for values in group) >= PACK_BYTES:
            yield group
            group = []
    if group:
        yield group


class Sender:
    """Makes messages of the inputs of one job.

    An input on the wire is a line of JSON with its shape, then its values, the last axis fastest. Where they travel, a line
    with ``packed``, a number of bytes that follow, or with ``file`` stands for the inputs in there, compressed by zlib.
    """

    def __init__(self, link: Transport):
        self._link = link
        self._left = KEEP_BYTES

    def message(self, group: Group) -> bytes:
        """What is written to a program for some inputs; all that takes long has been done then.

        Raises:
            LinkLost: the connection broke again and again.
        """
        records = b"".join(_line({"shape": values.shape}) + values.tobytes() for values in group)
        if not self._link.far:
            return records
        packed = zlib.compress(records, 1)
        if there := self._kept(packed):
            return _line({"file": there})
        return _line({"packed": len(packed)}) + packed

    def _kept(self, packed: bytes) -> str | None:
        """Where it is on the device; None if there is no room for it."""
        if len(packed) > self._left:
            return None
        self._left -= len(packed)
        with tempfile.TemporaryDirectory(prefix="gaitpress-") as folder:
            file = Path(folder) / "inputs"
            file.write_bytes(packed)
            try:
                return self._link.place(file)
            except LinkLost:
                raise
            except DeviceError as error:
                self._left = 0
                print(f"{error}; inputs are sent without being kept there", file=sys.stderr, flush=True)
                return None


def _line(head: dict[str, object]) -> bytes:
    return json.dumps(head).encode() + b"\n"
