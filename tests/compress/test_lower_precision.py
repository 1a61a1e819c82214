"""fp16 files, the lowest IR version, folded batch norms, and TensorRT's calibration cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compress import export
from compress.errors import CompressionError
from compress.precision import calibration_cache, half_precision, mixed_int8, quantization
from gait.networks.torch_model import TorchModel
from tests.support.families import some
from tests.support.int8 import to_int8
from tests.support.published import SMALLER, small

FRAMES = 6


def exported(name: str, path: Path, opset: int = 17) -> TorchModel:
    model = small(SMALLER[name])
    export.export_torch(model, path, [1, "frames", *model.frame_shape], opset)
    return model


def frames(model: TorchModel, count: int = 2) -> list[np.ndarray]:
    return [np.random.default_rng(n).random((1, FRAMES, *model.frame_shape), np.float32) for n in range(count)]


def network(path: Path, weights: list[float], *kinds: str, opset: int = 17) -> Path:
    """input [1, n] * weights, then one operation after the other."""
    names = [f"{number}" for number in range(len(kinds))] + [export.OUTPUT]
    nodes = [helper.make_node("Mul", [export.INPUT, "weights"], [names[0]])]
    nodes += [helper.make_node(kind, [names[place]], [names[place + 1]]) for place, kind in enumerate(kinds)]
    shape = [1, len(weights)]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(export.INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(export.OUTPUT, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array([weights], np.float32), "weights")],
    )
    export.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path


@pytest.mark.parametrize("opset", some([11, 17], 17))
@pytest.mark.parametrize("name", some(["gaitset", "gaitpart", "gaitgl", "gaitbase"], "gaitset", "gaitbase"))
def test_fp16_halves_a_network_takes_float32_and_gives_nearly_the_same(name: str, opset: int, tmp_path: Path) -> None:
    source, target = tmp_path / "fp32.onnx", tmp_path / "fp16.onnx"
    model = exported(name, source, opset)
    half = half_precision.to_fp16(source, target, frames(model))
    proto = onnx.load(target)
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    weights = [tensor for tensor in proto.graph.initializer if np.prod(tensor.dims) > 100]
    assert weights and {tensor.data_type for tensor in weights} <= {TensorProto.FLOAT16, TensorProto.INT64}
    assert target.stat().st_size < 0.6 * source.stat().st_size
    assert 0 < half.error < 2e-3
    assert export.relative_error(export.run(target, frames(model)), export.run(source, frames(model))) < 2e-3


def test_a_generalised_mean_stays_in_fp32_without_a_detour(tmp_path: Path) -> None:
    model = exported("gaitgl", tmp_path / "fp32.onnx")
    half_precision.to_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx", frames(model))
    nodes = {name: node for node in onnx.load(tmp_path / "fp16.onnx").graph.node for name in node.output}
    chain = [[node for node in nodes.values() if node.op_type == "Pow"][-1]]
    while len(chain) < 4:
        chain.append(nodes[chain[-1].input[0]])
    assert [node.op_type for node in chain] == ["Pow", "ReduceMean", "Pow", "Cast"]


def test_a_value_beyond_fp16_is_refused_by_name_even_where_the_signature_is_finite(tmp_path: Path) -> None:
    # exp(20) is 4.9e8; on this processor the fp16 file would give 20, on a device infinity.
    source = network(tmp_path / "fp32.onnx", [20, 1], "Exp", "Log")
    with pytest.raises(CompressionError, match=r"fp16 overflows: 1 reaches 4.85e\+08 .* 65504"):
        half_precision.to_fp16(source, tmp_path / "fp16.onnx", [np.ones((1, 2), np.float32)])
    assert not (tmp_path / "fp16.onnx").exists()


def test_weights_that_fp16_cannot_hold_are_counted(tmp_path: Path) -> None:
    source = network(tmp_path / "fp32.onnx", [1e5, -1e6, 1e-5, -1e-9, 0, 1], "Identity")
    half = half_precision.to_fp16(source, tmp_path / "fp16.onnx", [np.full((1, 6), 0.5, np.float32)])
    assert (half.weights, half.cut, half.subnormal) == (6, 2, 2)
    assert half.error > 0.9
    weights = numpy_helper.to_array(onnx.load(tmp_path / "fp16.onnx").graph.initializer[0])
    assert weights.dtype == np.float16 and np.isfinite(weights).all()


@pytest.mark.parametrize("opset", some([11, 13, 17, 20], 11, 17))
def test_files_have_the_lowest_ir_version_and_no_operator_set_that_they_do_not_use(opset: int, tmp_path: Path) -> None:
    model = exported("baseline", tmp_path / "fp32.onnx", opset)
    half_precision.to_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx", frames(model))
    to_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", frames(model), "minmax", True, "uint8", 7)
    # One scale a channel is from 13 on: int8 is raised to it.
    for file, written in (("fp32.onnx", opset), ("fp16.onnx", opset), ("int8.onnx", max(13, opset))):
        proto = onnx.load(tmp_path / file)
        assert [(imported.domain, imported.version) for imported in proto.opset_import] == [("", written)]
        assert proto.ir_version == {11: 6, 13: 7, 17: 8, 20: 9}[written]


@pytest.mark.parametrize("name", some(SMALLER, "gaitbase"))
def test_int8_of_opset_11_computes_what_int8_of_opset_13_does(name: str, tmp_path: Path) -> None:
    outputs = []
    for opset in (11, 13):
        model = exported(name, tmp_path / "fp32.onnx", opset)
        to_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", frames(model), "minmax", True, "int8", 8)
        outputs.append(export.run(tmp_path / "int8.onnx", frames(model)))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)


def test_a_network_that_cannot_be_raised_to_the_operator_set_of_int8_is_reported(tmp_path: Path) -> None:
    source = network(tmp_path / "fp32.onnx", [1, 2], "Teleport", opset=11)
    with pytest.raises(CompressionError, match=r"int8 needs opset 13, .* export.opset = 11 cannot be raised .*Teleport"):
        to_int8(source, tmp_path / "int8.onnx", [np.ones((1, 2), np.float32)], "minmax", True, "uint8", 7)


@pytest.mark.parametrize("name", some(SMALLER, "gaitgl", "gaitbase", "deepgaitv2 p3d"))
def test_batch_norm_is_folded_into_the_convolutions(name: str, tmp_path: Path) -> None:
    model = exported(name, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    left = [node for node in graph.node if node.op_type == "BatchNormalization"]
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()) <= (not left)
    # GaitGL's stands behind its FC of each part; it has no BatchNorm before that.
    assert not any(makers[node.input[0]] == "Conv" for node in left)
    assert {"Identity", "Dropout"}.isdisjoint(makers.values())


@pytest.mark.parametrize("activations", some(["int8", "uint8"], "uint8"))
@pytest.mark.parametrize("name", ["gaitset", "gaitbase"])
def test_the_cache_has_the_scales_of_the_quantised_file(name: str, activations: str, tmp_path: Path) -> None:
    source, quantised = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    model = exported(name, source)
    to_int8(source, quantised, frames(model), "minmax", True, activations, 8)
    scales = calibration_cache.activation_scales(source, quantised)
    proto = onnx.load(quantised)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    in_file = {
        node.input[0].removesuffix("_QuantizeLinear_Input"): (constants[node.input[1]], constants[node.input[2]])
        for node in proto.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants
    }
    in_both = in_file.keys() & scales.keys()
    assert len(in_both) > 15 and export.OUTPUT in in_both
    for tensor in in_both:
        scale, zero = in_file[tensor]
        if activations == "int8":
            assert zero == 0 and np.float32(scales[tensor]) == scale
        else:
            assert scales[tensor] * 127 == pytest.approx(max(float(zero), 255 - float(zero)) * float(scale), rel=1e-6)
    # Every convolution's input, and what is known of a Relu's result, although the quantiser drops the Relu.
    graph = onnx.load(source).graph
    for node in graph.node:
        if node.op_type == "Relu" or (node.op_type == "Conv" and activations == "int8"):
            assert node.output[0] in scales
        if node.op_type == "Conv":
            assert node.input[0] in scales or node.input[0] == export.INPUT
    assert scales.keys() <= {export.INPUT} | {output for node in graph.node for output in node.output}


def test_the_range_of_an_int8_activation_is_127_scales(tmp_path: Path) -> None:
    source = network(tmp_path / "fp32.onnx", [2, 2], "Relu")
    inputs = [np.array([[0.25, 0.5]], np.float32), np.array([[-0.75, 0.1]], np.float32)]
    to_int8(source, tmp_path / "int8.onnx", inputs, "minmax", False, "int8", 8)
    scales = calibration_cache.activation_scales(source, tmp_path / "int8.onnx")
    assert scales[export.INPUT] * 127 == pytest.approx(0.75, rel=1e-5)


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30)
numbers = st.floats(min_value=2.0**-149, max_value=2.0**127, width=32).filter(lambda scale: scale > 0)


@given(st.dictionaries(names, numbers, max_size=8), st.integers(7000, 109999))
def test_a_cache_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, scales: dict, version: int) -> None:
    path = tmp_path_factory.mktemp("cache") / "calibration.cache"
    calibration_cache.write(path, scales, version)
    assert calibration_cache.read(path) == (version, "EntropyCalibration2", scales)


def test_a_cache_is_written_as_tensorrt_does(tmp_path: Path) -> None:
    path = tmp_path / "calibration.cache"
    calibration_cache.write(path, {"data": 0.00784518, "/conv 1/Conv: 0": 2.0083642}, 8510)
    assert path.read_bytes() == b"TRT-8510-EntropyCalibration2\ndata: 3c008912\n/conv 1/Conv: 0: 4000890a\n"
    path.write_bytes(b"TRT-7202-MinMaxCalibration\r\nx[0]: 4000890A\r\n")
    version, kind, scales = calibration_cache.read(path)
    assert (version, kind) == (7202, "MinMaxCalibration")
    assert 127 * scales["x[0]"] == pytest.approx(255.06, abs=0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [("x: 3c008912\n", "line 1"), ("TRT-8201-MinMaxCalibration\nx 3c008912\n", "line 2"), ("", "line 1"),
     ("TRT-8201-MinMaxCalibration\nx: 3c00891\n", "line 2")],
)  # fmt: skip
def test_what_is_no_cache_is_reported_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "calibration.cache").write_text(text)
    with pytest.raises(CompressionError, match=said):
        calibration_cache.read(tmp_path / "calibration.cache")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e39])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(CompressionError, match="'x' has the scale"):
        calibration_cache.write(tmp_path / "calibration.cache", {"x": scale})


@given(
    shares=st.lists(st.integers(0, 50), min_size=1, max_size=9),
    activations=st.integers(0, 20),
    max_error=st.integers(0, 300),
)
def test_the_fewest_layers_that_matter_most_stay_in_fp32(shares: list[int], activations: int, max_error: int) -> None:
    # Each layer in int8 adds its share to the error, and activations add theirs whatever stays in fp32.
    share = {f"layer{place}": value for place, value in enumerate(shares)}

    def error(floating: Sequence[str]) -> int:
        return activations + sum(value for layer, value in share.items() if layer not in floating)

    if activations > max_error:
        with pytest.raises(CompressionError, match="even with all layers in fp32, more than quantize"):
            mixed_int8.fewest(list(share), error, max_error)
        return
    chosen = mixed_int8.fewest(list(share), error, max_error)
    assert error(chosen) <= max_error
    assert [share[layer] for layer in chosen] == sorted(shares, reverse=True)[: len(chosen)]
    assert not chosen or error(chosen[:-1]) > max_error


def test_weights_of_8_bits_do_not_overflow_on_any_cpu(tmp_path: Path) -> None:
    # Two products of 255 and 127 are 64,770: twice what CPUs without VNNI can add up in 16 bits.
    constants = {
        "scale": np.float32(1),
        "zero": np.uint8(0),
        "weight": np.full((8, 16, 2, 2), 127, np.int8),
        "middle": np.int8(0),
    }
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", [export.INPUT, "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"]),
            helper.make_node("DequantizeLinear", ["weight", "scale", "middle"], ["w"]),
            helper.make_node("Conv", ["x", "w"], ["y"]),
            helper.make_node("QuantizeLinear", ["y", "large", "zero"], ["z"]),
            helper.make_node("DequantizeLinear", ["z", "large", "zero"], [export.OUTPUT]),
        ],
        "convolution",
        [helper.make_tensor_value_info(export.INPUT, TensorProto.FLOAT, [1, 16, 2, 2])],
        [helper.make_tensor_value_info(export.OUTPUT, TensorProto.FLOAT, [1, 8, 1, 1])],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in {**constants, "large": np.float32(10000)}.items()
        ],
    )
    export.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "int8.onnx")
    [output] = export.run(tmp_path / "int8.onnx", [np.full((1, 16, 2, 2), 255, np.float32)])
    assert (output == round(255 * 127 * 64 / 10000) * 10000).all()


def spoiled(path: Path) -> TorchModel:
    """GaitSet where a filter's weights are so great that its layer's others are lost in 8 bits.

    The next layer divides its output by as much, so that the signatures are the same.
    """
    model = small(SMALLER["gaitset"])
    with torch.no_grad():
        model.get_submodule("frame3").conv.weight[0] *= 300
        model.get_submodule("frame4").conv.weight[:, 0] /= 300
    export.export_torch(model, path, [1, "frames", *model.frame_shape], 17)
    return model


def test_layers_that_int8_spoils_stay_in_fp32_and_no_others(tmp_path: Path) -> None:
    source, target = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    data = frames(spoiled(source))
    way = quantization.Int8("int8", 8, "weights")
    with quantization.calibrated(source, data, "minmax", False) as network:

        def error(floating: Sequence[str]) -> float:
            network.write(target, way, floating)
            return export.relative_error(export.run(target, data), export.run(source, data))

        before = error([])
        assert before > 0.1
        floating = mixed_int8.floating_layers(network, way, data, before / 3)
        assert 0 < len(floating) < len(network.layers) / 2
        assert error(floating) <= before / 3 < error(floating[:-1])
        assert mixed_int8.floating_layers(network, way, data, 2 * before) == []
        network.write(target, way, floating)
    quantised = {node.name: node for node in onnx.load(target).graph.node}
    made_by = {name: node.op_type for node in quantised.values() for name in node.output}
    in_int8 = {layer for layer in network.layers if made_by.get(quantised[layer].input[1]) == "DequantizeLinear"}
    assert in_int8 == set(network.layers) - set(floating)
    assert {"/frame3/conv/Conv", "/frame4/conv/Conv"} <= {*floating}


@pytest.mark.parametrize("name", some(["gaitset", "gaitgl", "gaitbase"], "gaitbase"))
def test_the_form_for_tensorrt_has_pairs_at_the_inputs_of_what_has_weights_alone(name: str, tmp_path: Path) -> None:
    source, fixed, target = (tmp_path / f"{kind}.onnx" for kind in ("free", "fixed", "int8"))
    model = exported(name, source, 13)
    data = frames(model)
    export.fix_axes(source, fixed, data[0].shape)
    with quantization.calibrated(source, data, "minmax", True) as network:
        network.write(tmp_path / "cpu.onnx", quantization.Int8("uint8", 7, "kernels"))
        network.with_axes(fixed).write(target, quantization.Int8("int8", 8, "weights"))
    assert export.relative_error(export.run(target, data), export.run(source, data)) < 0.05
    graph = onnx.load(target).graph
    assert [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim] == list(data[0].shape)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    linear = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    for node in linear:
        zero = constants[node.input[2]]
        assert zero.data_type == TensorProto.INT8 and not numpy_helper.to_array(zero).any()
    assert TensorProto.INT32 not in {tensor.data_type for tensor in graph.initializer}
    weighted = [node for node in graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    pairs = set()
    for node in weighted:
        for place in (0, 1):
            dequantize = makers[node.input[place]]
            quantize = makers[dequantize.input[0]]
            assert (dequantize.op_type, quantize.op_type) == ("DequantizeLinear", "QuantizeLinear")
            assert (quantize.input[0] in constants) == (place == 1)
            pairs |= {dequantize.output[0], quantize.output[0]}
    assert pairs == {node.output[0] for node in linear}
    # Calibrated once: what both forms quantise has the same range, here about 0.
    cpu, both = (calibration_cache.activation_scales(source, tmp_path / f"{kind}.onnx") for kind in ("cpu", "int8"))
    shared = {tensor for tensor in cpu.keys() & both.keys() if tensor in {node.input[0] for node in weighted}}
    for tensor in shared:
        assert both[tensor] == pytest.approx(cpu[tensor], rel=0.02)


def test_a_network_with_fixed_axes_gives_the_same_signatures_and_computes_no_shapes(tmp_path: Path) -> None:
    model = exported("gaitgl", tmp_path / "free.onnx", 13)
    data = frames(model)
    export.fix_axes(tmp_path / "free.onnx", tmp_path / "fixed.onnx", ["batch", *data[0].shape[1:]])
    graph = onnx.load(tmp_path / "fixed.onnx").graph
    axes = graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_value for axis in axes] == [1, *data[0].shape[1:]]  # it was exported with a batch of 1
    assert "Shape" not in {node.op_type for node in graph.node}
    error = export.relative_error(export.run(tmp_path / "fixed.onnx", data), export.run(tmp_path / "free.onnx", data))
    assert error < 1e-6


def test_eight_bit_weights_are_computed_as_the_file_says_on_every_processor(tmp_path: Path) -> None:
    model = exported("gaitset", tmp_path / "fp32.onnx")
    data = frames(model)
    errors = {}
    with quantization.calibrated(tmp_path / "fp32.onnx", data, "minmax", True) as network:
        for bits in (7, 8):
            network.write(tmp_path / "int8.onnx", quantization.Int8("uint8", bits, "kernels"))
            computed = export.run(tmp_path / "int8.onnx", data)
            errors[bits] = export.relative_error(computed, export.run(tmp_path / "fp32.onnx", data))
    assert errors[8] < 1.5 * errors[7] < 0.1
