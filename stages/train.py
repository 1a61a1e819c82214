"""Train the dense model of one entry of `model` in params.yaml, or take its weights from a file.

With `init` in the entry, training starts from the weights of that file; with no iterations (epochs) they stay as they are.
An interrupted training goes on from its last checkpoint when the same command runs again. With more than one
process under `train.processes`, or started by `torchrun -m stages.train ...`, several train together.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gait import imported
from gait.imported import files as imported_files
from gaitpress import command_line, inputs, outputs, sessions
from gaitpress import settings as made_with
from gaitpress.frameworks import framework, multiply_adds
from gaitpress.params.model import Init, Model
from gaitpress.trainers import sentence, tested, trainer


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    inputs.add_training(parser)
    out_help = "folder to write: the model, layers.json, history.json, metrics.json"
    parser.add_argument("--out", type=Path, required=True, help=out_help)
    options, settings = command_line.parse(parser)
    entry = settings.entry(options.model)
    sessions.in_processes(settings.train.processes if entry.framework == "torch" else 1)
    training_set, store = inputs.open_training(options.training, options.preprocessed)
    library, training_loop = framework(entry.framework), trainer(entry.framework)
    library.use_threads(settings.threads.train)
    classes = len({store.sequences[position].identity for position in training_set.train})
    model, rows, history = None, [], []
    start = _init(entry)
    init_facts = start and {"path": start.path, "sha256": _sha256(imported_files.in_folder(Path(start.path)))}
    files = [options.training] + ([Path(start.path)] if start else [])
    uses = {"model": entry.model_dump(), "threads": settings.threads.train}
    name = f"train/{options.model}"
    validation = training_set.validation()
    with sessions.session(training_loop, name, settings, options.model, options.out, uses, files, validation) as session:
        for phase in entry.phases():
            model = _network(library, options.model, phase, classes, model)
            rows = training_loop.fit(model, store, training_set.train, phase, session.phase(library, model))
            history += rows
        if not session.processes.first:
            return
        layers = library.layers(model, entry)
        metrics = {"params": library.parameters(model), "macs": multiply_adds(layers), **tested(entry, rows)}
        with outputs.new_directory(options.out) as out:
            library.save(model, out)
            outputs.write_json(out / "history.json", history)
            outputs.write_json(out / "layers.json", layers)
            outputs.write_json(out / "metrics.json", metrics)
            made_with.write(
                out,
                {},
                data=inputs.facts(training_set, store),
                model=entry.model_dump(mode="json"),
                origin={"init": init_facts, "trained": bool(history)},
            )
    words = f"{metrics['params']} parameters, {metrics['macs']} multiply-adds an inference{sentence(metrics, rows)}"
    print(f"{options.model}: {words}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _init(entry: Model) -> Init | None:
    return Init(path=entry.init) if isinstance(entry.init, str) else entry.init


def _network(library: Any, name: str, entry: Model, classes: int, previous: Any) -> Any:
    """The network of one phase of training, with the weights of the phase before, of the entry's file, or fresh ones."""
    model = library.build(name, entry, classes)
    if previous is not None:
        library.carry_over(model, previous)
    elif start := _init(entry):
        for note in imported.load_into(model, Path(start.path), start.bnneck):
            print(f"{start.path}: {note}")
    return model


if __name__ == "__main__":
    command_line.run(main)
