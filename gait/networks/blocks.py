"""Layers that the silhouette models share (PyTorch).

Layers that see each frame alone have the frames folded into the batch: maps are [batch * frames, channels, height, width].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def scaled(channels: int, width: float) -> int:
    """A published channel count times ``width``, as a multiple of 4 (never 0); unchanged at width 1."""
    return channels if width == 1 else max(4, 4 * round(channels * width / 4))


def folded_frames(frames: Tensor) -> Tensor:
    """Silhouettes [batch, frames, height, width] as maps [batch * frames, 1, height, width].

    With one channel, channels-last costs no copy, and it is the fast layout for the layers that follow.
    """
    return frames.reshape(-1, 1, *frames.shape[2:]).contiguous(memory_format=torch.channels_last)


class ConvUnit(nn.Module):
    """A bias-free convolution with LeakyReLU (slope 0.01), on maps [batch, channels, height, width].

    Args:
        strips: horizontal strips, each convolved with padding of its own (GaitPart's focal convolution, section 3.2).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, strips: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.strips = strips
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        if self.strips == 1:
            return F.leaky_relu_(self.conv(maps), 0.01)
        # Strips join the batch, so that one convolution sees all; in channels-last memory this copies nothing.
        batch, channels, height, width = maps.shape
        folded = maps.permute(0, 2, 3, 1).reshape(batch * self.strips, height // self.strips, width, channels)
        convolved = F.leaky_relu_(self.conv(folded.permute(0, 3, 1, 2)), 0.01).permute(0, 2, 3, 1)
        return convolved.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


class NormUnit(nn.Module):
    """A bias-free convolution with batch norm, on maps [batch, channels, height, width]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return self.bn(convolved_2d(self.conv, maps))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al., CVPR 2016); the shortcut is the input itself or a 1x1 convolution."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv1 = NormUnit(inputs, hidden, 3, stride)
        self.conv2 = NormUnit(hidden, outputs, 3)
        self.shortcut = NormUnit(inputs, outputs, 1, stride) if projected else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(maps))) + self.shortcut(maps))


class PlainConvs(nn.ModuleDict):
    """A chain of convolutions on maps of frames, with max pooling by 2 after the first pairs of them.

    Args:
        channels: output channels of each convolution by name; the first is 5 x 5, the others are 3 x 3.
        strips: the number of horizontal strips of each convolution.
        poolings: after how many pairs there is a pooling.
    """

    def __init__(self, channels: Mapping[str, int], strips: Sequence[int], poolings: int = 2) -> None:
        inputs, kernels = [1, *channels.values()], [5, *[3] * (len(channels) - 1)]
        super().__init__(
            {
                name: ConvUnit(before, after, kernel, count)
                for (name, after), before, kernel, count in zip(channels.items(), inputs, kernels, strips, strict=False)
            }
        )
        self.poolings = poolings

    def forward(self, maps: Tensor) -> Tensor:
        for number, unit in enumerate(self.values(), start=1):
            maps = unit(maps)
            if number % 2 == 0 and number <= 2 * self.poolings:
                maps = F.max_pool2d(maps, 2)
        return maps


def convolved_2d(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """A bias-free convolution; while a 1x1 one with a stride learns on the CPU, it is given no pixel that it would skip.

    oneDNN's gradient of such weights writes past its memory where maps have fewer channels than a vector has numbers
    (8 with AVX2, 16 with AVX-512), as those of pruned networks do. Training then ends, hangs or learns from wrong gradients
    (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """
    plain = conv.kernel_size != (1, 1) or conv.stride == (1, 1) or maps.device.type != "cpu"
    if plain or not torch.is_grad_enabled() or torch.jit.is_tracing():
        return conv(maps)
    rows, columns = conv.stride
    return F.conv2d(maps[:, :, ::rows, ::columns], conv.weight)


def convolved_3d(conv: nn.Conv3d, maps: Tensor) -> Tensor:
    """A bias-free 3D convolution, its padding in numbers; on the CPU, oneDNN computes that of a single sequence.

    For a batch of one, PyTorch chooses another path, with which GaitGL takes 1.6 to 2 times as long.
    """
    plain = torch.is_grad_enabled() or torch.jit.is_tracing() or maps.device.type != "cpu" or maps.dtype != torch.float32
    if plain or len(maps) > 1 or not torch.backends.mkldnn.is_available():
        return conv(maps)
    padding = [int(pixels) for pixels in conv.padding]
    return torch.mkldnn_convolution(maps, conv.weight, None, padding, conv.stride, conv.dilation, 1)


class SeparateFC(nn.Module):
    """One linear map for each part: [batch, parts, inputs] -> [batch, parts, outputs] (GaitSet, section 3.4)."""

    def __init__(self, parts: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(parts, inputs, outputs)))

    def forward(self, features: Tensor) -> Tensor:
        return torch.matmul(features.transpose(0, 1), self.weight).transpose(0, 1)


class BNNeck(nn.Module):
    """Classifier of each part: signatures [batch, parts, channels] -> cosines [batch, parts, classes].

    Batch norm, then the cosine between its output and a vector for each class (Luo et al., CVPRW 2019). One batch norm
    takes the channels of all parts, part by part.
    """

    def __init__(self, parts: int, channels: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(parts * channels)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(parts, channels, classes)))

    def forward(self, signatures: Tensor) -> Tensor:
        normal = self.bn(signatures.flatten(1)).view_as(signatures)
        cosines = torch.matmul(F.normalize(normal, dim=2).transpose(0, 1), F.normalize(self.weight, dim=1))
        return cosines.transpose(0, 1)


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
    maps = maps.contiguous()  # it is faster to reduce neighbours in memory
    for strips in bins:
        flat = maps.reshape(batch, channels, strips, -1)
        pooled.append(flat.mean(-1) + flat.amax(-1))
    return torch.cat(pooled, -1).transpose(1, 2)


def set_max(maps: Tensor, batch: int) -> Tensor:
    """The maximum over the frames of each set: [batch * frames, c, h, w] -> [batch, c, h, w]."""
    return maximum(maps.reshape(batch, -1, *maps.shape[1:]), 1)


def maximum(values: Tensor, axis: int) -> Tensor:
    """The maximum along an axis. Of several equal values, one alone gets the gradient, which is faster than sharing it."""
    return values.max(axis).values if values.requires_grad else values.amax(axis)
