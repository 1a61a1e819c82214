"""The time of each layer of a network in an engine, from the times of the engine's nodes.

Runtimes fuse, rename and reorder nodes. A node keeps the path of the layer that it came from: "/frame1/conv/Conv_token_19",
"/frame1/conv/Conv + /frame1/LeakyRelu" and "cnn2d_signature_1/conv1_1/BiasAdd" are of frame1, frame1 and conv1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NAMED = 3  # operators that a summary of other nodes names


@dataclass(frozen=True)
class LayerTimes:
    """The times of an engine in ms a query.

    Attributes:
        layers: by the names of the network's layers; those without a node of their own are missing.
        others: of nodes that belong to no layer, by operator, the longest first.
        total: of all nodes.
    """

    layers: Mapping[str, float]
    others: Mapping[str, float]
    total: float

    @property
    def rest(self) -> float:
        """The time of all nodes that belong to no layer."""
        return sum(self.others.values())

    def rest_in_words(self) -> str:
        """The operators that take most of :attr:`rest`, such as "MaxPool 0.32, ReduceMax 0.20, and 7 more"."""
        first = [f"{op} {ms:.2g} ms" for op, ms in list(self.others.items())[:NAMED]]
        more = len(self.others) - len(first)
        return ", ".join(first) + (f", and {more} more" if more > 0 else "")


def by_layer(nodes: Sequence[Mapping[str, Any]], layers: Sequence[str]) -> LayerTimes:
    """Add the times of nodes up.

    Args:
        nodes: of an engine: ``name``, ``op`` and ``ms``.
        layers: the names of the network's layers, such as "frame1" or "block1.conv1".
    """
    paths = [_path(node["name"]) for node in nodes]
    plain = [_layer_of(path, layers) for path in paths]
    # TensorFlow puts a number behind each layer's name, so that the node code_1 is of the layer code.
    numbered = [_layer_of([re.sub(r"_\d+$", "", part) for part in path], layers) for path in paths]
    owners = numbered if any(b and not a for a, b in zip(plain, numbered, strict=True)) else plain
    times: dict[str, float] = {}
    others: dict[str, float] = {}
    for node, owner in zip(nodes, owners, strict=True):
        group, name = (others, node["op"] or "unnamed") if owner is None else (times, owner)
        group[name] = group.get(name, 0.0) + node["ms"]
    longest_first = dict(sorted(others.items(), key=lambda item: -item[1]))
    return LayerTimes(times, longest_first, sum(node["ms"] for node in nodes))


def _path(name: str) -> list[str]:
    """The parts of a node's name; of fused nodes, those of the first."""
    return re.split(r"[/.]", name.partition(" + ")[0].partition(":")[0].strip("/"))


def _layer_of(path: Sequence[str], layers: Sequence[str]) -> str | None:
    """The layer whose name is within the path; the longest if there are several."""
    within = [layer for layer in layers if _holds(path, layer.split("."))]
    return max(within, key=len, default=None)


def _holds(path: Sequence[str], parts: Sequence[str]) -> bool:
    return any(list(path[start : start + len(parts)]) == list(parts) for start in range(len(path) - len(parts) + 1))
