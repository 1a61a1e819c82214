"""Signatures by Keras networks, as :mod:`gaitpress.embedders` asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from gait.data.prepared.sequences import SequenceStore
from gait.data.samples import owners, samples
from gait.evaluation.signatures import Signatures
from gaitpress.frameworks import keras_models
from gaitpress.progress import progress

EMBEDDED_AT_ONCE = 64


def embed(model: Any, store: SequenceStore, positions: Sequence[int], shown: bool = True) -> Signatures:
    """The signatures of all samples of the sequences; ``shown``: show how far it has come."""
    network = keras_models.network(model)
    shape = [1, *keras_models.SHAPE]
    watched = progress(positions, len(positions), "embedding") if shown else positions
    inputs = (sample for position in watched for sample in samples(store, store.sequences[position], shape))
    batches = iter(lambda: list(islice(inputs, EMBEDDED_AT_ONCE)), [])
    signatures = (network.predict_on_batch(np.concatenate(batch)) for batch in batches)
    return Signatures.collect(owners(store, positions, shape), signatures)
