"""Compare the code that each stage of dvc.yaml lists under ``deps`` with the code that it imports.

DVC runs a stage again when content changes, and code is content: a stage must list every module of this repository that it
runs, and no other. A listed folder stands for all modules in it.

    python -m workflow.code_deps

prints what is missing or superfluous, and ends with status 1 if anything is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gait.data.readers import LAYOUTS
from gaitpress import naming, runtime_code
from remote import runtimes
from workflow.dvc.stages import read_yaml

PACKAGES = ("compress", "gait", "gaitpress", "remote", "report", "stages", "tracking")
MODEL = "gait/models/${item.model}.py"
CRITERION = "compress/pruning/criteria/${prune.criterion}.py"
FRAMEWORKS = ("torch", "keras")
# The files that no import statement shows: modules imported by name, files run as programs, templates.
BY_NAME = {
    "gait/data/readers/__init__.py": tuple(f"gait/data/readers/{layout.replace('-', '_')}.py" for layout in LAYOUTS),
    "gaitpress/frameworks/__init__.py": ("gaitpress/frameworks/torch_models.py", "gaitpress/frameworks/keras_models.py"),
    "gaitpress/frameworks/torch_models.py": (MODEL,),
    "gait/networks/keras_model.py": (MODEL,),
    "gait/networks/torch_model.py": (MODEL,),
    "gaitpress/embedders/__init__.py": tuple(f"gaitpress/embedders/{name}_embedder.py" for name in FRAMEWORKS),
    "gaitpress/trainers/__init__.py": (),  # the stage partition names the trainer of each model
    "gaitpress/__main__.py": (),  # no stage runs a command
    "gaitpress/commands/promote/gaitpress_model.py": (),
    "gait/protocols/__init__.py": tuple(
        path.relative_to(naming.ROOT).as_posix() for path in sorted((naming.ROOT / "gait/protocols").glob("[a-z]*.py"))
    ),
    "gait/losses/__init__.py": (),  # the stage partition names the losses of each model
    "gait/training/torch/augmentations/__init__.py": (),  # and its augmentations
    "compress/pruning/criteria/__init__.py": (CRITERION,),
    "gaitpress/surgery.py": ("compress/pruning/torch_surgery.py", "compress/pruning/keras_surgery.py"),
    # Also the values of keys that params.yaml leaves out; the stage partition names those of trainings.
    "stages/needs.py": ("gaitpress/defaults/pruning.py",),
    "stages/prune.py": (
        "compress/pruning/torch_reconstruction.py",
        "compress/pruning/keras_reconstruction.py",
        "gaitpress/defaults/pruning.py",
    ),
    "stages/quantize.py": ("gaitpress/defaults/precision.py",),
    "stages/report.py": ("gaitpress/defaults/choice.py",),
    "remote/jetson/program.py": ("remote/jetson/onboard",),
    "remote/runtimes/__init__.py": (),  # the stage runtime names the code of each runtime
    "remote/python/runtime.py": ("remote/python/agent.py", "remote/python/conditions.py"),
    "report/page.py": tuple(f"report/page.{kind}" for kind in ("html", "css", "js")),
}
TRAINING = {
    framework: (*naming.TRAINING_CODE[framework], *naming.VALIDATION_CODE[framework], "gait/protocols")
    for framework in FRAMEWORKS
}
# The files that name code by its content. Each has the stage that makes it, and the code that it names: by framework, by
# runtime, or as that of the protocol.
NAMED: dict[str, tuple[str, Mapping[str, tuple[str, ...]]]] = {
    "data/code/${item.model}.json": ("partition", TRAINING),
    "data/needs/${item.model}.json": ("partition", TRAINING),  # by way of the stage needs
    "data/protocol/${item.model}.json": ("partition", {"protocol": ("gait/protocols",)}),
    "data/runtime/${item.device}.json": (
        "runtime",
        {name: (*runtime_code.of(name), *runtime_code.SENSORS) for name in runtimes.names()},
    ),
}
CHOSEN_OF = ("gait/losses", "gait/training/torch/augmentations")  # of these folders the file names only what a model chooses
HANDS_ON = ("needs",)  # stages that read such a file for the names in it, and do not run that code
# Modules that stages import by name if they depend on such a file.
ALSO = {name: f"gaitpress/trainers/{name}_trainer.py" for name in FRAMEWORKS}
# A protocol's file chooses who trains, computes the rates and describes them. A stage uses one of these, and does not run
# the imports of the others. `dataset` only shows faults before `partition` does: every protocol leaves its output the same.
IDLE = {
    "dataset": ("gait/protocols", "gait/evaluation"),
    "partition": ("gait/evaluation",),
    "times": (  # with fresh weights any filters stay
        "compress/pruning/criteria",
        "compress/pruning/measures.py",
        "compress/pruning/torch_measures.py",
        "compress/pruning/keras_measures.py",
    ),
    **dict.fromkeys(("train", "prune", "finetune"), ("gait/data/partitions.py", "gaitpress/embedders/torch_embedder.py")),
    "evaluate": ("gait/data/partitions.py",),
    "recognise": ("gait/data/partitions.py",),
    "report": ("gait/data", "gait/evaluation"),
    "track": ("gait/data", "gait/evaluation"),
}
# The code around the work: the command line, reading params.yaml (DVC watches its values itself), messages,
# connections to devices. A change here must not cost anybody a week of training.
PLUMBING = (
    "stages/__init__.py",
    "gaitpress/started.py",
    "gaitpress/errors.py",
    "gaitpress/command_line.py",
    "gaitpress/outputs.py",
    "gaitpress/full_disk.py",
    "gaitpress/putting_aside.py",
    "gaitpress/progress.py",
    "gaitpress/__init__.py",
    "gaitpress/params",
    "tracking/curves.py",
    "gaitpress/sessions.py",
    "compress/errors.py",
    "gait/errors.py",
    "remote/errors.py",
    "remote/python/interpreter.py",  # the facts hold its result
    "remote/python/imports.py",
    "remote/lock.py",
    "remote/transport",
)


def imported(path: Path, root: Path) -> set[str]:
    """The files of this repository that a module imports directly, anywhere in it, as paths relative to ``root``."""
    if path.suffix != ".py":
        return set()
    names, _ = _read(path.read_bytes())
    return {file for name in names for file in _files(name, root)} | set(BY_NAME.get(str(path.relative_to(root)), ()))


def _files(name: str, root: Path) -> Iterator[str]:
    """The file of a module and those of the packages around it, as far as they hold code and lie in this repository."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file() and _has_code(file):
                yield str(file.relative_to(root))


def _has_code(file: Path) -> bool:
    """Whether a file holds more than a docstring."""
    return _read(file.read_bytes())[1]


@cache
def _read(content: bytes) -> tuple[frozenset[str], bool]:
    """The names that a module imports, and whether there is more in it than a docstring."""
    tree = ast.parse(content)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names), len(tree.body) > 1


def closure(entries: Iterable[str], models: Iterable[str], root: Path, apart: Iterable[str] = ()) -> set[str]:
    """All files that the entry modules run, without plumbing.

    Args:
        entries: paths of the modules, relative to ``root``.
        models: the values of ``${item.model}``.
        root: the repository.
        apart: modules and folders that they import but do not run.
    """
    apart = [*PLUMBING, *apart]
    files: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in files or any(_covers(place, name) for place in apart):
            continue
        files.add(name)
        for file in _concrete(name, models, root):
            waiting += imported(root / file, root)
    return files


def _concrete(name: str, models: Iterable[str], root: Path) -> list[str]:
    """The files that a path of dvc.yaml stands for."""
    if name == MODEL:
        return [name.replace("${item.model}", model) for model in models]
    if name == CRITERION:
        return [str(file.relative_to(root)) for file in (root / name).parent.glob("[a-z]*.py")]
    return [name]


def faults(dvc_yaml: Mapping[str, Any], models: Iterable[str], root: Path) -> Iterator[str]:
    """Yield the faults of the lists, a line each.

    Args:
        dvc_yaml: the content of dvc.yaml.
        models: the models of params.yaml.
        root: the repository.
    """
    models = list(models)
    for stage, spec in dvc_yaml["stages"].items():
        module = re.search(r"python -m (\S+)", spec["cmd"])
        if module is None:
            yield f"{stage}: its cmd runs no module of ours"
            continue
        needed = _needed(stage, module[1].replace(".", "/") + ".py", spec.get("deps", []), models, root)
        listed = [dep for dep in spec.get("deps", []) if isinstance(dep, str) and _is_code(dep)]
        for name in sorted(needed):
            if not any(_covers(dep, name) for dep in listed):
                yield f"{stage}: deps lack {name}"
        for dep in listed:
            if not any(_covers(dep, name) for name in needed):
                yield f"{stage}: {dep} is under deps but never used"
    for runtime in runtimes.names():
        named = _named((*runtime_code.of(runtime), *runtime_code.SENSORS), root)
        room = [name for name in named if name.startswith(f"remote/runtimes/{runtime}/")]
        for name in sorted(closure(room, models, root) - named):
            yield f"remote/runtimes/{runtime}: ROOM.uses lacks {name}"


def _needed(stage: str, entry: str, deps: Iterable[Any], models: list[str], root: Path) -> set[str]:
    """The code that a stage has to list: what it runs and no file names for it, and what it names itself in a file."""
    needed: set[str] = set()
    idle = IDLE.get(stage, ())
    files = {file: code for file, (_, code) in NAMED.items() if file in deps and stage not in HANDS_ON}
    for maker, code in NAMED.values():
        if stage == maker:
            needed.update(*(_named(names, root) for names in code.values()))
    for file, code in files.items():
        named_in_others = {
            path for other in files if other != file for names in files[other].values() for path in _named(names, root)
        }
        for name, names in code.items():
            entries = [entry, ALSO[name]] if name in ALSO else [entry]
            needed |= closure(entries, models, root, idle) - _named(names, root) - named_in_others
    return needed if files else needed | closure([entry], models, root, idle)


def _named(names: Iterable[str], root: Path) -> set[str]:
    """The code that a file names, with all losses and augmentations."""
    chosen_of = [folder for folder in CHOSEN_OF if f"{folder}/__init__.py" in names]
    places = [root / name for name in (*names, *chosen_of)]
    files = {file for place in places for file in (place.glob("*.py") if place.is_dir() else [place])}
    return {str(file.relative_to(root)) for file in files if _has_code(file)} | {*names}


def _is_code(dep: str) -> bool:
    return dep.partition("/")[0] in PACKAGES and not dep.endswith((".yaml", ".json"))


def _covers(dep: str, name: str) -> bool:
    return name == dep or name.startswith(f"{dep}/")


def main() -> None:
    messages = list(faults(read_yaml("dvc.yaml"), read_yaml("params.yaml")["model"], Path.cwd()))
    print("\n".join(messages) or "dvc.yaml: every stage lists the code that it runs")
    sys.exit(bool(messages))


if __name__ == "__main__":
    main()
