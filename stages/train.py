"""Train the dense model of one entry of `model` in params.yaml and measure its rank-1."""

from __future__ import annotations

from pathlib import Path

from gait.evaluation.protocols import evaluate
from stages import inputs, io
from stages.frameworks import framework


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    inputs.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the model, history.json, metrics.json")
    options, settings = io.parse(parser)
    entry = inputs.entry_of(settings, options.model)
    partition, store = inputs.open_data(options.partition, options.preprocessed)
    library = framework(entry.framework)
    library.use_threads(settings.threads.train)
    classes = len({store.sequences[position].identity for position in partition.train})
    model = library.build(options.model, entry, classes)
    with io.new_directory(options.out) as out:
        history = library.fit(model, store, partition.train, entry)
        io.write_json(out / "history.json", history)
        library.save(model, out)
        signatures = library.embed(model, store, partition.test)
        found = evaluate(signatures, store.sequences, partition, threads=settings.threads.train)
        io.write_json(out / "metrics.json", {**found, "params": library.parameters(model)})
    print(f"{options.model}: mean rank-1 {found['rank1_mean']:.1f} %")


if __name__ == "__main__":
    io.run(main)
