"""A device on which networks are timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remote import facts, inventory
from remote.runtimes import Runtime, runtime_on


@dataclass(frozen=True)
class Bench:
    """A device whose facts still hold, and the runtime that runs networks there."""

    device: inventory.Device
    runtime: Runtime
    facts: Mapping[str, Any]

    @classmethod
    @contextmanager
    def find(cls, name: str, devices: Path, recorded: Path, doing: str) -> Iterator[Bench]:
        """Open the device of an entry of devices.yaml, which no other process uses in this context.

        Args:
            name: the entry.
            devices: devices.yaml.
            recorded: the device's facts file.
            doing: the purpose, in words; whoever waits for the device reads it.

        Raises:
            DeviceError: devices.yaml has no such entry, or the facts file is missing or no longer holds.
        """
        device = inventory.find(devices, name)
        recorded_facts = facts.read(recorded, name)
        with runtime_on(device, doing) as runtime:
            present_facts = runtime.facts()
            facts.check(name, recorded_facts, present_facts)
            yield cls(device, runtime, present_facts)
