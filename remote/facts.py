"""What a device is, as far as engines depend on it: remembered once, compared before every build and measurement."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from remote.errors import DeviceError
from remote.transport import Transport


class Remembered:
    """The facts of a device that is looked at once a connection: it cannot change without breaking it."""

    def __init__(self, link: Transport, look: Callable[[], dict[str, Any]]):
        self._link = link
        self._look = look
        self._known: dict[str, Any] | None = None
        link.after_reconnecting.append(self._forget)

    def __call__(self) -> dict[str, Any]:
        if self._known is not None:
            self._link.run(["true"], repeatable=True)  # a connection that broke unnoticed is made anew, and forgets
        if self._known is None:
            self._known = self._look()
        return self._known

    def _forget(self) -> None:
        self._known = None


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a facts file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path, device: str) -> dict[str, Any]:
    """Read the facts of a device.

    Raises:
        DeviceError: the file is missing or damaged.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such file; {refresh(device)}") from None
    except ValueError as error:
        raise DeviceError(f"{path}: not valid JSON ({error}); {refresh(device)}") from None
    if not isinstance(facts, dict):
        raise DeviceError(f"{path}: must be a mapping of facts; {refresh(device)}")
    return facts


def check(device: str, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a device that is no longer what its facts file says.

    Raises:
        DeviceError: names what changed and the commands that refresh the facts.
    """
    if changes := differences(recorded, now):
        raise DeviceError(f"device {device}: its facts no longer hold ({changes}); {refresh(device)}")


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What changed, such as "runtime_version: 1.31.0 -> 1.32.0"; empty if nothing did."""
    keys = sorted(key for key in {*recorded, *now} if recorded.get(key) != now.get(key))
    return "; ".join(f"{key}: {recorded.get(key)} -> {now.get(key)}" for key in keys)


def refresh(device: str) -> str:
    """What to type to bring a device's facts up to date."""
    return f"look at it again: `dvc repro -f -s probe@{device}` or `python -m remote probe {device}`"
