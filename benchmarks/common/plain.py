"""Plain versions of the silhouette models, with the same weights, to compare the project's own models with.

Maps are channels-first in memory and nothing happens in place; strips and parts are computed one after the other, as papers
and their published code do. The maths is the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gait.networks.torch_model import TorchModel


class Plain(nn.Module):
    """Frames [batch, frames, height, width] -> signatures, and the classifier's output or None."""

    def __init__(self, model: TorchModel) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self._signatures = NETWORKS[model.architecture.name]

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        signatures = self._signatures(self.model, frames)
        return signatures, None if self.model.classifier is None else self.model.classifier(signatures)


def _folded(frames: Tensor) -> Tensor:
    return frames.reshape(-1, 1, *frames.shape[2:])


def _unit(unit: Any, maps: Tensor) -> Tensor:
    rows = maps.shape[2] // unit.strips
    strips = [F.conv2d(strip, unit.conv.weight, padding="same") for strip in maps.split(rows, 2)]
    return F.leaky_relu(strips[0] if len(strips) == 1 else torch.cat(strips, 2), 0.01)


def _over_set(maps: Tensor, batch: int) -> Tensor:
    return maps.view(batch, -1, *maps.shape[1:]).max(1)[0]


def _pyramid(maps: Tensor, bins: Sequence[int]) -> Tensor:
    """[batch, channels, parts]."""
    flat = [maps.reshape(*maps.shape[:2], strips, -1) for strips in bins]
    return torch.cat([strips.mean(-1) + strips.max(-1)[0] for strips in flat], -1)


def _separate(fc: Any, parts: Tensor) -> Tensor:
    return torch.matmul(parts.permute(2, 0, 1).contiguous(), fc.weight).permute(1, 0, 2).contiguous()


def _convs(convs: Any, maps: Tensor) -> Tensor:
    for number, unit in enumerate(convs.values(), start=1):
        maps = _unit(unit, maps)
        if number % 2 == 0 and number <= 2 * convs.poolings:
            maps = F.max_pool2d(maps, 2)
    return maps


def _gaitset(net: Any, frames: Tensor) -> Tensor:
    batch = len(frames)
    maps = F.max_pool2d(_unit(net.frame2, _unit(net.frame1, _folded(frames))), 2)
    whole = F.max_pool2d(_unit(net.global2, _unit(net.global1, _over_set(maps, batch))), 2)
    maps = F.max_pool2d(_unit(net.frame4, _unit(net.frame3, maps)), 2)
    whole = _unit(net.global4, _unit(net.global3, whole + _over_set(maps, batch)))
    maps = _over_set(_unit(net.frame6, _unit(net.frame5, maps)), batch)
    return _separate(net.fc, torch.cat([_pyramid(maps, net.bins), _pyramid(whole + maps, net.bins)], -1))


def _baseline(net: Any, frames: Tensor) -> Tensor:
    maps = _over_set(_convs(net.convs, _folded(frames)), len(frames))
    return _separate(net.fc, _pyramid(maps, net.bins))


def _gaitbase(net: Any, frames: Tensor) -> Tensor:
    maps = F.relu(net.stem(_folded(frames)))
    for block in (net.block1, net.block2, net.block3, net.block4):
        maps = block(maps)
    return _separate(net.fc, _pyramid(_over_set(maps, len(frames)), net.bins))


def _deepgaitv2(net: Any, frames: Tensor) -> Tensor:
    """By 3D convolutions throughout, on maps [batch, channels, frames, height, width]."""

    def unit(module: Any, maps: Tensor) -> Tensor:
        kernel, stride, padding = module.conv.weight, module.conv.stride, module.conv.padding
        if kernel.dim() == 4 and kernel.shape[3] == 1 < kernel.shape[2]:  # over time, at every pixel
            kernel, stride, padding = kernel[..., None], (1, 1, 1), (1, 0, 0)
        elif kernel.dim() == 4:  # of each frame
            kernel, stride, padding = kernel[:, :, None], (1, *stride), (0, *padding)
        bn = module.bn
        maps = F.conv3d(maps, kernel, None, stride, padding)
        momentum, epsilon = bn.momentum, bn.eps
        return F.batch_norm(maps, bn.running_mean, bn.running_var, bn.weight, bn.bias, bn.training, momentum, epsilon)

    maps = F.relu(unit(net.stem, frames[:, None]))
    for block in (block for stage in (net.stage1, net.stage2, net.stage3, net.stage4) for block in stage):
        hidden = F.relu(unit(block.conv1, maps))
        if hasattr(block, "temporal"):
            hidden = F.relu(hidden + unit(block.temporal, hidden))
        shortcut = maps if isinstance(block.shortcut, nn.Identity) else unit(block.shortcut, maps)
        maps = F.relu(unit(block.conv2, hidden) + shortcut)
    return _separate(net.fc, _pyramid(maps.max(2)[0], net.bins))


def _gaitpart(net: Any, frames: Tensor) -> Tensor:
    batch, length = frames.shape[:2]
    parts = _pyramid(_convs(net.convs, _folded(frames)), [16])
    series = parts.view(batch, length, -1, 16).permute(3, 0, 2, 1).contiguous()  # [parts, batch, channels, frames]
    aggregated = []
    for number, part in enumerate(series):
        combined = torch.zeros_like(part)
        for motion in (net.short, net.long):
            squeeze, expand = (conv.weight.chunk(16)[number] for conv in (motion.squeeze, motion.expand))
            hidden = F.leaky_relu(F.conv1d(part, squeeze, padding="same"), 0.01)
            scores = F.conv1d(hidden, expand, padding="same").sigmoid()
            around = motion.window // 2
            template = F.avg_pool1d(part, motion.window, 1, around) + F.max_pool1d(part, motion.window, 1, around)
            combined = combined + scores * template
        aggregated.append(combined.max(2)[0])
    return _separate(net.fc, torch.stack(aggregated, 2))


def _gaitgl(net: Any, frames: Tensor) -> Tensor:
    def unit(conv: Any, maps: Tensor) -> Tensor:
        strips = [F.conv3d(strip, conv.conv.weight, padding="same") for strip in maps.split(maps.shape[3] // conv.strips, 3)]
        return F.leaky_relu(strips[0] if len(strips) == 1 else torch.cat(strips, 3), 0.01)

    maps = frames[:, None]
    for conv in net.stem:
        maps = unit(conv, maps)
    maps = F.leaky_relu(net.aggregation.conv(maps), 0.01)
    for number, layer in enumerate(net.layers, start=1):
        whole, local = unit(layer.whole, maps), unit(layer.local, maps)
        maps = torch.cat([whole, local], 3) if layer.stacked else whole + local
        if number == net.pool_after:
            maps = F.max_pool3d(maps, (1, 2, 2))
    maps = maps.max(2)[0]
    pooled = F.avg_pool2d(maps.clamp(min=net.gem.least).pow(net.gem.power), (1, maps.shape[3])).pow(1 / net.gem.power)
    parts = _separate(net.fc, pooled.squeeze(3))
    return net.bn(parts.permute(0, 2, 1)).permute(0, 2, 1).contiguous()


def _gln(net: Any, frames: Tensor) -> Tensor:
    batch = len(frames)

    def doubled(maps: Tensor) -> Tensor:
        return F.interpolate(maps, scale_factor=2)

    maps = _unit(net.frame2, _unit(net.frame1, _folded(frames)))
    set1 = _over_set(maps, batch)
    maps = _unit(net.frame4, _unit(net.frame3, F.max_pool2d(maps, 2)))
    set2 = _over_set(maps, batch)
    set3 = _over_set(_unit(net.frame6, _unit(net.frame5, F.max_pool2d(maps, 2))), batch)
    whole2 = _unit(net.set4, _unit(net.set3, F.max_pool2d(set1, 2))) + set2
    whole3 = _unit(net.set6, _unit(net.set5, F.max_pool2d(whole2, 2))) + set3
    coarse = net.lateral3(torch.cat([set3, whole3], 1))
    middle = net.lateral2(torch.cat([set2, whole2], 1)) + doubled(coarse)
    fine = net.lateral1(torch.cat([set1, set1], 1)) + doubled(middle)
    levels = [net.smooth1(fine), net.smooth2(middle), net.smooth3(coarse)]
    return _separate(net.fc, torch.cat([_pyramid(maps, net.bins) for maps in levels], -1))


NETWORKS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "gaitset": _gaitset,
    "gaitpart": _gaitpart,
    "gaitgl": _gaitgl,
    "gln": _gln,
    "baseline": _baseline,
    "gaitbase": _gaitbase,
    "deepgaitv2": _deepgaitv2,
}
