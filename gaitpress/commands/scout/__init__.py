"""Say which pruning percentiles make a model faster on a device, before anything is trained.

    python -m gaitpress scout --device local
    python -m gaitpress scout --device local --model gaitset --step 2

The command makes each model with fresh weights, prunes it at a grid of percentiles by params.yaml's prune settings, exports
it, and builds and measures it on the device. It prints the latency staircase, and last the percentiles that are worth
fine-tuning. The figures are in results/scout/<device>/<model>.json, a picture beside them. An interrupted run goes on where
it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaitpress import command_line, outputs, params
from gaitpress.commands.scout import plot, summary
from gaitpress.commands.scout.measure import scout
from gaitpress.errors import StageError
from gaitpress.timing.bench import Bench

DEVICES, FACTS, OUT = Path("remote/devices.yaml"), Path("remote/facts"), Path("results/scout")


def grid(step: int | float) -> list[int | float]:
    """Percentiles from 0 to below 100; whole numbers stay whole.

    Raises:
        StageError: the step is below 0.1 or not below 100.
    """
    if not 0.1 <= step < 100:
        raise StageError(f"--step {step:g}: must be at least 0.1 and less than 100")
    values = [round(number * step, 6) for number in range(int(100 / step) + 1)]
    return [int(value) if value == int(value) else value for value in values if value < 100]


def scout_model(model: str, percentiles: Sequence[int | float], bench: Bench, settings: params.Params) -> dict[str, Any]:
    """Measure a model and write its files, whole or not at all; returns what the JSON file holds."""
    path = OUT / bench.device.name / f"{model}.json"
    with scout(model, percentiles, bench, settings, path) as scouted:
        figures = summary.result(model, scouted, bench, settings)
        with outputs.new_file(path.with_suffix(".png")) as partial:
            plot.write_png(partial, figures)
        outputs.write_json(path, figures)
    return figures


def main() -> None:
    parser = command_line.parser(__doc__, command="scout")
    parser.add_argument("--device", required=True, help="an entry of remote/devices.yaml")
    parser.add_argument("--model", nargs="+", help="entries of `model` in params.yaml (default: those under `models`)")
    parser.add_argument("--step", type=command_line.number, default=5, help="from one percentile to the next (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a JSON object, the figures by model, last, on one line")
    options, settings = command_line.parse(parser)
    percentiles = grid(options.step)
    if settings.prune.mode == "latency":
        raise StageError(
            "prune.mode = latency: its percentiles are shares of the time on prune.device, so each is faster than the one "
            "before; scout with mode: percentile"
        )
    models = list(dict.fromkeys(options.model or settings.models))
    for model in models:
        settings.entry(model)
    results = {}
    with Bench.find(options.device, DEVICES, FACTS / f"{options.device}.json", "scouting") as bench:
        for model in models:
            results[model] = scout_model(model, percentiles, bench, settings)
            print(f"{summary.table(results[model])}\n" if model != models[-1] else summary.table(results[model]), flush=True)
    if options.json:
        print(json.dumps(results))
