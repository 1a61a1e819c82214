"""Tests of a training while it runs, on people who are set aside: they neither train nor belong to the test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sets import TestSet

if TYPE_CHECKING:
    from gait.evaluation.signatures import Signatures

RATE = "validation_rank1"  # the figure by which weights are compared
MEASURES = ("rank1", "rank5", "mAP", "mINP")


@dataclass(frozen=True)
class Validation:
    """When and how to test; ``every``, ``keep`` and ``patience`` are those of params.yaml.

    Attributes:
        every: iterations (with Keras, epochs) between tests; the last one is always followed by a test.
        keep: the weights that the network has in the end: "last", or "best", those of the highest rank-1.
        patience: training ends after that many tests without a higher rank-1; None: it never ends early.
        signatures: makes the signatures of the test's sequences by the network; None in a process that sent its own to the
            first one.
        sequences: all sequences of the store.
        test: the people set aside, and the protocol.
    """

    every: int
    keep: str
    patience: int | None
    signatures: Callable[[Any], Signatures | None]
    sequences: Sequence[GaitSequence]
    test: TestSet

    def due(self, done: int, total: int) -> bool:
        """Whether a test follows the iteration or epoch ``done`` of ``total``."""
        return done % self.every == 0 or done == total

    def rates(self, model: Any) -> dict[str, float]:
        """The protocol's mean rates in %, such as "validation_rank1", as far as it has these measures.

        Args:
            model: the network in evaluation mode.

        Returns:
            Nothing in a process that sent its signatures to the first one.
        """
        from gait import protocols

        signatures = self.signatures(model)
        if signatures is None:
            return {}
        hits = protocols.identified(signatures, self.sequences, self.test)
        measured = [measure for measure in MEASURES if measure in hits.hits]
        return {f"validation_{measure}": hits.rates(measure)["mean"] for measure in measured}

    def is_best(self, rows: Sequence[Mapping[str, float]]) -> bool:
        """Whether the weights after the last row are to be kept as the best."""
        return self.keep == "best" and kept(self.keep, rows) is rows[-1]

    def has_stalled(self, rows: Sequence[Mapping[str, float]]) -> bool:
        """Whether as many tests as ``patience`` brought no higher rank-1 than one before them."""
        rates = [row[RATE] for row in rows if RATE in row]
        return self.patience is not None and len(rates) - 1 - rates.index(max(rates)) >= self.patience if rates else False


def kept(keep: str, rows: Sequence[Mapping[str, float]]) -> Mapping[str, float] | None:
    """The row of a history whose weights the network has in the end; None if there was no test.

    Args:
        keep: "last", or "best": the highest rank-1. Of equal ones it is the last, which has trained longest.
        rows: the history of a training.
    """
    tested = [row for row in reversed(rows) if RATE in row]
    return max(tested, key=lambda row: row[RATE], default=None) if keep == "best" else next(iter(tested), None)
