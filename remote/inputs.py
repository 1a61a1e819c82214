"""Send inputs to a device: packed, and kept there, so that the next job with the same inputs sends none of them."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from remote.errors import DeviceError, LinkLost
from remote.transport import Transport

PACK_BYTES = 8 << 20  # the least size of the values in a pack
KEEP_BYTES = 512 << 20  # the most that packs of a job may take on a device, whose disk may be small
Group = list[np.ndarray]


def groups(link: Transport, inputs: Iterable[np.ndarray]) -> Iterator[Group]:
    """Yield groups of float32 inputs that travel together; the same inputs give the same groups. Locally each goes alone."""
    group: Group = []
    for values in inputs:
        group.append(np.ascontiguousarray(values, np.float32))
        if not link.far or sum(values.nbytes for values in group) >= PACK_BYTES:
            yield group
            group = []
    if group:
        yield group


class Sender:
    """Makes messages of the inputs of one job.

    An input is a line of JSON with its shape, then its values, the last axis fastest. To another computer go inputs
    compressed by zlib: a line with ``packed``, the number of bytes that follow, or with ``file``, a file there.
    """

    def __init__(self, link: Transport):
        self._link = link
        self._left = KEEP_BYTES
        self._one_at_a_time = threading.Lock()  # each file on its way is a command there, and there may be only so many

    def message(self, group: Group) -> bytes:
        """The bytes to write to a program for a group of inputs; all slow work is done when this returns.

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
        """The path of a pack on the device; None if there is no room for it."""
        with self._one_at_a_time:
            if len(packed) > self._left:
                return None
            self._left -= len(packed)
            try:
                with tempfile.TemporaryDirectory(prefix="gaitpress-") as folder:
                    file = Path(folder) / "inputs"
                    file.write_bytes(packed)
                    return self._link.place(file)
            except LinkLost:
                raise
            except (DeviceError, OSError) as error:
                why = f"{tempfile.gettempdir()}: {error.strerror}" if isinstance(error, OSError) else error
                self._left = 0
                print(f"{why}; inputs are sent without being kept there", file=sys.stderr, flush=True)
                return None


def _line(head: dict[str, object]) -> bytes:
    return json.dumps(head).encode() + b"\n"
