"""Who is told how a training goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Watcher(Protocol):
    def step(self, done: int, total: int) -> None:
        """``done`` of ``total`` optimizer steps are made; also told where a training begins or goes on."""

    def row(self, number: int, values: Mapping[str, float]) -> None:
        """What there is to tell of an iteration (with Keras an epoch), counted from 1."""


class Nobody:
    """Watches nothing."""

    def step(self, done: int, total: int) -> None: ...

    def row(self, number: int, values: Mapping[str, float]) -> None: ...
