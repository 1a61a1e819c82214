"""Train the dense model of one entry of `model` in params.yaml, or take its weights from a file, and measure its rank-1.

With `init` in the entry, training starts from the weights of that file; with no iterations (epochs) they stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gait.evaluation.protocols import evaluate
from gait.models import imported
from stages import inputs, io
from stages.frameworks import framework, multiply_adds
from stages.params import Init, Model


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    inputs.add_options(parser)
    out_help = "folder to write: the model, layers.json, history.json, metrics.json"
    parser.add_argument("--out", type=Path, required=True, help=out_help)
    options, settings = io.parse(parser)
    entry = inputs.entry_of(settings, options.model)
    partition, store = inputs.open_data(options.partition, options.preprocessed)
    library = framework(entry.framework)
    library.use_threads(settings.threads.train)
    classes = len({store.sequences[position].identity for position in partition.train})
    model, history = None, []
    with io.new_directory(options.out) as out:
        for phase in entry.phases():
            model = _network(library, options.model, phase, classes, model)
            history += library.fit(model, store, partition.train, phase)
        io.write_json(out / "history.json", history)
        library.save(model, out)
        layers = library.layers(model, entry)
        io.write_json(out / "layers.json", layers)
        signatures = library.embed(model, store, partition.test)
        found = evaluate(signatures, store.sequences, partition, threads=settings.threads.train)
        metrics = {**found, "params": library.parameters(model), "macs": multiply_adds(layers)}
        io.write_json(out / "metrics.json", metrics)
    print(f"{options.model}: mean rank-1 {found['rank1_mean']:.1f} %")


def _network(library: Any, name: str, entry: Model, classes: int, previous: Any) -> Any:
    """The network of one phase of training, with the weights of the phase before, of the entry's file, or fresh ones."""
    model = library.build(name, entry, classes)
    if previous is not None:
        library.carry_over(model, previous)
    elif entry.init is not None:
        start = Init(path=entry.init) if isinstance(entry.init, str) else entry.init
        for note in imported.load_into(model, Path(start.path), start.bnneck):
            print(f"{start.path}: {note}")
    return model


if __name__ == "__main__":
    io.run(main)
