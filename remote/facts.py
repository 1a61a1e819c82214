"""The facts of a device, as far as engines depend on it: written once, compared before every build and measurement."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from remote.errors import DeviceError
from remote.transport import Transport


class Remembered:
    """The facts of a device, read once a connection: a device cannot change without breaking the connection."""

    def __init__(self, link: Transport, look: Callable[[], dict[str, Any]]):
        self._link = link
        self._look = look
        self._known: dict[str, Any] | None = None
        link.after_reconnecting.append(self._forget)

    def __call__(self) -> dict[str, Any]:
        if self._known is not None:
            self._link.run(["true"], repeatable=True)  # renews a connection that broke unnoticed, and so forgets
        if self._known is None:
            self._known = self._look()
        return self._known

    def _forget(self) -> None:
        self._known = None


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a facts file, whole or not at all.

    Raises:
        DeviceError: it cannot be written.
    """
    write_text(path, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of this computer, whole or not at all.

    Raises:
        DeviceError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise DeviceError(f"{path} cannot be written: {error.strerror}; it is as it was") from None
    finally:
        with contextlib.suppress(OSError):
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
    """Refuse a device whose facts differ from its facts file.

    Raises:
        DeviceError: facts changed; the message names them and the commands that refresh them.
    """
    if changes := differences(recorded, now):
        raise DeviceError(f"device {device}: its facts no longer hold ({changes}); {refresh(device)}")


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The changed facts, such as "runtime_version: 1.31.0 -> 1.32.0"; empty if none changed."""
    keys = sorted(key for key in {*recorded, *now} if recorded.get(key) != now.get(key))
    return "; ".join(f"{key}: {recorded.get(key)} -> {now.get(key)}" for key in keys)


def refresh(device: str) -> str:
    """The advice how to bring a device's facts up to date."""
    return f"look at it again: `dvc repro -f -s probe@{device}` or `python -m remote probe {device}`"
