"""Comparison of the tensors in a file of weights with those that a network needs, by the file's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Shapes = Mapping[str, Sequence[int]]


def for_other_identities(name: str, needed: Sequence[int], stored: Sequence[int], classes: int) -> str | None:
    """A note on a tensor of the classifier if it differs in the number of identities alone; else None.

    Args:
        name: the tensor's name.
        needed: its shape in the network.
        stored: its shape in the file.
        classes: the number of identities that the network tells apart.
    """
    if len(needed) != len(stored):
        return None
    differing = [(size, stored_size) for size, stored_size in zip(needed, stored, strict=True) if size != stored_size]
    if len(differing) != 1 or differing[0][0] != classes:
        return None
    return f"{name} is for {differing[0][1]} identities, this dataset has {classes} in training: starts afresh"


def differences(model: str, needed: Shapes, stored: Shapes) -> str:
    """All tensors of a file that are missing, unknown to the network or of another shape.

    Args:
        model: the network's name.
        needed: the shape of every tensor that must be in the file.
        stored: the shape of every tensor in it.

    Returns:
        The model's name and a line for each tensor; empty if there is no difference.
    """
    lists = {
        "missing in the file": [f"{name} {list(shape)}" for name, shape in needed.items() if name not in stored],
        "unknown to the model": [f"{name} {list(shape)}" for name, shape in stored.items() if name not in needed],
        "of another shape": [
            f"{name} {list(stored[name])}, the model's is {list(shape)}"
            for name, shape in needed.items()
            if name in stored and list(stored[name]) != list(shape)
        ],
    }
    text = "".join(f"\n{title}:" + "".join(f"\n  {line}" for line in lines) for title, lines in lists.items() if lines)
    return text and f"{model} with the width and architecture that it is configured with{text}"
