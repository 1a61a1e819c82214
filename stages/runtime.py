"""Name the code that builds, times and tests engines on a device, so that an edit for another runtime repeats nothing."""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, naming, outputs, runtime_code
from remote import inventory

TEGRA = Path("/etc/nv_tegra_release")  # every Jetson has it


def code_on(device: inventory.Device, is_jetson: bool) -> dict[str, str]:
    """The sha256 of each file of Gaitpress that works on a device, by its path.

    Args:
        device: an entry of devices.yaml.
        is_jetson: whether this machine is a Jetson.
    """
    # A board with ONNX Runtime has power sensors too; a computer's energy is counted by its processor.
    sensors = runtime_code.SENSORS if device.transport != "local" or is_jetson else ()
    return naming.digests([*runtime_code.of(device.runtime), *sensors])


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--device", required=True, help="an entry of devices.yaml")
    parser.add_argument("--devices", type=Path, required=True, help="devices.yaml")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write (data/runtime/<device>.json)")
    options, _ = command_line.parse(parser)
    device = inventory.find(options.devices, options.device)
    outputs.write_json(options.out, code_on(device, TEGRA.exists()))
    print(f"{options.device}: {device.runtime}")


if __name__ == "__main__":
    command_line.run(main)
