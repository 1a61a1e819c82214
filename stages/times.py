"""Measure how long a model takes on a device by the widths of its layers, for `prune.mode: latency`.

Other modes, and other devices than `prune.device`, need no times: then the stage says so, and loads and measures nothing.
"""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, outputs


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--device", required=True, help="an entry of devices.yaml")
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--devices", type=Path, required=True, help="devices.yaml")
    parser.add_argument("--facts", type=Path, required=True, help="the device's facts file")
    parser.add_argument("--out", type=Path, required=True, help="the table to write")
    options, settings = command_line.parse(parser)
    if (settings.prune.mode, settings.prune.device) != ("latency", options.device):
        outputs.write_json(options.out, {"needed": False})
        print(f"{options.model} on {options.device}: not needed")
        return
    from gaitpress.timing.bench import Bench
    from gaitpress.timing.table import measured_table

    work = f"the times of {options.model}"
    with (
        Bench.find(options.device, options.devices, options.facts, work) as bench,
        measured_table(options.model, bench, settings, options.out) as table,
    ):
        outputs.write_json(options.out, table)
    error = table["error"]
    print(
        f"{options.model} on {options.device}: {len(table['networks'])} networks, {table['dense_ms']:.3g} ms in full; "
        f"a network that was left out is predicted within {100 * error['p90']:.1f} % in 9 of 10 cases"
    )


if __name__ == "__main__":
    command_line.run(main)
