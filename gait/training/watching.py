"""Watchers, to which a training reports its progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Watcher(Protocol):
    def step(self, done: int, total: int) -> None:
        """``done`` of ``total`` optimizer steps are complete; also called when a training begins or continues."""

    def row(self, number: int, values: Mapping[str, float]) -> None:
        """The figures of an iteration (with Keras, of an epoch), counted from 1."""


class Nobody:
    """A watcher that ignores all reports."""

    def step(self, done: int, total: int) -> None: ...

    def row(self, number: int, values: Mapping[str, float]) -> None: ...
