"""The section `architecture` of the models that are delivered; a model of one's own checks its settings itself.

Each model's file says more, such as how many channels it takes; that it can say only once its framework is loaded, which is
when the model trains. These kinds of values are checked before anything runs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MinLen

from gaitpress.params.values import Natural, Positive, Range, Section

Numbers = Annotated[list[Positive], MinLen(1)]
Dropout = Annotated[float, Range(ge=0, lt=1)]


class Strips(Section):
    channels: Numbers
    embedding: Positive
    bins: Numbers


class GLN(Strips):
    lateral: Positive
    compact: Natural
    dropout: Dropout


class Baseline(Strips):
    poolings: Positive = 2


class DeepGaitV2(Strips):
    mode: Literal["2d", "p3d", "3d"]
    blocks: Numbers


class GaitPart(Section):
    channels: Numbers
    halving: Annotated[list[Natural], MinLen(1)]
    embedding: Positive


class GaitGL(Section):
    stem: Numbers
    layers: Numbers
    pool_after: Positive
    halving: Natural
    embedding: Positive
    head: str = "batch-norm"


class CNN2D(Section):
    filters: Numbers
    dense: Positive
    signature: Positive
    dropout: Dropout


class CNN3D(Section):
    filters: Numbers
    code: Positive
    signature: Positive


OF_MODELS: dict[str, type[Section]] = {
    "gaitset": Strips,
    "gaitbase": Strips,
    "gln": GLN,
    "baseline": Baseline,
    "deepgaitv2": DeepGaitV2,
    "gaitpart": GaitPart,
    "gaitgl": GaitGL,
    "cnn2d": CNN2D,
    "cnn3d": CNN3D,
    "cnn2plus1d": CNN3D,
}
