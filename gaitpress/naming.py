"""Code named by its content, for stages that depend on some of it and cannot say in dvc.yaml on which.

dvc.yaml lists the same files for all models and devices. So one stage writes a small file for each of them, with the digest
of the code that is its own; the others depend on that file, and an edit of other code leaves it as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What trains the models of each framework: files, and the modules that a folder holds itself.
TRAINING = ("gait/training", "gait/losses/__init__.py", "gait/keywords.py", "gaitpress/defaults/training.py")
TRAINING_CODE = {
    "torch": (
        *TRAINING,
        "gait/training/torch",
        "gait/training/torch/augmentations/__init__.py",
        "gait/processes.py",
        "gait/memory.py",
        "gaitpress/trainers/__init__.py",
        "gaitpress/trainers/torch_trainer.py",
    ),
    "keras": (*TRAINING, "gait/training/keras", "gaitpress/trainers/__init__.py", "gaitpress/trainers/keras_trainer.py"),
}
# What tests a training while it runs, beside the protocol's own file.
TESTS = ("gait/evaluation", "gait/protocols/__init__.py", "gait/people.py", "gait/data/samples.py")
VALIDATION_CODE = {
    "torch": (*TESTS, "gait/embedding.py"),
    "keras": (*TESTS, "gaitpress/embedders/__init__.py", "gaitpress/embedders/keras_embedder.py"),
}
# What measures rates by a protocol, beside the protocol's own file and what all share.
PROTOCOL_CODE = ("gait/protocols/__init__.py",)


def digests(names: Iterable[str | Path]) -> dict[str, str]:
    """The sha256 of each file by its path, relative to the repository.

    Args:
        names: files, and folders that stand for the modules in them, relative to the repository.
    """
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(set(modules(names)))
    }


def modules(names: Iterable[str | Path]) -> Iterator[Path]:
    """The files that :func:`digests` reads."""
    for name in names:
        path = ROOT / name
        yield from path.glob("*.py") if path.is_dir() else [path]
