"""The networks that a runtime's version reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress import export
from remote import compatibility
from remote.errors import DeviceError
from remote.runtimes.tensorrt.trtexec import lacking, network
from tests.support.families import some
from tests.support.onnx_files import linear
from tests.support.published import SMALLER, small

NEEDED_IR = {11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}


def reads(runtime: str, version: str | None, opset: int, ir_version: int | None = None) -> bool:
    facts = {"runtime": runtime, "runtime_version": version}
    try:
        compatibility.check(facts, opset, NEEDED_IR[opset] if ir_version is None else ir_version)
    except DeviceError:
        return False
    return True


@pytest.mark.parametrize(
    ("runtime", "version", "highest"),
    [
        ("tensorrt", "7.1.3", 11),
        ("tensorrt", "8.0.1", 13),
        ("tensorrt", "8.2.1.8", 13),
        ("tensorrt", "8.4.1", 17),
        ("tensorrt", "8.6.2", 17),
        ("tensorrt", "10.3.0", 20),
        ("tensorrt", "11.4.1.1", 20),
        ("tensorrt", "12.0.0", 20),
        ("onnxruntime", "1.4.0", 12),
        ("onnxruntime", "1.10.0", 15),
        ("onnxruntime", "1.16.3", 19),
        ("onnxruntime", "1.17.1", 20),
        ("onnxruntime", "1.32.0", 20),
        ("onnxruntime", "1.24.0.dev20260101", 20),
    ],
)
def test_opsets_up_to_the_runtimes_own_are_read(runtime: str, version: str, highest: int) -> None:
    assert [opset for opset in NEEDED_IR if reads(runtime, version, opset)] == list(range(11, highest + 1))


def test_the_opset_is_read_from_the_file(tmp_path: Path) -> None:
    file = linear(tmp_path / "network.onnx")
    assert compatibility.opset_of(onnx.load(file)) == 17
    compatibility.check_file({"runtime": "tensorrt", "runtime_version": "8.4.1"}, file)
    with pytest.raises(DeviceError, match=r"export.opset = 17: TensorRT 8.2.1 reads up to opset 13"):
        compatibility.check_file({"runtime": "tensorrt", "runtime_version": "8.2.1"}, file)


def test_the_refusal_names_the_newest_opset_that_fits() -> None:
    with pytest.raises(DeviceError) as raised:
        compatibility.check({"runtime": "tensorrt", "runtime_version": "8.0"}, 17, 8)
    assert str(raised.value) == "export.opset = 17: TensorRT 8.0 reads up to opset 13; set export.opset: 13"


def test_an_ir_version_beyond_the_runtimes_is_refused() -> None:
    assert not reads("onnxruntime", "1.6.0", 13, ir_version=8)
    assert not reads("tensorrt", "8.2.1", 13, ir_version=9)
    assert reads("tensorrt", "10.3.0", 17, ir_version=10)


@pytest.mark.parametrize(("runtime", "version"), [("another", "1.0"), ("tensorrt", None), ("tensorrt", "unknown")])
def test_an_unknown_runtime_or_version_refuses_nothing(runtime: str, version: str | None) -> None:
    assert reads(runtime, version, 20)


def made(
    path: Path, node: onnx.NodeProto, constants: dict[str, np.ndarray], nodes: tuple[onnx.NodeProto, ...] = ()
) -> network.Network:
    """A network x [1, 1, 4, 4] -> y of one node, read from a file as before a build."""
    graph = helper.make_graph(
        [*nodes, node],
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return network.read(path)


LATE = [(since, jetpack, name) for since, jetpack, names in lacking.OPERATORS for name in names.split()]


@pytest.mark.parametrize(("since", "jetpack", "name"), LATE, ids=[name for _, _, name in LATE])
def test_an_operator_that_a_tensorrt_lacks_is_named_with_the_jetpack_that_has_it(
    since: tuple[int, ...], jetpack: str, name: str, tmp_path: Path
) -> None:
    inner = helper.make_graph([helper.make_node(name, ["x"], ["z"])], "inner", [], [])
    for node in (
        helper.make_node(name, ["x"], ["y"]),
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner),
    ):
        read = made(tmp_path / "m.onnx", node, {})
        assert lacking.lacking(since, read) is None
        assert lacking.lacking((11, 4, 1), read) is None
        words = lacking.lacking((7, 1, 3), read) or ""
        assert words.startswith(f"the network holds {name}, which TensorRT has from {'.'.join(map(str, since))} on")
        assert f"JetPack {jetpack} or later" in words


SCALES = np.array([1, 1, 2, 2], np.float32)
BY_SCALES = ["x", "", "scales"]


@pytest.mark.parametrize(
    ("attributes", "inputs", "taken"),
    [
        ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, BY_SCALES, True),
        ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": "linear"}, BY_SCALES, True),
        ({"coordinate_transformation_mode": "asymmetric"}, BY_SCALES, False),
        ({"coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}, BY_SCALES, False),
        ({}, BY_SCALES, False),
        ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, ["x", "", "", "sizes"], False),
        ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, ["x", "", "computed"], False),
    ],
)
def test_tensorrt_7_resizes_in_few_ways(attributes: dict, inputs: list[str], taken: bool, tmp_path: Path) -> None:
    constants = {"scales": SCALES, "sizes": np.array([1, 1, 8, 8], np.int64), "one": np.ones(4, np.float32)}
    computed = helper.make_node("Mul", ["scales", "one"], ["computed"])
    read = made(tmp_path / "m.onnx", helper.make_node("Resize", inputs, ["y"], **attributes), constants, (computed,))
    assert lacking.lacking((8, 0, 1), read) is None
    words = lacking.lacking((7, 1, 3), read)
    assert words is None if taken else "resizes otherwise than TensorRT 7.1.3" in (words or "")


def test_tensorrt_7_takes_no_constants_of_64_bit_floating_point(tmp_path: Path) -> None:
    read = made(tmp_path / "m.onnx", helper.make_node("Cast", ["d"], ["y"], to=TensorProto.FLOAT), {"d": np.ones(4)})
    assert lacking.lacking((8, 0, 1), read) is None
    assert "64-bit floating point" in (lacking.lacking((7, 1, 3), read) or "")


# The oldest reads least.
OLD = some([("7.1.3", 11), ("8.0.1", 13), ("8.4.1", 17)], ("7.1.3", 11))


@pytest.mark.parametrize("name", some(SMALLER, "gaitset", "gaitgl", "gaitbase"))
@pytest.mark.parametrize(("version", "opset"), OLD)
def test_old_versions_lack_no_operator_of_an_exported_silhouette_model(
    version: str, opset: int, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "m.onnx"
    model = small(SMALLER[name], 0.125)
    export.export_torch(model, file, ["batch", "frames", *model.frame_shape], opset)
    compatibility.check_file({"runtime": "tensorrt", "runtime_version": version}, file)
    assert lacking.lacking(tuple(map(int, version.split("."))), network.read(file)) is None


def test_a_runtime_without_q_dq_pairs_needs_no_operator_set_for_int8(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    nodes = (helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),)
    constants = {"s": np.ones((), np.float32), "z": np.zeros((), np.int8)}
    made(file, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]), constants, nodes)
    compatibility.check_file({"runtime": "tensorrt", "runtime_version": "7.1.3"}, file)  # skipped by the build
    with pytest.raises(
        DeviceError, match=r"int8 needs opset 13, and ONNX Runtime 1.4.0 reads up to opset 12; take int8 out"
    ):
        compatibility.check_file({"runtime": "onnxruntime", "runtime_version": "1.4.0"}, file)
    with pytest.raises(DeviceError, match=r"export.opset = 17: TensorRT 8.2.1 reads up to opset 13"):
        compatibility.check_file({"runtime": "tensorrt", "runtime_version": "8.2.1"}, file)
