"""What builds and runs engines on devices: a folder for each runtime, found by its name.

A folder holds ``__init__.py`` with ``ROOM``, which describes the runtime; ``runtime.py``, whose ``opened(link, options)``
works on a device; ``check.py``, whose ``check(link, device, seen)`` looks a device over; and ``bundle.py`` with ``SHIPPED``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remote.lock import held
from remote.runtimes.room import Room, Runtime
from remote.transport import connect

if TYPE_CHECKING:
    from remote.inventory import Device

HERE = Path(__file__).parent
# What stands around the work of a runtime: an edit of these measures nothing again.
AROUND = ("check.py", "bundle.py", "shipped.py")


def names() -> tuple[str, ...]:
    """All runtimes."""
    return tuple(sorted(path.parent.name for path in HERE.glob("*/__init__.py")))


def room_of(name: str) -> Room:
    """What a runtime of :func:`names` says of itself."""
    described: Room = import_module(f"{__name__}.{name}").ROOM
    return described


def part(name: str, module: str) -> Any:
    """A module of a runtime's folder: "runtime", "check" or "bundle"."""
    return import_module(f"{__name__}.{name}.{module}")


@contextmanager
def runtime_on(device: Device, doing: str | None = None) -> Iterator[Runtime]:
    """The runtime of a device that the inventory accepted, over one connection that lasts as long as the context.

    Args:
        device: an entry of devices.yaml.
        doing: what for, in words: once all others are done, the device is ours alone. Without it, it may be shared.

    Raises:
        DeviceError: the device cannot be reached, or not be locked.
    """
    with connect(device.name, device.transport) as link, held(link, doing) if doing else nullcontext():
        yield part(device.runtime, "runtime").opened(link, device.options)
