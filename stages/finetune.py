"""Train a pruned model for a while longer, so that it recovers, and measure its rank-1.

It goes on from its last checkpoint, and in several processes, as `stages.train` does.
"""

from __future__ import annotations

from pathlib import Path

from gait.evaluation.protocols import evaluate
from stages import inputs, io, training
from stages import settings as made_with
from stages.frameworks import framework, trainer


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=io.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--pruned", type=Path, required=True, help="the pruned model (results/prune/<model>/p<percentile>)")
    inputs.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the model, history.json, metrics.json")
    options, settings = io.parse(parser)
    entry = inputs.entry_of(settings, options.model)
    training.in_processes(settings.train.processes if entry.framework == "torch" else 1)
    partition, store = inputs.open_data(options.partition, options.preprocessed)
    before = inputs.of_same_data(options.pruned, partition, store)
    library, trains = framework(entry.framework), trainer(entry.framework)
    library.use_threads(settings.threads.finetune)
    model = library.load(options.pruned)
    schedule = settings.finetune[options.model]
    name = f"finetune/{options.model}/p{options.percentile}"
    uses = {"model": entry.model_dump(), "schedule": schedule.model_dump(), "threads": settings.threads.finetune}
    files = [options.partition, options.pruned]
    with training.session(trains, name, settings, options.model, options.out, uses, files) as session:
        history = trains.finetune(model, store, partition.train, entry, schedule, session.phase(library, model))
        signatures = trains.embed(model, store, partition.test, session.processes)
        if not session.processes.first:
            return
        found = evaluate(signatures, store.sequences, partition, threads=settings.threads.finetune)
        with io.new_directory(options.out) as out:
            library.save(model, out)
            io.write_json(out / "history.json", history)
            metrics = {**found, "distance": partition.distance, "params": library.parameters(model)}
            io.write_json(out / "metrics.json", metrics)
            made_with.write(out, before, finetune=schedule.model_dump(mode="json"))
    print(f"{options.model}: mean rank-1 {found['rank1']['mean']:.1f} % by {partition.distance} distance")


if __name__ == "__main__":
    io.run(main)
