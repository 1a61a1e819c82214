"""The runtimes, which build and run engines on devices: each has a folder of its name.

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
# The files around the work of a runtime: an edit of these measures nothing again.
AROUND = ("check.py", "bundle.py", "shipped.py")


def names() -> tuple[str, ...]:
    """The names of all runtimes."""
    return tuple(sorted(path.parent.name for path in HERE.glob("*/__init__.py")))


def room_of(name: str) -> Room:
    """The description of a runtime of :func:`names`."""
    room: Room = import_module(f"{__name__}.{name}").ROOM
    return room


def part(name: str, module: str) -> Any:
    """A module of a runtime's folder: "runtime", "check" or "bundle"."""
    return import_module(f"{__name__}.{name}.{module}")


@contextmanager
def runtime_on(device: Device, doing: str | None = None, times: bool = True) -> Iterator[Runtime]:
    """Yield the runtime of a device that the inventory accepted, over a connection that lasts as long as the context.

    Args:
        device: an entry of devices.yaml.
        doing: the purpose, in words; with it, this waits for other users and locks the device. Without it, the device may
            be shared.
        times: whether times are measured there. Jobs that measure none share this machine's processor.

    Raises:
        DeviceError: the device cannot be reached or locked.
    """
    with connect(device.name, device.transport) as link:
        shared = not (times or link.far) and room_of(device.runtime).on_processor
        with held(link, doing, shared) if doing else nullcontext():
            yield part(device.runtime, "runtime").opened(link, device.options)
