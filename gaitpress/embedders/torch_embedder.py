"""Signatures by PyTorch networks, as :mod:`gaitpress.embedders` asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gait import embedding
from gait.data.prepared.sequences import SequenceStore
from gait.evaluation.signatures import Signatures
from gait.processes import Processes
from gaitpress.frameworks.torch_models import check_size
from gaitpress.progress import progress


def embed(model: Any, store: SequenceStore, positions: Sequence[int]) -> Signatures:
    check_size(model, store)
    signatures = embedding.embed(model, store, positions, Processes(), lambda part: progress(part, len(part), "embedding"))
    assert signatures is not None  # a single process always gets them
    return signatures
