"""Layers that the silhouette models share (PyTorch)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def scaled(channels: int, width: float) -> int:
    """A published channel count times ``width``, as a multiple of 4 (never 0); unchanged at width 1."""
    return channels if width == 1 else max(4, 4 * round(channels * width / 4))


class ConvUnit(nn.Module):
    """A bias-free convolution with LeakyReLU (slope 0.01), on maps [batch, channels, height, width]."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(maps), 0.01)


class SeparateFC(nn.Module):
    """One linear map for each part: [batch, parts, inputs] -> [batch, parts, outputs] (GaitSet, section 3.4)."""

    def __init__(self, parts: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(parts, inputs, outputs)))

    def forward(self, features: Tensor) -> Tensor:
        return torch.matmul(features.transpose(0, 1), self.weight).transpose(0, 1)


def horizontal_pyramid_pooling(maps: Tensor, bins: Sequence[int]) -> Tensor:
    """Mean + max over equal horizontal strips, for each number of strips in ``bins`` (HPM, AAAI 2019).

    Args:
        maps: [batch, channels, height, width]; each number of strips must divide the height.
        bins: numbers of strips, such as 16, 8, 4, 2, 1.

    Returns:
        [batch, sum(bins), channels].
    """
    batch, channels = maps.shape[:2]
    pooled = []
    for strips in bins:
        flat = maps.reshape(batch, channels, strips, -1)
        pooled.append(flat.mean(-1) + flat.amax(-1))
    return torch.cat(pooled, -1).transpose(1, 2)


def set_max(maps: Tensor, batch: int) -> Tensor:
    """The maximum over the frames of each set: [batch * frames, c, h, w] -> [batch, c, h, w]."""
    return maps.reshape(batch, -1, *maps.shape[1:]).amax(1)
