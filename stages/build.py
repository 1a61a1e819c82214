"""Build a network's engine on a device.

A network that the device's runtime refuses is a result: build.json then says ``status: failed`` and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitpress import command_line, forms, outputs, params, variant
from gaitpress.errors import StageError
from remote import compatibility, facts, inventory, runtimes


def file_for(device_facts: Mapping[str, Any], quantized: Path) -> str:
    """The name of the network's file that a device takes.

    Args:
        device_facts: facts of the device.
        quantized: directory with the network's files.
    """
    names = runtimes.room_of(device_facts["runtime"]).files(device_facts)
    return next((file for file in names if (quantized / file).exists()), names[-1])


def build(
    device: str, devices: Path, recorded: Path, precision: str, quantized: Path, out: Path, settings: params.Params
) -> None:
    """Build a network's engine into the directory ``out`` from the file that fits the device's runtime.

    Args:
        device: an entry of devices.yaml.
        devices: devices.yaml.
        recorded: the device's facts file, which must still hold.
        precision: precision of the network.
        quantized: directory with the network's files.
        out: directory to write: the engine, build.json and metrics.json.
        settings: params.yaml.
    """
    device_facts = facts.read(recorded, device)
    onnx = quantized / file_for(device_facts, quantized)
    if not onnx.exists():
        raise StageError(f"{onnx}: no such file; run `dvc repro` to make it")
    work = f"the build of {quantized.parent.name}/{quantized.name}"
    with runtimes.runtime_on(inventory.find(devices, device), work) as runtime, outputs.new_directory(out) as partial:
        facts.check(device, device_facts, runtime.facts())
        compatibility.check_file(device_facts, onnx)
        signature = forms.described(quantized, onnx.name)
        shape = [settings.benchmark.batch, *signature["benchmark_shape"][1:]]
        built = runtime.build(onnx, partial, precision, settings.threads.build, shape, signature["max_batch"])
        measured = {"seconds": built["seconds"], "bytes": built["bytes"], "onnx_bytes": built["onnx_bytes"]}
        numbers = {key: value for key, value in measured.items() if value is not None}
        outputs.write_json(partial / "metrics.json", {**numbers, "ok": int(built["status"] == "ok")})
    if built["status"] == "ok":
        print(f"{out}: {built['bytes'] / 1e6:.2f} MB in {built['seconds']:.1f} s")
    else:
        print(f"{out}: {built['status']}: {built['reason']}")


def main() -> None:
    parser = command_line.parser(__doc__)
    variant.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    options, settings = command_line.parse(parser)
    build(options.device, options.devices, options.facts, options.precision, options.quantized, options.out, settings)


if __name__ == "__main__":
    command_line.run(main)
