"""The devices of devices.yaml: names, how they are reached and what runs networks on them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from remote.errors import DeviceError

# What a device's name may be: it becomes a folder, a DVC key (hence no dot) and part of a stage's name.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
TRANSPORTS = ("local",)
RUNTIMES = ("onnxruntime",)
OPTIONS: dict[str, tuple[str, ...]] = {"onnxruntime": ()}


@dataclass(frozen=True)
class Device:
    """An entry of devices.yaml.

    Attributes:
        name: the entry's key.
        transport: how commands reach it; "local" is this machine.
        runtime: what builds and runs engines there.
        options: settings of that runtime.
    """

    name: str
    transport: str = "local"
    runtime: str = "onnxruntime"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> str:
        """What a measurement there is worth: "host" is a computer's own processor, not a board."""
        return {"local": "host"}[self.transport]


def load(path: Path | str) -> dict[str, Device]:
    """Read devices.yaml (YAML 1.2).

    Raises:
        DeviceError: with one line a fault, such as ``remote/devices.yaml: nano.runtime = tensorflow: must be ...``.
    """
    path = Path(path)
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such file; it lists the devices") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict) or not data:
        raise DeviceError(f"{path}: must be a mapping of names to devices, such as `local: {{transport: local}}`")
    if faults := [fault for name, entry in data.items() for fault in _faults(name, entry)]:
        raise DeviceError("\n".join(f"{path}: {fault}" for fault in faults))
    return {name: Device(name, **entry) for name, entry in data.items()}


def find(path: Path | str, name: str) -> Device:
    """One device of devices.yaml.

    Raises:
        DeviceError: the file is wrong or has no such entry.
    """
    devices = load(path)
    if name not in devices:
        close = difflib.get_close_matches(name, devices, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise DeviceError(f"{path}: no device {name} (there: {', '.join(devices)}){hint}")
    return devices[name]


def add(path: Path | str, device: Device) -> None:
    """Append a device to devices.yaml; what stands there stays as it is.

    Raises:
        DeviceError: the file is wrong, has an entry of this name, or the new entry is not allowed.
    """
    path = Path(path)
    if device.name in load(path):
        raise DeviceError(f"{path}: there is a device {device.name} already")
    entry = {"transport": device.transport, "runtime": device.runtime, "options": dict(device.options)}
    if faults := _faults(device.name, entry):
        raise DeviceError("\n".join(f"{path}: {fault}" for fault in faults))
    written = StringIO()
    yaml = YAML()
    yaml.dump({device.name: entry}, written)
    before = path.read_text(encoding="utf-8")
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(f"{before.rstrip()}\n\n{written.getvalue()}", encoding="utf-8")
    partial.replace(path)


def _faults(name: Any, entry: Any) -> list[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return [f"{name}: a device's name is made of small letters, digits, - and _"]
    if not isinstance(entry, dict):
        return [f"{name} = {entry}: must be a section with the keys transport, runtime and options"]
    known = ("transport", "runtime", "options")
    faults = []
    for key in entry:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            faults.append(f"{name}.{key}: unknown key; {hint}")
    for key, supported in (("transport", TRANSPORTS), ("runtime", RUNTIMES)):
        if key in entry and entry[key] not in supported:
            faults.append(f"{name}.{key} = {entry[key]}: must be {' or '.join(supported)}")
    options = entry.get("options", {})
    if not isinstance(options, dict):
        return [*faults, f"{name}.options = {options}: must be a section, such as {{}}"]
    runtime = entry.get("runtime", Device.runtime)
    if isinstance(runtime, str) and runtime in OPTIONS:
        takes = ", ".join(OPTIONS[runtime]) or "no options"
        unknown = [key for key in options if key not in OPTIONS[runtime]]
        faults += [f"{name}.options.{key}: unknown key; {runtime} takes {takes}" for key in unknown]
    return faults
