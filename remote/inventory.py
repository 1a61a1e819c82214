"""Read and change devices.yaml: the devices' names, the ways to them and their runtimes."""

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

from remote import facts as files
from remote import runtimes
from remote.errors import DeviceError
from remote.transport.ssh_config import Address

# The pattern of a device's name, which becomes a folder, a DVC key (hence no dot) and part of a stage's name.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
KINDS = {str: "text", bool: "true or false", int: "a whole number, 0 or more"}


@dataclass(frozen=True)
class Device:
    """An entry of devices.yaml.

    Attributes:
        name: the entry's key.
        transport: how commands reach it: "local" for this machine, else ``ssh://[user@]host[:port]``.
        runtime: the runtime that builds and runs engines there.
        options: the settings of that runtime.
    """

    name: str
    transport: str = "local"
    runtime: str = "onnxruntime"
    options: Mapping[str, Any] = field(default_factory=dict)

    def evidence(self, facts: Mapping[str, Any]) -> str:
        """The evidence of a measurement on a device with these facts.

        Returns:
            "simulated" for a simulated board, whatever its entry says; "real-device" for a board over SSH; "host" for a
            computer's own processor.
        """
        if facts.get("simulated"):
            return "simulated"
        return "real-device" if self.transport != "local" and facts.get("board") else "host"


def load(path: Path | str) -> dict[str, Device]:
    """Read devices.yaml (YAML 1.2).

    Raises:
        DeviceError: with one line a fault, such as ``remote/devices.yaml: nano.runtime = tensorflow: must be ...``.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such file; it lists the devices") from None
    except UnicodeDecodeError as error:
        raise DeviceError(f"{path}: not text in UTF-8: {error}") from None
    return _read(text, path)


def _read(text: str, path: Path) -> dict[str, Device]:
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, RecursionError) as error:
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


def option(runtime: str, key: str, text: str) -> Any:
    """The value of an option from its text on the command line.

    Raises:
        DeviceError: there is no such option, or it does not take this value.
    """
    kind = runtimes.room_of(runtime).options.get(key)
    value: Any = text
    if kind is bool:
        value = {"true": True, "false": False}.get(text, text)
    elif kind is int and text.isdecimal():
        value = int(text)
    if fault := _option_fault(runtime, key, value):
        raise DeviceError(f"option {key}{fault}")
    return value


def add(path: Path | str, device: Device) -> None:
    """Append a device to devices.yaml; the rest of the file stays as it is.

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
    files.write_text(path, f"{path.read_text(encoding='utf-8').rstrip()}\n\n{written.getvalue()}")


def remove(path: Path | str, name: str) -> Device:
    """Take a device out of devices.yaml; the rest of the file stays as it is, comments included.

    Returns:
        The removed device.

    Raises:
        DeviceError: the file is wrong, has no such entry or no other, or its form calls for a person.
    """
    path = Path(path)
    device = find(path, name)
    text = path.read_text(encoding="utf-8")
    data = YAML(typ="rt", pure=True).load(text)
    others = {key: entry for key, entry in load(path).items() if key != name}
    if not others:
        raise DeviceError(f"{path}: {name} is the last device; add another one first")
    begins = [data.lc.key(key)[0] for key in data]
    begin = data.lc.key(name)[0]
    lines = text.splitlines(keepends=True)
    end = min((line for line in begins if line > begin), default=len(lines))
    # Comments at the left edge below the entry belong to the next entry.
    while end > begin + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    remaining = "".join(lines[:begin] + lines[end:])
    try:
        same = _read(remaining, path) == others
    except DeviceError:
        same = False
    if not same:
        raise DeviceError(f"{path}: {name} does not stand on lines of its own; take it out by hand")
    files.write_text(path, remaining)
    return device


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
    if fault := _transport_fault(entry.get("transport", Device.transport)):
        faults.append(f"{name}.transport = {fault}")
    runtime = entry.get("runtime", Device.runtime)
    if runtime not in (names := runtimes.names()):
        return [*faults, f"{name}.runtime = {runtime}: must be {' or '.join(names)}"]
    options = entry.get("options", {})
    if not isinstance(options, dict):
        return [*faults, f"{name}.options = {options}: must be a section, such as {{}}"]
    option_faults = ((key, _option_fault(runtime, key, value)) for key, value in options.items())
    return [*faults, *(f"{name}.options.{key}{fault}" for key, fault in option_faults if fault)]


def _transport_fault(transport: Any) -> str | None:
    if transport == "local":
        return None
    if not isinstance(transport, str) or not transport.startswith("ssh://"):
        return f"{transport}: must be local or ssh://user@host:port, or ssh:// and an alias of ~/.ssh/config"
    try:
        Address.parse(transport)
    except DeviceError as error:
        # The message must not show a part that may be a secret.
        shown = f"ssh://...@{transport.rpartition('@')[2]}" if "@" in transport else transport
        return f"{shown}: {error}"
    return None


def _option_fault(runtime: str, key: Any, value: Any) -> str | None:
    known = runtimes.room_of(runtime).options
    if key not in known:
        return f": unknown key; {runtime} takes {', '.join(known)}"
    fits = type(value) is known[key] and not (isinstance(value, int) and value < 0)
    if not fits or value == "" or (isinstance(value, str) and "\0" in value):
        return f" = {value}: must be {KINDS[known[key]]}"
    return None
