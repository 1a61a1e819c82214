"""Train a pruned model for a while longer, so that it recovers.

It goes on from its last checkpoint, and may run in several processes, as `stages.train` does.
"""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, inputs, outputs, sessions
from gaitpress import settings as made_with
from gaitpress.frameworks import framework
from gaitpress.trainers import sentence, tested, trainer


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=command_line.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--pruned", type=Path, required=True, help="the pruned model (results/prune/<model>/p<percentile>)")
    inputs.add_training(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: the model, history.json, metrics.json")
    options, settings = command_line.parse(parser)
    entry = settings.entry(options.model)
    sessions.in_processes(settings.train.processes if entry.framework == "torch" else 1)
    training_set, store = inputs.open_training(options.training, options.preprocessed)
    earlier_settings = inputs.of_same_training(options.pruned, training_set, store)
    library, training_loop = framework(entry.framework), trainer(entry.framework)
    library.use_threads(settings.threads.finetune)
    model = library.load(options.pruned)
    schedule = settings.finetune[options.model]
    name = f"finetune/{options.model}/p{options.percentile}"
    uses = {"model": entry.model_dump(), "schedule": schedule.model_dump(), "threads": settings.threads.finetune}
    files, validation = [options.training, options.pruned], training_set.validation()
    with sessions.session(training_loop, name, settings, options.model, options.out, uses, files, validation) as session:
        history = training_loop.finetune(model, store, training_set.train, entry, schedule, session.phase(library, model))
        if not session.processes.first:
            return
        metrics = {"params": library.parameters(model), **tested(entry, history)}
        with outputs.new_directory(options.out) as out:
            library.save(model, out)
            outputs.write_json(out / "history.json", history)
            outputs.write_json(out / "metrics.json", metrics)
            made_with.write(out, earlier_settings, finetune=schedule.model_dump(mode="json"))
    print(f"{options.model}: {metrics['params']} parameters{sentence(metrics, history)}")


if __name__ == "__main__":
    command_line.run(main)
