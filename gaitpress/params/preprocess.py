"""The section `preprocess`: modalities."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator

from gaitpress.params.values import Positive, Range, Section


class Silhouettes(Section):
    kind: Literal["silhouette"]
    pixels: Annotated[int, Range(ge=16, le=512)]


class Flow(Section):
    kind: Literal["flow"]
    method: Literal["dis", "farneback"]
    frames: Annotated[int, Range(ge=1, le=250)]
    stride: Positive


Preprocessing = Annotated[Silhouettes | Flow, Discriminator("kind")]
