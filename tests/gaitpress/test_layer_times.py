"""Times of an engine's nodes as times of the network's layers; the names are those of real engines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaitpress.results.layer_times import by_layer


def node(name: str, ms: float = 1.0, op: str = "Conv") -> dict[str, Any]:
    return {"name": name, "op": op, "ms": ms}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("/frame1/LeakyRelu_output_0_nchwc", "frame1"),
        ("/frame1/conv/Conv_token_19", "frame1"),
        ("/frame1/conv/Conv + /frame1/LeakyRelu", "frame1"),
        ("/stem/stem.0/conv/Conv", "stem.0"),
        ("/layers.0/whole/conv/Conv", "layers.0.whole"),
        ("/layers.0/local/conv/Conv", "layers.0.local"),
        ("/block1/conv1/conv/Conv", "block1.conv1"),
        ("/fc/MatMul", "fc"),
        ("fc.weight_DequantizeLinear", "fc"),
        ("/MaxPool_2", None),
        ("ReorderOutput_token_21", None),
        ("Subtract_159", None),
    ],
)
def test_a_node_of_a_pytorch_model_belongs_to_the_layer_in_its_path(name: str, layer: str | None) -> None:
    layers = ["frame1", "stem.0", "layers.0.whole", "layers.0.local", "block1.conv1", "conv1", "fc"]
    times = by_layer([node(name)], layers)
    assert times.layers == ({layer: 1.0} if layer else {})
    assert times.others == ({} if layer else {"Conv": 1.0})


def test_the_numbers_that_tensorflow_adds_are_no_part_of_a_layers_name() -> None:
    names = {
        "cnn2d_signature_1/conv1_1/BiasAdd": "conv1",
        "cnn2d_signature_1/conv2_1/Relu:0_nchwc": "conv2",
        "cnn2plus1d_signature_1/conv1_spatial_1/Conv__36": "conv1_spatial",
        "cnn2d_signature_1/code_1/MatMul_Gemm__7": "code",
        "cnn2d_signature_1/code_1_2/MatMul_Gemm__8": "code_1",
    }
    nodes = [node(name, ms) for ms, name in enumerate(names, start=1)]
    times = by_layer(nodes, ["conv1", "conv1_spatial", "conv2", "code", "code_1"])
    assert times.layers == {layer: float(ms) for ms, layer in enumerate(names.values(), start=1)}


@given(st.lists(st.tuples(st.sampled_from(["/a/Conv", "/b.1/Conv", "/a/b.1/x", "Pool", ""]), st.floats(0, 100))))
def test_no_time_is_lost_or_counted_twice(parts: list[tuple[str, float]]) -> None:
    times = by_layer([node(name, ms) for name, ms in parts], ["a", "b.1"])
    assert sum(times.layers.values()) + times.rest == pytest.approx(times.total)
    assert times.total == pytest.approx(sum(ms for _, ms in parts))


def test_the_rest_names_what_takes_longest() -> None:
    nodes = [
        node(f"node{number}", ms, op) for number, (op, ms) in enumerate([("A", 1), ("B", 4), ("C", 2), ("D", 3), ("B", 1)])
    ]
    assert by_layer(nodes, []).rest_in_words() == "B 5 ms, D 3 ms, C 2 ms, and 1 more"
