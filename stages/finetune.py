"""Train a pruned model for a while longer, so that it recovers, and measure its rank-1."""

from __future__ import annotations

from pathlib import Path

from gait.evaluation.protocols import evaluate
from stages import inputs, io
from stages.frameworks import framework


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=io.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--pruned", type=Path, required=True, help="the pruned model (results/prune/<model>/p<percentile>)")
    inputs.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the model, history.json, metrics.json")
    options, settings = io.parse(parser)
    entry = inputs.entry_of(settings, options.model)
    partition, store = inputs.open_data(options.partition, options.preprocessed)
    library = framework(entry.framework)
    library.use_threads(settings.threads.finetune)
    model = library.load(options.pruned)
    with io.new_directory(options.out) as out:
        history = library.finetune(model, store, partition.train, entry, settings.finetune[options.model])
        io.write_json(out / "history.json", history)
        library.save(model, out)
        signatures = library.embed(model, store, partition.test)
        found = evaluate(signatures, store.sequences, partition, threads=settings.threads.finetune)
        io.write_json(out / "metrics.json", {**found, "params": library.parameters(model)})
    print(f"{options.model}: mean rank-1 {found['rank1_mean']:.1f} %")


if __name__ == "__main__":
    io.run(main)
