"""The room on a device's disk: where it is too little, a build that fails says nothing about the network."""

from __future__ import annotations

from remote.errors import DeviceError
from remote.transport import Transport

SPARE = 1 << 20  # bytes that a build needs beside its engine


def refuse_if_full(link: Transport, needed: int, said: object) -> None:
    """Refuse a device whose disk has no room for what failed.

    Args:
        link: the way to the device.
        needed: about how many bytes were to be written.
        said: the reason for which it failed, in the words of the program that wrote.

    Raises:
        DeviceError: it has no room; the message says where, and what to do.
    """
    done = link.run(["df", "-Pk", link.home], repeatable=True)
    words = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
    fields = words[0].split() if words else []
    free = 1024 * int(fields[3]) if len(fields) > 5 and fields[3].isdecimal() else None
    if "No space left on device" in str(said) or (free is not None and free < needed + SPARE):
        room = "" if free is None else f", where {free / 1e6:.1f} MB are free"
        raise DeviceError(
            f"{link.name}: no room on its disk for an engine of about {needed / 1e6:.1f} MB at {link.home}{room} ({said}); "
            "make room there, and run again: what is in this folder may be removed while no job runs"
        )
