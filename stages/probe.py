"""Look at a device and keep the facts that engines on it depend on: processor, system, runtime and its version.

It runs once for each device. Later stages refuse a device that has changed, and print the command that looks at it again.
"""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, outputs
from remote import facts, inventory
from remote.runtimes import runtime_on


def probe(device: str, devices: Path, out: Path) -> None:
    """Write the facts of a device of devices.yaml to a JSON file."""
    # What it installs there for one entry, another entry of the same machine may use.
    with runtime_on(inventory.find(devices, device), "a look at the device") as runtime:
        device_facts = runtime.facts()
    with outputs.new_file(out) as partial:
        facts.write(partial, device_facts)
    runtime_name = f"{device_facts['runtime']} {device_facts['runtime_version']}"
    print(f"{device}: {device_facts['cpu']}, {device_facts['cores']} cores, {runtime_name}")


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--device", required=True, help="an entry of devices.yaml")
    parser.add_argument("--devices", type=Path, required=True, help="devices.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the facts file to write")
    options, _ = command_line.parse(parser)
    probe(options.device, options.devices, options.out)


if __name__ == "__main__":
    command_line.run(main)
