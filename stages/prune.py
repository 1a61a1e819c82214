"""Remove the least important filters of a trained model at one percentile, and prove that nothing else changed.

With `prune.reconstruct` the stage then solves anew the layers that read removed filters, so that on training data they give
what they gave before. It opens training data only if the stage `needs` says that the criterion or this needs them.

In `mode: latency` the percentile is a share of the full network's time on `prune.device`, by the table of the stage `times`.
"""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from compress.errors import CompressionError
from compress.pruning import report
from compress.pruning.select import PruneSettings, Selection
from gaitpress import command_line, inputs, outputs
from gaitpress import settings as made_with
from gaitpress.errors import StageError
from gaitpress.frameworks import framework
from gaitpress.params.prune import Prune
from gaitpress.surgery import surgery
from gaitpress.time_target import TimeTarget, time_warnings
from gaitpress.trainers import trainer

TOLERANCE = 1e-10  # of the greatest output; both frameworks are compared in float64
PROOF_SAMPLES, PROOF_FRAMES = 2, 9  # enough frames to differ over time, for networks that take any number
TIMES = Path("results/times")
NOT_USED_AS_PUBLISHED = ("criterion", "scope", "round_to", "keep_min", "reconstruct")
CALIBRATION_BATCHES = 4  # training batches on which layers are reconstructed


def reconstruction(framework_name: str) -> ModuleType:
    """The module that reconstructs pruned models of a framework."""
    return importlib.import_module(f"compress.pruning.{framework_name}_reconstruction")


def prune_settings(settings: Prune, percentile: float, seed: int, target: TimeTarget | None = None) -> PruneSettings:
    """The section ``prune`` of params.yaml for one of its percentiles, as the settings that `compress` takes."""
    widths = target.widths if target else None
    chosen = settings.model_dump(exclude={"percentiles", "reconstruct", "device"})
    return PruneSettings(percentile=percentile, seed=seed, widths=widths, **chosen)


def training_batches(dense: Any, entry: Any, options: Namespace) -> Iterable[Any]:
    """Batches of the training of a model, with their losses.

    Raises:
        StageError: the command line does not say where the data are, or the model was trained with others.
    """
    if options.training is None or options.preprocessed is None:
        raise StageError(
            "prune.criterion or prune.reconstruct needs training data: say where with --training and --preprocessed"
        )
    training_set, store = inputs.open_training(options.training, options.preprocessed)
    inputs.of_same_training(options.dense, training_set, store)
    batches: Iterable[Any] = trainer(entry.framework).gradient_batches(dense, store, training_set.train, entry)
    return batches


def proof_shape(library: Any, model: Any, entry: Any) -> tuple[int, ...]:
    """The shape of the random input on which the pruned and the masked network are compared."""
    sizes = library.input_shape(model, entry, dynamic_frames=True)[1:]
    return (PROOF_SAMPLES, *(size if isinstance(size, int) else PROOF_FRAMES for size in sizes))


def summary(settings: Prune, selections: Mapping[str, Selection]) -> list[str]:
    """Lines that tell the user which settings had no effect, and which layers were spared."""
    lines = []
    if settings.mode == "published":
        unused = ", ".join(f"prune.{key}" for key in NOT_USED_AS_PUBLISHED)
        lines.append(f"mode published: the study's own algorithm; not used: {unused}")
    if settings.spare:
        spared = [" with ".join(selection.units) for selection in selections.values() if selection.spared]
        lines.append(
            f"spared: {', '.join(spared) or 'none; no layer of this model is called ' + ' or '.join(settings.spare)}"
        )
    return lines


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument(
        "--percentile", type=command_line.number, required=True, help="how much to remove: filters scoring below, or time"
    )
    parser.add_argument("--dense", type=Path, required=True, help="the trained model (results/train/<model>)")
    inputs.add_training(parser, required=False)
    parser.add_argument(
        "--times",
        type=Path,
        default=TIMES,
        help=f"tables of times, by device and model, for mode latency (default: {TIMES})",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the model, pruning.json, metrics.json")
    options, settings = command_line.parse(parser)
    if not 0 <= options.percentile < 100:
        raise StageError(f"--percentile {options.percentile:g}: must be at least 0 and less than 100")
    entry = settings.entry(options.model)
    library = framework(entry.framework)
    library.use_threads(1)
    dense = library.load(options.dense)
    target = TimeTarget.read(options.times, options.model, options.percentile, settings.prune)
    how = prune_settings(settings.prune, options.percentile, entry.seed, target)
    framework_surgery = surgery(entry.framework)
    batches = training_batches(dense, entry, options) if how.measures_data else ()
    pruned, selections = framework_surgery.prune(dense, how, batches)
    error = framework_surgery.proof_error(dense, pruned, selections, proof_shape(library, dense, entry))
    if not error <= TOLERANCE:
        raise CompressionError(
            f"{options.model}: the pruned network differs from the masked one by {error:.2g} of its greatest output; "
            "its layers depend on each other in a way that was not followed"
        )
    errors: dict[str, dict[str, float]] = {}
    if settings.prune.reconstructs:
        calibration = [batch for batch, _ in islice(training_batches(dense, entry, options), CALIBRATION_BATCHES)]
        errors = reconstruction(entry.framework).reconstruct(dense, pruned, selections, calibration, entry.seed)
    rows = report.layer_rows(library.layers(dense, entry), library.layers(pruned, entry), selections)
    time = target.reached(selections) if target else None
    removed = round(report.average_removed(selections), 1) if target else options.percentile
    totals, collapsed = report.totals(rows), report.warnings(selections, removed)
    warnings = [*collapsed, *(time_warnings(time) if time else ())]
    layers = {
        name: {
            "before": chosen.filters,
            "after": len(chosen.kept),
            "threshold": chosen.threshold,
            "spared": chosen.spared,
            "units": chosen.units,
        }
        for name, chosen in selections.items()
    }
    with outputs.new_directory(options.out) as out:
        library.save(pruned, out)
        pruning_facts = {"percentile": options.percentile, "mode": how.mode, "proof_error": error, "warnings": warnings}
        pruning_facts |= {"reconstruction": errors, **({"time": time} if time else {})}
        outputs.write_json(out / "pruning.json", {**pruning_facts, "layers": layers, "table": rows, "totals": totals})
        # Figures after pruning have plain names, as in the metrics of other stages.
        metrics = {key.removesuffix("_after"): value for key, value in totals.items()}
        outputs.write_json(out / "metrics.json", {**metrics, "proof_error": error, "collapsed_layers": len(collapsed)})
        chosen = {"percentile": options.percentile, **settings.prune.model_dump(mode="json", exclude={"percentiles"})}
        made_with.write(out, made_with.read(options.dense), prune=chosen)
    for line in summary(settings.prune, selections):
        print(line)
    print(report.table(rows))
    print(f"equal to the masked network within {error:.1g} of its greatest output")
    if time:
        print("{device}: {predicted_ms:.4g} ms predicted, {asked_ms:.4g} asked for, {dense_ms:.4g} in full".format(**time))
    for name, error_of_layer in errors.items():
        shares = f"{100 * error_of_layer['before']:.1f} % of its outputs -> {100 * error_of_layer['after']:.1f} %"
        print(f"reconstructed {name}: error {shares}")
    for warning in warnings:
        print(f"warning: {options.model}, percentile {options.percentile:g}: {warning}", file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
