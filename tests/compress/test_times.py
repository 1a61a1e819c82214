"""The times of networks by their widths: learnt from networks whose times are made, and predicted for others."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compress.errors import CompressionError
from compress.pruning import torch_surgery
from compress.pruning.times import Layer, MeasuredNetwork, TimeModel, fit
from gait.networks import torch_model
from tests.support.families import some
from tests.support.published import SMALLER, small

FILTERS = {"a": 32, "b": 64, "c": 64}
LAYERS = [
    Layer("one", None, "a", 100),
    Layer("two", "a", "b", 3000),
    Layer("three", "b", "c", 6000),
    Layer("fc", "c", None, 500),
]


def took(widths: dict[str, int]) -> float:
    """A device that works on 16 filters at a time, and on each output once more."""
    a, b, c = (-(-widths[name] // 16) * 16 / FILTERS[name] for name in "abc")
    return 0.3 + 0.5 * a + 4 * a * b + 3 * b * c + 0.4 * widths["b"] / 64 + 0.5 * c


def took_by_other_kernels_where_narrow(widths: dict[str, int]) -> float:
    """A device whose layers read fewer than 16 filters one by one, and 16 and more as they write them: 16 at a time."""

    def reads(name: str) -> float:
        width = widths[name]
        return (width / 2 if width < 16 else -(-width // 16) * 16) / FILTERS[name]

    a, b, c = (-(-widths[name] // 16) * 16 / FILTERS[name] for name in "abc")
    return 0.3 + 0.5 * a + 4 * reads("a") * b + 3 * reads("b") * c + 0.5 * reads("c")


def networks(count: int, seed: int = 0, took: Callable[[dict[str, int]], float] = took) -> list[MeasuredNetwork]:
    rng = np.random.default_rng(seed)
    drawn = [{name: int(rng.integers(1, most // 4 + 1)) * 4 for name, most in FILTERS.items()} for _ in range(count)]
    return [MeasuredNetwork(widths, took(widths)) for widths in [FILTERS, *drawn]]


# What parts the kernels of narrow layers from the others cannot be fitted exactly.
@pytest.mark.parametrize(("device", "p90", "most"), [(took, 0.03, 0.05), (took_by_other_kernels_where_narrow, 0.06, 0.1)])
def test_times_of_networks_that_were_not_measured_are_reported(
    device: Callable[[dict[str, int]], float], p90: float, most: float
) -> None:
    times, errors = fit(LAYERS, FILTERS, networks(50, took=device))
    assert times.block == 16
    assert np.percentile(np.abs(errors), 90) < p90
    for other in networks(50, seed=1, took=device):
        assert times.predict(other.widths) == pytest.approx(other.ms, rel=most)


def test_what_the_measurements_do_not_tell_follows_the_multiply_adds() -> None:
    alike = [
        MeasuredNetwork({name: most // share for name, most in FILTERS.items()}, 10 / share**2) for share in (1, 2, 4) * 3
    ]
    times, _ = fit(LAYERS, FILTERS, alike)
    narrow = {name: times.predict({**FILTERS, name: FILTERS[name] // 2}) for name in FILTERS}
    assert narrow["b"] < narrow["c"] < narrow["a"] < times.predict(FILTERS)


@given(st.integers(0, 2**32 - 1), st.sampled_from(list(FILTERS)), st.integers(1, 31))
@settings(deadline=None, max_examples=20)
def test_a_wider_layer_is_never_faster_by_the_same_kernel(seed: int, name: str, width: int) -> None:
    rng = np.random.default_rng(seed)
    noisy = [MeasuredNetwork(network.widths, network.ms * rng.uniform(0.7, 1.4)) for network in networks(20, seed)]
    times, _ = fit(LAYERS, FILTERS, noisy)
    assume(width + 1 != times.block)  # there begins the kernel of full blocks
    assert times.predict({**FILTERS, name: width + 1}) >= times.predict({**FILTERS, name: width}) - 1e-9


def test_a_model_of_times_survives_its_file() -> None:
    times, _ = fit(LAYERS, FILTERS, networks(20))
    read = TimeModel.of_json(json.loads(json.dumps(times.as_json())))
    assert [read.predict(network.widths) for network in networks(9)] == [
        times.predict(network.widths) for network in networks(9)
    ]


def test_one_network_tells_nothing() -> None:
    with pytest.raises(CompressionError, match="nothing to prune"):
        fit(LAYERS, FILTERS, networks(0))


@pytest.mark.parametrize(
    "name", some(sorted(name for name in SMALLER if "cnn" not in name), "gaitset", "gaitgl", "gaitbase", "deepgaitv2 p3d")
)
def test_every_layer_that_pruning_narrows_is_named_with_its_groups(name: str) -> None:
    """A layer's multiply-adds change with the widths of its groups as it says, and with no others."""
    model = small(SMALLER[name], 0.25)
    groups, layers = torch_surgery.filters(model), torch_surgery.layers(model)
    before = {row["name"]: row["macs"] for row in torch_model.layers(model, 4)}
    for group, filters in groups.items():
        kept = {other: np.arange(width // 2 if other == group else width) for other, width in groups.items()}
        selections = {other: torch_surgery.Selection(width, kept[other], 0.0, (other,)) for other, width in groups.items()}
        after = {row["name"]: row["macs"] for row in torch_model.layers(torch_surgery.remove(model, selections), 4)}
        changed = {row for row, macs in before.items() if after[row] != macs}
        assert changed == {row for row, ends in layers.items() if group in ends and before.get(row)}
        assert filters > 1
