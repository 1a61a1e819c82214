"""What a file of weights has against what a network needs, in the file's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Shapes = Mapping[str, Sequence[int]]


def for_other_identities(name: str, needed: Sequence[int], found: Sequence[int], classes: int) -> str | None:
    """A note on a tensor of the classifier that differs in the number of identities alone; None if that is not so.

    Args:
        name: of the tensor.
        needed: its shape in the network.
        found: its shape in the file.
        classes: identities that the network tells apart.
    """
    if len(needed) != len(found):
        return None
    differing = [(ours, theirs) for ours, theirs in zip(needed, found, strict=True) if ours != theirs]
    if len(differing) != 1 or differing[0][0] != classes:
        return None
    return f"{name} is for {differing[0][1]} identities, this dataset has {classes} in training: starts afresh"


def differences(model: str, needed: Shapes, found: Shapes) -> str:
    """What a file has not as a network needs it: all tensors that are missing, unknown or of another shape.

    Args:
        model: the network's name.
        needed: shape of every tensor that must be in the file.
        found: shape of every tensor in it.

    Returns:
        The model's name and a line for each tensor; empty if there is no difference.
    """
    lists = {
        "missing in the file": [f"{name} {list(shape)}" for name, shape in needed.items() if name not in found],
        "unknown to the model": [f"{name} {list(shape)}" for name, shape in found.items() if name not in needed],
        "of another shape": [
            f"{name} {list(found[name])}, the model's is {list(shape)}"
            for name, shape in needed.items()
            if name in found and list(found[name]) != list(shape)
        ],
    }
    text = "".join(f"\n{title}:" + "".join(f"\n  {line}" for line in lines) for title, lines in lists.items() if lines)
    return text and f"{model} with the width and architecture that it is configured with{text}"
