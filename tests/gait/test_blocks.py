"""Each layer of the silhouette models against a naive computation in numpy, written from its definition."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from gait.models.gaitbase import ResidualBlock
from gait.models.gaitgl import GeM, GLConv, TemporalAggregation
from gait.models.gaitpart import PARTS, MicroMotion
from gait.models.gln import CompactBlock
from gait.networks.blocks import BNNeck, ConvUnit, SeparateFC, horizontal_pyramid_pooling, set_max

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def computed(module: torch.nn.Module, array: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(array)).numpy()


def weights(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)


def leaky(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 0.01 * values)


def correlate(maps: np.ndarray, kernels: np.ndarray, stride: tuple[int, ...] = (), pad: tuple[int, ...] = ()) -> np.ndarray:
    """A network's convolution in any number of dimensions: [b, c, ...] with [o, c, ...] -> [b, o, ...]."""
    sizes = kernels.shape[2:]
    stride = stride or (1,) * len(sizes)
    pad = pad or tuple(size // 2 for size in sizes)
    padded = np.pad(maps.astype(np.float64), [(0, 0), (0, 0), *[(around, around) for around in pad]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, sizes, axis=tuple(range(2, 2 + len(sizes))))
    windows = windows[(slice(None), slice(None), *[slice(None, None, step) for step in stride])]
    # [b, c, places..., sizes...] x [o, c, sizes...]
    dims = len(sizes)
    summed = [1, *range(2 + dims, 2 + 2 * dims)]
    products = np.tensordot(windows, kernels, axes=(summed, [1, *range(2, 2 + dims)]))
    return np.moveaxis(products, -1, 1)


def batch_norm(values: np.ndarray, norm: torch.nn.Module) -> np.ndarray:
    """Batch norm with the statistics of training; channels are on axis 1."""
    along = (slice(None), *[None] * (values.ndim - 2))
    mean, var, scale, shift = (
        weights(tensor)[along] for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (values - mean) / np.sqrt(var + norm.eps) * scale + shift


def trained(norm: torch.nn.Module) -> None:
    """Give a batch norm different numbers in all statistics and weights."""
    size = norm.num_features
    norm.running_mean.copy_(torch.from_numpy(drawn(size, seed=5)))
    norm.running_var.copy_(torch.from_numpy(drawn(size, seed=6) ** 2 + 0.1))
    norm.weight.data.copy_(torch.from_numpy(drawn(size, seed=7)))
    norm.bias.data.copy_(torch.from_numpy(drawn(size, seed=8)))


def test_pyramid_pooling() -> None:
    maps = drawn(2, 3, 16, 11)
    expected = [strip.mean((2, 3)) + strip.max((2, 3)) for bins in (4, 2, 1) for strip in np.split(maps, bins, axis=2)]
    pooled = horizontal_pyramid_pooling(torch.from_numpy(maps), [4, 2, 1]).numpy()
    np.testing.assert_allclose(pooled, np.stack(expected, 1), **CLOSE)


def test_set_pooling() -> None:
    frames = drawn(6, 3, 4, 5)
    expected = np.stack([frames[:3].max(0), frames[3:].max(0)])
    np.testing.assert_array_equal(set_max(torch.from_numpy(frames), 2).numpy(), expected)


def test_separate_fc() -> None:
    layer, features = SeparateFC(3, 4, 5), drawn(2, 3, 4)
    expected = np.stack([features[:, part] @ weights(layer.weight)[part] for part in range(3)], 1)
    np.testing.assert_allclose(computed(layer, features), expected, **CLOSE)


@pytest.mark.parametrize("strips", [1, 2, 4])
@pytest.mark.parametrize("channels_last", [False, True])
def test_focal_convolution_pads_each_strip_by_itself(strips: int, channels_last: bool) -> None:
    unit, maps = ConvUnit(3, 5, 3, strips), drawn(2, 3, 8, 6)
    expected = np.concatenate(
        [leaky(correlate(strip, weights(unit.conv.weight))) for strip in np.split(maps, strips, axis=2)], 2
    )
    tensor = torch.from_numpy(maps)
    laid_out = tensor.contiguous(memory_format=torch.channels_last) if channels_last else tensor
    with torch.inference_mode():
        np.testing.assert_allclose(unit(laid_out).numpy(), expected, **CLOSE)


def test_bnneck() -> None:
    neck, signatures = BNNeck(3, 4, 5), drawn(2, 3, 4)
    trained(neck.bn)
    normal = batch_norm(signatures.reshape(2, 12), neck.bn).reshape(2, 3, 4)
    expected = np.empty((2, 3, 5))
    for sample in range(2):
        for part in range(3):
            for label in range(5):
                one, other = normal[sample, part], weights(neck.weight)[part, :, label]
                expected[sample, part, label] = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    np.testing.assert_allclose(computed(neck, signatures), expected, **CLOSE)


SHORTCUT = """
import torch
from gait.models.deepgaitv2 import NormUnit3d
from gait.networks.blocks import NormUnit

for channels in (2, 4, 8, 12):
    for unit, size, order in (
        (NormUnit(channels, 8, 1, 2), (16, channels, 64, 44), torch.channels_last),
        (NormUnit3d(channels, 8, 1, 2), (4, channels, 4, 64, 44), torch.channels_last_3d),
    ):
        maps = torch.rand(size).contiguous(memory_format=order).requires_grad_()
        unit.to(memory_format=order).eval()(maps).square().sum().backward()
        exact = NormUnit(channels, 8, 1).double().eval()
        exact.conv.weight.data = unit.conv.weight.detach().double().reshape(8, channels, 1, 1)
        every_second = maps.detach().double()[..., ::2, ::2].flatten(2).unsqueeze(-1).requires_grad_()
        exact(every_second).square().sum().backward()
        for own, right in (
            (unit.conv.weight.grad.flatten(), exact.conv.weight.grad.flatten()),
            (maps.grad[..., ::2, ::2].flatten(), every_second.grad.flatten()),
        ):
            assert (own - right).abs().max() < 1e-5 * right.abs().max(), (unit, size)
"""


def test_gradients_of_a_strided_shortcut_on_few_channels() -> None:
    # In a process of its own, for a library that writes past its memory ends or hangs the process.
    subprocess.run([sys.executable, "-c", SHORTCUT], check=True, timeout=120)


@pytest.mark.parametrize("kernel", [1, 3])
def test_temporal_feature_aggregation(kernel: int) -> None:
    channels, hidden, length = 4, 2, 7
    branch, features = MicroMotion(channels, hidden, kernel), drawn(2, PARTS * channels, length)
    around = (kernel + 2) // 2
    expected = []
    for part in range(PARTS):
        own = features[:, part * channels : (part + 1) * channels]
        squeeze = weights(branch.squeeze.weight)[part * hidden : (part + 1) * hidden]
        expand = weights(branch.expand.weight)[part * channels : (part + 1) * channels]
        scores = 1 / (1 + np.exp(-correlate(leaky(correlate(own, squeeze)), expand)))
        mean = np.stack(
            [own[:, :, max(0, at - around) : at + around + 1].sum(2) / (2 * around + 1) for at in range(length)], 2
        )
        most = np.stack([own[:, :, max(0, at - around) : at + around + 1].max(2) for at in range(length)], 2)
        expected.append(scores * (mean + most))
    np.testing.assert_allclose(computed(branch, features), np.concatenate(expected, 1), **CLOSE)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_global_and_local_convolution(stacked: bool, batch: int) -> None:
    layer, maps = GLConv(3, 5, 5, 4, stacked), drawn(batch, 3, 3, 8, 6)
    whole = leaky(correlate(maps, weights(layer.whole.conv.weight)))
    strips = [leaky(correlate(strip, weights(layer.local.conv.weight))) for strip in np.split(maps, 4, axis=3)]
    local = np.concatenate(strips, 3)
    expected = np.concatenate([whole, local], 3) if stacked else whole + local
    np.testing.assert_allclose(computed(layer, maps), expected, **CLOSE)


@pytest.mark.parametrize("length", [3, 8])
def test_temporal_aggregation_takes_three_frames_at_a_time(length: int) -> None:
    layer, maps = TemporalAggregation(3, 5), drawn(2, 3, length, 4, 4)
    expected = leaky(correlate(maps, weights(layer.conv.weight), (3, 1, 1), (0, 0, 0)))
    aggregated = computed(layer, maps)
    assert aggregated.shape[2] == length // 3
    np.testing.assert_allclose(aggregated, expected, **CLOSE)


def test_generalised_mean() -> None:
    maps = drawn(2, 3, 4, 5)
    expected = (np.maximum(maps.astype(np.float64), 1e-6) ** 6.5).mean(3) ** (1 / 6.5)
    np.testing.assert_allclose(computed(GeM(), maps), expected, **CLOSE)


@pytest.mark.parametrize(("stride", "projected"), [(1, False), (1, True), (2, True)])
def test_residual_block(stride: int, projected: bool) -> None:
    inputs, outputs = (3, 5) if projected else (5, 5)
    block, maps = ResidualBlock(inputs, 4, outputs, stride, projected), drawn(2, inputs, 8, 6)

    def unit(module: torch.nn.Module, values: np.ndarray, step: int = 1) -> np.ndarray:
        return batch_norm(correlate(values, weights(module.conv.weight), (step, step)), module.bn)

    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            trained(module)
    beside = unit(block.shortcut, maps, stride) if projected else maps
    expected = np.maximum(unit(block.conv2, np.maximum(unit(block.conv1, maps, stride), 0)) + beside, 0)
    np.testing.assert_allclose(computed(block, maps), expected, rtol=1e-5, atol=1e-5)


def test_compact_block() -> None:
    block, signatures = CompactBlock(12, 4, 0.9, 5), drawn(2, 3, 4)
    for norm in (block.bn, block.reduced_bn):
        trained(norm)
    short = np.maximum(batch_norm(signatures.reshape(2, 12), block.bn), 0) @ weights(block.reduce.weight).T
    expected = batch_norm(short, block.reduced_bn) @ weights(block.classes.weight).T
    np.testing.assert_allclose(computed(block, signatures), expected[:, None], rtol=1e-5, atol=1e-5)
