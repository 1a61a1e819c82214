"""Remove the least important filters of a trained model at one percentile, and prove that nothing else changed."""

from __future__ import annotations

import importlib
from pathlib import Path

from compress.errors import CompressionError
from compress.pruning.select import PruneSettings
from stages import inputs, io
from stages.frameworks import framework

TOLERANCE = 1e-4  # of the greatest output, in fp32; PyTorch models are compared in fp64


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=io.number, required=True, help="filters scoring below this percentile go")
    parser.add_argument("--dense", type=Path, required=True, help="the trained model (results/train/<model>)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the model, pruning.json, metrics.json")
    options, settings = io.parse(parser)
    if not 0 <= options.percentile < 100:
        raise io.StageError(f"--percentile {options.percentile:g}: must be at least 0 and less than 100")
    entry = inputs.entry_of(settings, options.model)
    library = framework(entry.framework)
    library.use_threads(1)
    dense = library.load(options.dense)
    how = PruneSettings(
        options.percentile,
        settings.prune.criterion,
        settings.prune.scope,
        settings.prune.round_to,
        settings.prune.keep_min,
    )
    surgery = importlib.import_module(f"compress.pruning.{entry.framework}_surgery")
    pruned, selections = surgery.prune(dense, how)
    error = surgery.proof_error(dense, pruned, selections, (2, *library.benchmark_shape(dense, entry)[1:]))
    if not error <= TOLERANCE:
        raise CompressionError(
            f"{options.model}: the pruned network differs from the masked one by {error:.2g} of its greatest output; "
            "its layers depend on each other in a way that was not followed"
        )
    layers = {
        name: {"before": chosen.filters, "after": len(chosen.kept), "threshold": chosen.threshold}
        for name, chosen in selections.items()
    }
    before, after = library.parameters(dense), library.parameters(pruned)
    with io.new_directory(options.out) as out:
        library.save(pruned, out)
        io.write_json(out / "pruning.json", {"layers": layers, "percentile": options.percentile, "proof_error": error})
        metrics = {"params": after, "params_before": before, "proof_error": error}
        metrics["filters"] = sum(layer["after"] for layer in layers.values())
        metrics["filters_before"] = sum(layer["before"] for layer in layers.values())
        io.write_json(out / "metrics.json", metrics)
    print(f"{'layer':12} before  after")
    for name, layer in layers.items():
        print(f"{name:12} {layer['before']:6} {layer['after']:6}")
    print(f"parameters {before} -> {after}; equal to the masked network within {error:.1g}")


if __name__ == "__main__":
    io.run(main)
