"""The code that works on a device, by its runtime: what all share, what the runtime uses besides, and its own folder."""

from __future__ import annotations

from gaitpress.naming import ROOT
from remote import runtimes

SHARED = (
    "remote/runtimes/__init__.py",
    "remote/runtimes/room.py",
    "remote/benchmark.py",
    "remote/compatibility.py",
    "remote/connection.py",
    "remote/digest.py",
    "remote/disk.py",
    "remote/engines.py",
    "remote/facts.py",
    "remote/inputs.py",
    "remote/inventory.py",
)
SENSORS = ("remote/jetson/power.py", "remote/jetson/program.py", "remote/jetson/tegrastats.py", "remote/jetson/onboard")


def of(runtime: str) -> tuple[str, ...]:
    """Files and folders, relative to the repository; what stands around the runtime's work is not among them."""
    folder = runtimes.HERE / runtime
    own = (path for path in folder.rglob("*.py") if path.name not in runtimes.AROUND)
    return (*SHARED, *runtimes.room_of(runtime).uses, *sorted(path.relative_to(ROOT).as_posix() for path in own))
