"""The command line for devices: ``python -m remote`` with add, trust, check, probe, list and remove."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from remote import facts, inventory, runtimes
from remote.errors import DeviceError
from remote.inventory import Device


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    Raises:
        DeviceError: the inventory is wrong or a device cannot be looked at.
        SystemExit: with status 1 if a check finds a fault.
    """
    options = _parser().parse_args(arguments)
    if options.command == "list":
        show(options.devices, options.facts)
    elif options.command == "add":
        add(options.devices, options.name, options.target, options.runtime, options.option)
    elif options.command == "trust":
        from remote import trust

        trust.trust(inventory.find(options.devices, options.name), (lambda sentence: True) if options.yes else trust.ask)
    elif options.command == "check":
        sys.exit(not look_over(inventory.find(options.devices, options.name)))
    elif options.command == "remove":
        remove(options.devices, options.facts, options.name)
    else:
        refresh(options.devices, options.facts, options.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m remote", description="The devices that networks are measured on.")
    parser.add_argument("--devices", type=Path, default=Path("remote/devices.yaml"), help="default: %(default)s")
    parser.add_argument("--facts", type=Path, default=Path("remote/facts"), help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="show the devices and what is known of them")
    add = commands.add_parser("add", help="add a device to devices.yaml")
    add.add_argument("name", metavar="NAME", help="how params.yaml will call it: small letters, digits, - and _")
    add.add_argument(
        "target", metavar="TARGET", help="ssh://user@host:port, an alias of ~/.ssh/config, or local for this computer"
    )
    add.add_argument("--runtime", default=Device.runtime, choices=runtimes.names(), help="default: %(default)s")
    takes = "; ".join(f"{name}: {', '.join(runtimes.room_of(name).options)}" for name in runtimes.names())
    add.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help=f"a setting of the runtime ({takes})"
    )
    trust = commands.add_parser("trust", help="see a device's host key and make it known")
    trust.add_argument("--yes", action="store_true", help="accept the key that it shows without being asked")
    helps = {
        "check": "look a device over: what is there, what is missing, what to do about it",
        "probe": "look at a device again and remember what it is",
        "remove": "take a device out of devices.yaml",
    }
    for command in [trust, *(commands.add_parser(name, help=text) for name, text in helps.items())]:
        command.add_argument("name", metavar="NAME", help="an entry of devices.yaml")
    return parser


def add(devices: Path, name: str, target: str, runtime: str, settings: Sequence[str]) -> None:
    """Add a device to devices.yaml and say what comes next."""
    transport = target if target == "local" or "://" in target else f"ssh://{target}"
    options = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise DeviceError(f"--option {text}: must be KEY=VALUE")
        options[key] = inventory.option(runtime, key, value)
    inventory.add(devices, Device(name, transport, runtime, options))
    print(f"{devices}: added {name}; list it under `devices` in params.yaml to run its branch")
    if transport != "local":
        print(f"next: python -m remote trust {name}, then python -m remote check {name}")


def remove(devices: Path, directory: Path, name: str) -> None:
    """Take a device out of devices.yaml and say what stays."""
    device = inventory.remove(devices, name)
    print(f"{devices}: removed {name}; take it out of `devices` in params.yaml too")
    path = directory / f"{name}.json"
    stays = [f"its records, engines and scoutings (results/*/{name})", *([f"its facts ({path})"] if path.exists() else [])]
    if device.transport != "local":
        stays += ["its host key (~/.ssh/known_hosts)", "our files on it (~/.cache/gaitpress there, which may be removed)"]
    print(f"what stays: {', '.join(stays)}")


def look_over(device: Device) -> bool:
    """Print the findings of a check of a device; return whether it can be used."""
    from remote.check import check

    worst = 0
    for finding in check(device):
        print(f"{finding.verdict:<8} {finding.what:<12} {finding.text}", flush=True)
        worst = max(worst, ("ok", "warning", "fault").index(finding.verdict))
    print(f"{device.name}: {('ready', 'usable, with warnings', 'cannot be used like this')[worst]}")
    return worst < 2


def show(devices: Path, directory: Path) -> None:
    """Print a line for each device: name, transport, runtime and, once it is probed, its processor."""
    rows = [("NAME", "TRANSPORT", "RUNTIME", "FACTS")]
    for device in inventory.load(devices).values():
        path = directory / f"{device.name}.json"
        processor = _in_words(facts.read(path, device.name)) if path.exists() else "not probed yet"
        rows.append((device.name, device.transport, device.runtime, processor))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))


def refresh(devices: Path, directory: Path, name: str) -> None:
    """Look at a device and write its facts; say what changed."""
    path = directory / f"{name}.json"
    with runtimes.runtime_on(inventory.find(devices, name), "a look at the device") as runtime:
        now = runtime.facts()
    changes = facts.differences(facts.read(path, name), now) if path.exists() else ""
    facts.write(path, now)
    print(f"{path}: {_in_words(now)}")
    if changes:
        print(f"changed: {changes}; the next `dvc repro` builds and measures again on {name}")


def _in_words(known: dict) -> str:
    return f"{known.get('cpu')}, {known.get('cores')} cores, {known.get('runtime')} {known.get('runtime_version')}"


def _terminated(*_: object) -> NoReturn:
    raise SystemExit("error: terminated")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # so that what was begun on the device is put back
    try:
        main()
    except (DeviceError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
