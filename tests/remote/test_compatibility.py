"""Which networks a runtime's version reads."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from remote import compatibility
from remote.errors import DeviceError
from tests.remote.onnx_files import linear

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
        ("tensorrt", "11.0.0", 20),
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


def test_the_refusal_names_the_opset_that_would_do() -> None:
    with pytest.raises(DeviceError) as told:
        compatibility.check({"runtime": "tensorrt", "runtime_version": "8.0"}, 17, 8)
    assert str(told.value) == "export.opset = 17: TensorRT 8.0 reads up to opset 13; set export.opset: 13"


def test_an_ir_version_beyond_the_runtimes_is_refused() -> None:
    assert not reads("onnxruntime", "1.6.0", 13, ir_version=8)
    assert not reads("tensorrt", "8.2.1", 13, ir_version=9)
    assert reads("tensorrt", "10.3.0", 17, ir_version=10)


@pytest.mark.parametrize(("runtime", "version"), [("another", "1.0"), ("tensorrt", None), ("tensorrt", "unknown")])
def test_where_nothing_is_known_nothing_is_refused(runtime: str, version: str | None) -> None:
    assert reads(runtime, version, 20)
