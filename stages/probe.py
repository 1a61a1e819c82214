"""Look at a device and remember what engines on it depend on: processor, system, runtime and its version.

Runs once a device; a device that changes is refused later, with the command that looks at it again.
"""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, outputs
from remote import facts, inventory
from remote.runtimes import runtime_on


def probe(device: str, devices: Path, out: Path) -> None:
    """Write the facts of a device of devices.yaml to a JSON file."""
    with runtime_on(inventory.find(devices, device)) as runtime:
        found = runtime.facts()
    with outputs.new_file(out) as partial:
        facts.write(partial, found)
    print(f"{device}: {found['cpu']}, {found['cores']} cores, {found['runtime']} {found['runtime_version']}")


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--device", required=True, help="an entry of devices.yaml")
    parser.add_argument("--devices", type=Path, required=True, help="devices.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the facts file to write")
    given, _ = command_line.parse(parser)
    probe(given.device, given.devices, given.out)


if __name__ == "__main__":
    command_line.run(main)
