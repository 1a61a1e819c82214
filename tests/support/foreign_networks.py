"""Published networks in small, written from their papers and the names in their checkpoints.

Each has the tensors' names of its source and computes the same signatures in the plainest way, in evaluation mode, without
any of our layers: frames [batch, frames, height, width] -> signatures [batch, parts, channels] or, from the networks with a
classifier, signatures and logits [batch, parts, classes].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def randomise(network: nn.Module) -> nn.Module:
    """Random weights of a size that keeps values about 1, random statistics of batch norms; evaluation mode, float64."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.endswith("running_var") or name == "HPP.p":
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator) + 4 * (name == "HPP.p"))
        elif tensor.ndim == 1:
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        else:
            inputs = tensor[0].numel() if tensor.ndim != 3 or name.endswith("conv.weight") else tensor.shape[1]
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / inputs) ** 0.5)
    return network.double().eval()


class Wrapped(nn.Module):
    """Convolutions with a name before theirs."""

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


def conv2d(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return Wrapped(conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False))


def pair(inputs: int, outputs: int, kernel: int = 3, pooled: bool = False) -> nn.Sequential:
    ends = [nn.MaxPool2d(2)] if pooled else []
    return nn.Sequential(conv2d(inputs, outputs, kernel), nn.LeakyReLU(), conv2d(outputs, outputs, 3), nn.LeakyReLU(), *ends)


def run(layers: nn.Sequential, maps: Tensor) -> Tensor:
    for layer in layers:
        maps = layer.conv(maps) if isinstance(layer, Wrapped) else layer(maps)
    return maps


def per_frame(layers: nn.Sequential, frames: Tensor) -> Tensor:
    """[batch, frames, channels, height, width] in and out."""
    return torch.stack([run(layers, frames[:, number]) for number in range(frames.shape[1])], 1)


def pyramid(maps: Tensor, bins: Sequence[int]) -> list[Tensor]:
    """Each part [batch, channels] of maps [batch, channels, height, width], bin by bin from the top."""
    parts = []
    for strips in bins:
        rows = maps.shape[2] // strips
        for strip in range(strips):
            part = maps[:, :, strip * rows : (strip + 1) * rows]
            parts.append(part.mean((2, 3)) + part.amax((2, 3)))
    return parts


class Separate(nn.Module):
    """One matrix a part: [parts, inputs, outputs]."""

    def __init__(self, parts: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc_bin = nn.Parameter(torch.zeros(parts, inputs, outputs))

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.stack([part @ matrix for part, matrix in zip(parts, self.fc_bin, strict=True)], 1)


class BNNecks(nn.Module):
    def __init__(self, parts: int, channels: int, classes: int, order: str) -> None:
        super().__init__()
        self.fc_bin = nn.Parameter(torch.zeros(parts, channels, classes))
        self.bn1d = nn.BatchNorm1d(parts * channels)
        self.order = order

    def forward(self, signatures: Tensor) -> Tensor:
        normal = over_parts(self.bn1d, signatures, self.order)
        logits = []
        for part, vectors in enumerate(self.fc_bin):
            feature = normal[:, part] / normal[:, part].norm(dim=1, keepdim=True)
            logits.append(feature @ (vectors / vectors.norm(dim=0, keepdim=True)))
        return torch.stack(logits, 1)


def over_parts(norm: nn.BatchNorm1d, signatures: Tensor, order: str) -> Tensor:
    """Batch norm of [batch, parts, channels] over all parts' channels, which the file orders one way or the other."""
    if order == "by-part":
        return norm(signatures.flatten(1)).view_as(signatures)
    turned = signatures.transpose(1, 2)
    return norm(turned.flatten(1)).view_as(turned).transpose(1, 2)


class GaitSet(nn.Module):
    def __init__(self, one: int, two: int, three: int, embedding: int, bins: Sequence[int]) -> None:
        super().__init__()
        self.bins = bins
        self.set_block1 = Wrapped(forward_block=pair(1, one, 5, pooled=True))
        self.set_block2 = Wrapped(forward_block=pair(one, two, pooled=True))
        self.set_block3 = Wrapped(forward_block=pair(two, three))
        self.gl_block2 = pair(one, two, pooled=True)
        self.gl_block3 = pair(two, three)
        self.Head = Separate(2 * sum(bins), three, embedding)

    def forward(self, frames: Tensor) -> Tensor:
        first = per_frame(self.set_block1.forward_block, frames[:, :, None])
        second = per_frame(self.set_block2.forward_block, first)
        third = per_frame(self.set_block3.forward_block, second).amax(1)
        whole = run(self.gl_block2, first.amax(1)) + second.amax(1)
        whole = run(self.gl_block3, whole) + third
        return self.Head([*pyramid(third, self.bins), *pyramid(whole, self.bins)])


class OriginalGaitSet(nn.Module):
    """For CASIA-B (``apart`` false) and for OU-MVLP; signatures in the order of its own parts."""

    BINS = (1, 2, 4, 8, 16)

    def __init__(self, one: int, two: int, three: int, embedding: int, apart: bool) -> None:
        super().__init__()
        ends = [(1, one), (one, one), (one, two), (two, two), (two, three), (three, three)]
        for number, (inputs, outputs) in enumerate(ends, start=1):
            block = Wrapped(forward_block=conv2d(inputs, outputs, 5 if number == 1 else 3))
            self.add_module(f"set_layer{number}", block)
        for number, (inputs, outputs) in enumerate([(one, two), (two, two), (two, three), (three, three)], start=1):
            self.add_module(f"gl_layer{number}", conv2d(inputs, outputs, 3))
        for name, parts in (("x_hpm", 31), ("gl_hpm", 31)) if apart else (("", 62),):
            holder = Wrapped() if name else self
            holder.fc_bin = nn.ParameterList([nn.Parameter(torch.zeros(parts, three, embedding))])
            if name:
                self.add_module(name, holder)
        self.apart = apart

    def _set_layer(self, number: int, frames: Tensor) -> Tensor:
        block = self.get_submodule(f"set_layer{number}").forward_block
        maps = per_frame(nn.Sequential(block, nn.LeakyReLU()), frames)
        return torch.stack([F.max_pool2d(frame, 2) for frame in maps]) if number in (2, 4) else maps

    def _gl_layer(self, number: int, maps: Tensor) -> Tensor:
        return F.leaky_relu(self.get_submodule(f"gl_layer{number}").conv(maps))

    def forward(self, frames: Tensor) -> dict[tuple[str, int, int], Tensor]:
        """The parts by branch, number of strips, strip."""
        x = self._set_layer(2, self._set_layer(1, frames[:, :, None]))
        whole = F.max_pool2d(self._gl_layer(2, self._gl_layer(1, x.amax(1))), 2)
        x = self._set_layer(4, self._set_layer(3, x))
        whole = self._gl_layer(4, self._gl_layer(3, whole + x.amax(1)))
        x = self._set_layer(6, self._set_layer(5, x)).amax(1)
        whole = whole + x
        places = {branch: [(branch, strips, strip) for strips in self.BINS for strip in range(strips)] for branch in "xg"}
        pooled = {
            place: part
            for branch, maps in (("x", x), ("g", whole))
            for place, part in zip(places[branch], pyramid(maps, self.BINS), strict=True)
        }
        if self.apart:
            matrices = dict(zip(places["x"], self.x_hpm.fc_bin[0], strict=True))
            matrices |= zip(places["g"], self.gl_hpm.fc_bin[0], strict=True)
        else:
            # At each number of strips the frame branch's parts come first, then the global branch's.
            order = [(branch, strips, strip) for strips in self.BINS for branch in "xg" for strip in range(strips)]
            matrices = dict(zip(order, self.fc_bin[0], strict=True))
        return {place: part @ matrices[place] for place, part in pooled.items()}


def focal(conv: nn.Conv2d, maps: Tensor, strips: int) -> Tensor:
    rows = maps.shape[2] // strips
    return torch.cat([conv(maps[:, :, strip * rows : (strip + 1) * rows]) for strip in range(strips)], 2)


class Plain(nn.Module):
    """The plain backbone: pairs of convolutions, the maps halved after the first pairs."""

    def __init__(self, channels: Sequence[int], halving: Sequence[int], poolings: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.strips = []
        for stage, (inputs, outputs) in enumerate(zip([1, *channels], channels, strict=False)):
            layers += list(pair(inputs, outputs, 5 if stage == 0 else 3, pooled=stage < poolings))
            self.strips += [2 ** halving[stage]] * 2
        self.feature = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        strips = iter(self.strips)
        for layer in self.feature:
            maps = focal(layer.conv, maps, next(strips)) if isinstance(layer, Wrapped) else layer(maps)
        return maps

    def per_frame(self, frames: Tensor) -> Tensor:
        return torch.stack([self(frames[:, number, None]) for number in range(frames.shape[1])], 1)


class Baseline(nn.Module):
    def __init__(
        self,
        channels: Sequence[int],
        embedding: int,
        bins: Sequence[int],
        classes: int,
        order: str = "by-channel",
        poolings: int = 2,
    ) -> None:
        super().__init__()
        self.bins = bins
        self.Backbone = Wrapped(forward_block=Plain(channels, [0] * len(channels), poolings))
        self.FCs = Separate(sum(bins), channels[-1], embedding)
        self.BNNecks = BNNecks(sum(bins), embedding, classes, order)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.Backbone.forward_block.per_frame(frames).amax(1)
        signatures = self.FCs(pyramid(maps, self.bins))
        return signatures, self.BNNecks(signatures)


def conv1d(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return Wrapped(conv=nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False))


def motion(channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(conv1d(channels, channels // 4, 3), nn.LeakyReLU(), conv1d(channels // 4, channels, kernel))


class GaitPart(nn.Module):
    PARTS = 16

    def __init__(self, channels: Sequence[int], halving: Sequence[int], embedding: int) -> None:
        super().__init__()
        last = channels[-1]
        self.Backbone = Wrapped(forward_block=Plain(channels, halving))
        self.TFA = Wrapped(
            pooling_func=Wrapped(
                conv1d3x1=nn.ModuleList(motion(last, 1) for _ in range(self.PARTS)),
                conv1d3x3=nn.ModuleList(motion(last, 3) for _ in range(self.PARTS)),
            )
        )
        self.Head = Separate(self.PARTS, last, embedding)

    def forward(self, frames: Tensor) -> Tensor:
        maps = self.Backbone.forward_block.per_frame(frames)
        steps = [pyramid(maps[:, number], [self.PARTS]) for number in range(maps.shape[1])]
        aggregated = []
        for part in range(self.PARTS):
            series = torch.stack([step[part] for step in steps], 2)  # [batch, channels, frames]
            weighted = torch.zeros_like(series)
            for convs, window in ((self.TFA.pooling_func.conv1d3x1, 3), (self.TFA.pooling_func.conv1d3x3, 5)):
                weighted = weighted + run(convs[part], series).sigmoid() * self._template(series, window)
            aggregated.append(weighted.amax(2))
        return self.Head(aggregated)

    @staticmethod
    def _template(series: Tensor, window: int) -> Tensor:
        """Mean plus maximum around each frame; the mean counts frames beyond the ends as zeros, the maximum does not."""
        around, length = window // 2, series.shape[2]
        columns = []
        for frame in range(length):
            near = series[:, :, max(0, frame - around) : frame + around + 1]
            columns.append(near.sum(2) / window + near.amax(2))
        return torch.stack(columns, 2)


def conv3d(inputs: int, outputs: int) -> nn.Module:
    return Wrapped(conv3d=nn.Conv3d(inputs, outputs, 3, padding=1, bias=False))


class GLConv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.global_conv3d = conv3d(inputs, outputs)
        self.local_conv3d = conv3d(inputs, outputs)

    def forward(self, clip: Tensor, strips: int, stacked: bool) -> Tensor:
        rows = clip.shape[3] // strips
        whole = F.leaky_relu(self.global_conv3d.conv3d(clip))
        local = [self.local_conv3d.conv3d(clip[:, :, :, strip * rows : (strip + 1) * rows]) for strip in range(strips)]
        apart = F.leaky_relu(torch.cat(local, 3))
        return torch.cat([whole, apart], 3) if stacked else whole + apart


class GaitGL(nn.Module):
    """``long`` is the form for OU-MVLP: twice as many convolutions; with ``order``, the head is BNNeck."""

    def __init__(self, channels: Sequence[int], classes: int, long: bool, order: str = "") -> None:
        super().__init__()
        first, last = channels[0], channels[-1]
        stem = [conv3d(1, first), nn.LeakyReLU()] + ([conv3d(first, first), nn.LeakyReLU()] if long else [])
        self.conv3d = nn.Sequential(*stem)
        aggregation = nn.Conv3d(first, first, (3, 1, 1), stride=(3, 1, 1), bias=False)
        self.LTA = nn.Sequential(Wrapped(conv3d=aggregation), nn.LeakyReLU())
        for name, inputs, outputs in zip(("GLConvA0", "GLConvA1", "GLConvB2"), channels, channels[1:], strict=False):
            layer = nn.Sequential(GLConv(inputs, outputs), GLConv(outputs, outputs)) if long else GLConv(inputs, outputs)
            self.add_module(name, layer)
        self.HPP = Wrapped()
        self.HPP.p = nn.Parameter(torch.ones(1))
        self.Head0 = Separate(64, last, last)
        if order:
            self.BNNecks = BNNecks(64, last, classes, order)
        else:
            self.Bn = nn.BatchNorm1d(last)
            self.Head1 = Separate(64, last, classes)
        self.long, self.order = long, order

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        repeats = {1: 3, 2: 2}.get(frames.shape[1], 1)
        clip = torch.cat([frames] * repeats, 1)[:, None]
        for layer in [*self.conv3d, *self.LTA]:
            clip = layer.conv3d(clip) if isinstance(layer, Wrapped) else layer(clip)
        strips = 2 if self.long else 8
        layers = [
            (name, layer)
            for name in ("GLConvA0", "GLConvA1", "GLConvB2")
            for layer in (self.get_submodule(name) if self.long else [self.get_submodule(name)])
        ]
        for number, (name, layer) in enumerate(layers):
            clip = layer(clip, strips, stacked=number + 1 == len(layers))
            if name == "GLConvA0" and layers[number + 1][0] != name:
                clip = torch.stack([F.max_pool2d(frame, 2) for frame in clip.unbind(2)], 2)
        maps = clip.amax(2).clamp(min=1e-6)  # [batch, channels, 64, width]
        parts = [(maps[:, :, row] ** self.HPP.p).mean(2) ** (1 / self.HPP.p) for row in range(64)]
        unnormalised = self.Head0(parts)
        if self.order:
            return unnormalised, self.BNNecks(unnormalised)
        signatures = torch.stack([self.Bn(unnormalised[:, part]) for part in range(64)], 1)
        return signatures, self.Head1(list(signatures.unbind(1)))


class GLN(nn.Module):
    """With ``classes``, the network of the second phase."""

    def __init__(
        self,
        channels: Sequence[int],
        lateral: int,
        embedding: int,
        bins: Sequence[int],
        compact: int = 0,
        classes: int = 0,
        order: str = "by-channel",
    ) -> None:
        super().__init__()
        one, two, three = channels
        self.bins, self.order, self.classes = bins, order, classes
        self.sil_stage_0 = Wrapped(forward_block=pair(1, one, 5))
        self.sil_stage_1 = Wrapped(forward_block=pair(one, two))
        self.sil_stage_2 = Wrapped(forward_block=pair(two, three))
        self.set_stage_1 = pair(one, two)
        self.set_stage_2 = pair(two, three)
        for level, width in enumerate(channels, start=1):
            self.add_module(f"lateral_layer{level}", nn.Conv2d(2 * width, lateral, 1, bias=False))
            self.add_module(f"smooth_layer{level}", nn.Conv2d(lateral, lateral, 3, padding=1, bias=False))
        parts = 3 * sum(bins)
        self.Head = Separate(parts, lateral, embedding)
        if classes:
            self.encoder_bn = nn.BatchNorm1d(parts * embedding)
            self.reduce_fc = nn.Linear(parts * embedding, compact, bias=False)
            self.reduce_bn = nn.BatchNorm1d(compact)
            self.reduce_cls = nn.Linear(compact, classes, bias=False)

    @staticmethod
    def _halved(maps: Tensor) -> Tensor:
        return F.max_pool2d(maps.flatten(0, -4), 2).unflatten(0, maps.shape[:-3])

    @staticmethod
    def _doubled(maps: Tensor) -> Tensor:
        return maps.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        first = per_frame(self.sil_stage_0.forward_block, frames[:, :, None])
        second = per_frame(self.sil_stage_1.forward_block, self._halved(first))
        third = per_frame(self.sil_stage_2.forward_block, self._halved(second))
        set1 = torch.cat([first.amax(1)] * 2, 1)
        middle = run(self.set_stage_1, self._halved(first).amax(1)) + second.amax(1)
        set2 = torch.cat([second.amax(1), middle], 1)
        deep = run(self.set_stage_2, self._halved(middle)) + third.amax(1)
        set3 = torch.cat([third.amax(1), deep], 1)
        level3 = self.lateral_layer3(set3)
        level2 = self.lateral_layer2(set2) + self._doubled(level3)
        level1 = self.lateral_layer1(set1) + self._doubled(level2)
        smooth = [self.smooth_layer1(level1), self.smooth_layer2(level2), self.smooth_layer3(level3)]
        signatures = self.Head([part for maps in smooth for part in pyramid(maps, self.bins)])
        if not self.classes:
            return signatures, None
        features = over_parts(self.encoder_bn, signatures, self.order).relu()
        turned = features if self.order == "by-part" else features.transpose(1, 2)
        logits = self.reduce_cls(self.reduce_bn(self.reduce_fc(turned.flatten(1))))
        return signatures, logits[:, None]


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = self.downsample(maps) if hasattr(self, "downsample") else maps
        return (shortcut + self.bn2(self.conv2(self.bn1(self.conv1(maps)).relu()))).relu()


class GaitBase(nn.Module):
    def __init__(
        self, channels: Sequence[int], embedding: int, bins: Sequence[int], classes: int, order: str = "by-channel"
    ) -> None:
        super().__init__()
        self.bins = bins
        blocks = {
            f"layer{number}": nn.Sequential(BasicBlock(inputs, outputs, stride))
            for number, inputs, outputs, stride in zip(
                (1, 2, 3, 4), [channels[0], *channels], channels, (1, 2, 2, 1), strict=False
            )
        }
        stem = conv2d(1, channels[0], 3)
        self.Backbone = Wrapped(forward_block=Wrapped(conv1=stem, bn1=nn.BatchNorm2d(channels[0]), **blocks))
        self.FCs = Separate(sum(bins), channels[-1], embedding)
        self.BNNecks = BNNecks(sum(bins), embedding, classes, order)

    def _frame(self, maps: Tensor) -> Tensor:
        net = self.Backbone.forward_block
        maps = net.bn1(net.conv1.conv(maps)).relu()
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            maps = layer(maps)
        return maps

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        maps = torch.stack([self._frame(frames[:, number, None]) for number in range(frames.shape[1])], 1).amax(1)
        signatures = self.FCs(pyramid(maps, self.bins))
        return signatures, self.BNNecks(signatures)


class DeepGaitV2(nn.Module):
    """``mode`` is 2d, p3d or 3d; frames that a convolution over time lacks at the ends of a sequence are zeros."""

    def __init__(
        self,
        mode: str,
        channels: Sequence[int],
        blocks: Sequence[int],
        embedding: int,
        classes: int,
        order: str = "by-channel",
    ) -> None:
        super().__init__()
        self.mode = mode
        self.layer0 = Wrapped(
            forward_block=nn.Sequential(
                nn.Conv2d(1, channels[0], 3, 1, 1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()
            )
        )
        inputs = channels[0]
        for number, (outputs, stride, count) in enumerate(zip(channels, (1, 2, 2, 1), blocks, strict=True), start=1):
            kind = BasicBlock if number == 1 or mode == "2d" else {"p3d": PseudoBlock, "3d": Block3d}[mode]
            stage = nn.Sequential(
                *(kind(inputs if place == 0 else outputs, outputs, stride if place == 0 else 1) for place in range(count))
            )
            self.add_module(f"layer{number}", Wrapped(forward_block=stage) if kind is BasicBlock else stage)
            inputs = outputs
        self.FCs = Separate(16, channels[-1], embedding)
        self.BNNecks = BNNecks(16, embedding, classes, order)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        maps = torch.stack([self.layer0.forward_block(frames[:, number, None]) for number in range(frames.shape[1])], 2)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            if isinstance(stage, Wrapped):
                maps = torch.stack([stage.forward_block(frame) for frame in maps.unbind(2)], 2)
            else:
                maps = stage(maps)
        signatures = self.FCs(pyramid(maps.amax(2), [16]))
        return signatures, self.BNNecks(signatures)


def projection3d(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(outputs))


class Block3d(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, (1, stride, stride), 1, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.downsample = projection3d(inputs, outputs, stride)

    def forward(self, clip: Tensor) -> Tensor:
        shortcut = clip if self.downsample is None else self.downsample(clip)
        return (shortcut + self.bn2(self.conv2(self.bn1(self.conv1(clip)).relu()))).relu()


class PseudoBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv1 = Wrapped(forward_block=nn.Sequential(first, nn.BatchNorm2d(outputs), nn.ReLU()))
        second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.conv2 = Wrapped(forward_block=nn.Sequential(second, nn.BatchNorm2d(outputs)))
        self.shortcut3d = nn.Conv3d(outputs, outputs, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.sbn = nn.BatchNorm3d(outputs)
        self.downsample = projection3d(inputs, outputs, stride)

    def forward(self, clip: Tensor) -> Tensor:
        hidden = torch.stack([self.conv1.forward_block(frame) for frame in clip.unbind(2)], 2)
        hidden = (hidden + self.sbn(self.shortcut3d(hidden))).relu()
        hidden = torch.stack([self.conv2.forward_block(frame) for frame in hidden.unbind(2)], 2)
        return (hidden + (clip if self.downsample is None else self.downsample(clip))).relu()
