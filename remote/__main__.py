"""The command line for devices: ``python -m remote list``, ``add NAME`` and ``probe NAME``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from remote import facts, inventory
from remote.errors import DeviceError
from remote.inventory import Device
from remote.runtimes import runtime_for


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    Raises:
        DeviceError: the inventory is wrong or a device cannot be looked at.
    """
    parser = argparse.ArgumentParser(prog="python -m remote", description="The devices that networks are measured on.")
    parser.add_argument("--devices", type=Path, default=Path("remote/devices.yaml"), help="default: %(default)s")
    parser.add_argument("--facts", type=Path, default=Path("remote/facts"), help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="show the devices and what is known of them")
    add = commands.add_parser("add", help="add a device to devices.yaml")
    add.add_argument("name", metavar="NAME", help="how params.yaml will call it: small letters, digits, - and _")
    add.add_argument("--transport", default=Device.transport, choices=inventory.TRANSPORTS, help="default: %(default)s")
    add.add_argument("--runtime", default=Device.runtime, choices=inventory.RUNTIMES, help="default: %(default)s")
    probe = commands.add_parser("probe", help="look at a device again and remember what it is")
    probe.add_argument("name", metavar="NAME", help="an entry of devices.yaml")
    options = parser.parse_args(arguments)
    if options.command == "list":
        show(options.devices, options.facts)
    elif options.command == "add":
        inventory.add(options.devices, Device(options.name, options.transport, options.runtime))
        print(f"{options.devices}: added {options.name}; list it under `devices` in params.yaml to run its branch")
    else:
        refresh(options.devices, options.facts, options.name)


def show(devices: Path, directory: Path) -> None:
    """Print one line a device: name, transport, runtime and its processor if it has been probed."""
    rows = [("NAME", "TRANSPORT", "RUNTIME", "FACTS")]
    for device in inventory.load(devices).values():
        path = directory / f"{device.name}.json"
        known = _in_words(facts.read(path, device.name)) if path.exists() else "not probed yet"
        rows.append((device.name, device.transport, device.runtime, known))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))


def refresh(devices: Path, directory: Path, name: str) -> None:
    """Look at a device and write its facts; say what changed."""
    path = directory / f"{name}.json"
    now = runtime_for(inventory.find(devices, name)).facts()
    changes = facts.differences(facts.read(path, name), now) if path.exists() else ""
    facts.write(path, now)
    print(f"{path}: {_in_words(now)}")
    if changes:
        print(f"changed: {changes}; the next `dvc repro` builds and measures again on {name}")


def _in_words(known: dict) -> str:
    return f"{known.get('cpu')}, {known.get('cores')} cores, {known.get('runtime')} {known.get('runtime_version')}"


if __name__ == "__main__":
    try:
        main()
    except (DeviceError, OSError) as error:
        sys.exit(f"error: {error}")
