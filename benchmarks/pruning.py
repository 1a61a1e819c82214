"""How long it takes to prune each model at the size of its publication, and how exact the result is.

`seconds` is choosing and removing half of every layer's filters, on one core, and `proof_seconds` is comparing the result
with the masked network in float64, which the stage always does. `limit_ratio` is the time to copy the model's weights once,
which any pruning must do, divided by `seconds`. `max_error` is the greatest difference that the proof found, relative to
the greatest output. Weights are fresh.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gaitpress import params
from gaitpress.frameworks import framework
from gaitpress.surgery import surgery
from stages.prune import proof_shape, prune_settings

PERCENTILE, CLASSES = 50, 74


def measure(name: str, settings: params.Params) -> dict[str, Any]:
    """One row, of a model at width 1."""
    entry = settings.model[name].phases()[-1].model_copy(update={"width": 1})
    library = framework(entry.framework)
    library.use_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        library.save(library.build(name, entry, CLASSES), Path(folder))
        dense = library.load(Path(folder))  # as the stage has it: for inference
    framework_surgery = surgery(entry.framework)
    start = time.perf_counter()
    pruned, selections = framework_surgery.prune(dense, prune_settings(settings.prune, PERCENTILE, entry.seed))
    removed = time.perf_counter()
    error = framework_surgery.proof_error(dense, pruned, selections, proof_shape(library, dense, entry))
    proved = time.perf_counter()
    weights = library.parameters(dense)
    return {
        "model": name,
        "seconds": round(removed - start, 3),
        "proof_seconds": round(proved - removed, 3),
        "limit_ratio": round(_copying_s(weights) / (removed - start), 3),
        "max_error": error,
        "params_before": weights,
        "params_after": library.parameters(pruned),
    }


def _copying_s(weights: int) -> float:
    values = np.zeros(weights, np.float32)
    start = time.perf_counter()
    values.copy()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON list")
    options = parser.parse_args()
    settings = params.load(Path("params.yaml"))
    rows = []
    for name in settings.model:
        rows.append(measure(name, settings))
        if not options.json:
            row = rows[-1]
            print(f"{name:12} {row['seconds']:7.2f} s, proof {row['proof_seconds']:7.2f} s, error {row['max_error']:.1e}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
