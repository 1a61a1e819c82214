"""Plan what TensorRT should do with a network on a board, before anything is sent there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from remote.runtimes.tensorrt.trtexec.command import BuildOptions, Range, strongly_typed
from remote.runtimes.tensorrt.trtexec.lacking import lacking
from remote.runtimes.tensorrt.trtexec.network import Network

WITHOUT_INT8 = ("5.3", "6.2")  # compute capabilities of the Nano (and TX1) and the TX2
WITH_DLA = ("7.2", "8.7")  # Xavier and Orin; the Orin Nano has no DLA
# TensorRT 11 has no DLA up to 11.4.0; 11.4.1 has it again on the AGX Orin:
# https://docs.nvidia.com/deeplearning/tensorrt/11.4.1/api/migration/tensorrt-10x-to-11x-jetson.html
WITHOUT_DLA = ((11, 0, 0), (11, 4, 1))
# Before this version QuantizeLinear scaled floating-point values, and calibration was the way to int8:
# https://github.com/NVIDIA/TensorRT/issues/1009
FIRST_WITH_PAIRS = (8, 0)
MOST = 8  # along each free axis but the batch's, an engine takes up to so many times the size that it is fastest at
CALIBRATION = "calibration.cache"  # beside the network, if there is one


class Impossible(Exception):
    """An engine cannot be built; the error has the status ("skipped" or "failed") and the reason for its record."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status


def plan(
    onnx: Path,
    network: Network,
    facts: Mapping[str, Any],
    precision: str,
    options: Mapping[str, Any],
    shape: Sequence[int] | None,
    max_batch: int = 1,
) -> BuildOptions:
    """The options of a build; names of files are those on this computer.

    Args:
        onnx: the network's file.
        network: its content.
        facts: the facts of the board.
        precision: "fp32", "fp16", "bf16", "int8" or "best".
        options: the device's options ``workspace_mib`` and ``dla_core``.
        shape: the shape of the input that the engine should be fastest at.
        max_batch: the largest batch that the engine must take, if that axis is free.

    Raises:
        Impossible: the board cannot run the network, or TensorRT would refuse it or compute nonsense.
    """
    gpu, capability = facts.get("gpu"), facts.get("compute_capability")
    version = _version(facts)
    dla_core = options.get("dla_core")
    if precision == "bf16":
        raise Impossible("skipped", "bf16 has fewer digits than fp16, and is no faster on a GPU; take fp16")
    if precision == "int8" and capability in WITHOUT_INT8:
        raise Impossible("skipped", f"the GPU ({gpu}, compute capability {capability}) has no INT8 hardware; take fp16")
    if dla_core is not None and (capability not in WITH_DLA or "Orin Nano" in (facts.get("board") or "")):
        raise Impossible("skipped", f"{facts.get('board') or gpu} has no DLA; leave out the device's option `dla_core`")
    if dla_core is not None and WITHOUT_DLA[0] <= version < WITHOUT_DLA[1]:
        raise Impossible(
            "skipped", f"TensorRT {facts['runtime_version']} has no DLA; leave out the device's option `dla_core`"
        )
    if dla_core is not None and precision == "fp32":
        raise Impossible("skipped", "a DLA core computes in fp16 and int8 only")
    if version < FIRST_WITH_PAIRS and (precision == "int8" or network.quantized):
        raise Impossible(
            "skipped",
            f"TensorRT {facts['runtime_version']} takes no network with Q/DQ pairs; take fp16, or update the board to "
            "JetPack 4.6 or later",
        )
    if precision == "best" and strongly_typed(version):
        raise Impossible(
            "skipped",
            f"TensorRT {facts['runtime_version']} does not choose precisions: it computes in the types of the network's "
            "file; list fp16 and int8 under `precisions`: the report tells which of those measured is the best here",
        )
    if reason := lacking(version, network) or _typed(network, precision, facts):
        raise Impossible("failed", reason)
    if precision == "best" and capability in WITHOUT_INT8:
        precision = "fp16"  # TensorRT's mix of fp32 and fp16
    calibration, calibrates = onnx.with_name(CALIBRATION), precision in ("int8", "best") and not network.quantized
    if precision == "int8" and network.unsigned:
        raise Impossible(
            "failed",
            "the network is quantised to unsigned values and TensorRT takes signed ones: set `activations: auto` under "
            "`quantize` in params.yaml",
        )
    if precision == "int8" and network.shifted:
        # https://github.com/onnx/onnx-tensorrt/blob/release/8.5-GA/docs/operators.md; the parser of 10.x says the same.
        raise Impossible(
            "failed",
            "the network is quantised with zero points other than 0 and TensorRT takes none: set `activations: auto` under "
            "`quantize` in params.yaml",
        )
    if precision == "int8" and (reason := _integers(network, facts)):
        raise Impossible("failed", f"{reason}: the file tensorrt.onnx of the stage quantize has what it takes")
    if calibrates and not calibration.exists():
        raise Impossible(
            "failed", f"the network is not quantised and has no {CALIBRATION}: INT8 would run on made-up ranges"
        )
    return BuildOptions(
        precision=precision,
        workspace_mib=options.get("workspace_mib"),
        dla_core=dla_core,
        calibration=str(calibration) if calibrates else None,
        shapes=_ranges(network, shape, max_batch),
    )


def _typed(network: Network, precision: str, facts: Mapping[str, Any]) -> str | None:
    """The fault of a network whose own types are not those of a precision, where only its file says the types; or None.

    Nothing would fail: the engine would just have another precision.
    https://docs.nvidia.com/deeplearning/tensorrt/11.4.1/api/migration/tensorrt-10x-to-11x-trtexec.html
    """
    version = _version(facts)
    if not strongly_typed(version):
        return None
    name, file = f"TensorRT {facts['runtime_version']}", "the file tensorrt.onnx of the stage quantize is of each precision"
    if precision == "int8":
        return None if network.quantized else f"the network has no Q/DQ pairs, and {name} calibrates none: {file}"
    is_one = {"fp32": not (network.half or network.quantized), "fp16": network.half and not network.quantized}[precision]
    return None if is_one else f"the network is not in {precision}, and {name} computes in the network's own types: {file}"


def _version(facts: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(map(int, facts["runtime_version"].split(".")[:3]))


def _integers(network: Network, facts: Mapping[str, Any]) -> str | None:
    """The reason why TensorRT refuses constants that are dequantised directly, or None.

    No version takes biases in INT32: https://github.com/microsoft/onnxruntime/issues/14229 (8.x) and
    https://github.com/onnx/onnx-tensorrt/issues/850 (8.4); the parser of 10.x says the same. TensorRT 8 takes weights only
    in floating point, behind a pair: https://github.com/megvii-research/Sparsebit/issues/16 (8.0.3 and 8.2.5).
    """
    version = facts["runtime_version"]
    if "INT32" in network.integer_constants:
        return "the network has biases in INT32, and TensorRT takes them in floating point"
    if "INT8" in network.integer_constants and version.startswith("8."):
        return f"the network has weights in INT8, and TensorRT {version} takes them in floating point, with a Q/DQ pair"
    return None


def _ranges(network: Network, shape: Sequence[int] | None, max_batch: int) -> dict[str, Range]:
    free = {name: axes for name, axes in network.inputs.items() if None in axes}
    if not free:
        return {}
    name, axes = next(iter(network.inputs.items()))
    if len(network.inputs) > 1 or shape is None or len(shape) != len(axes):
        raise Impossible("failed", f"the input {name} has free axes {axes}, and no shape is known to make it fastest at")
    best = tuple(axis or size for axis, size in zip(axes, shape, strict=True))
    most = [max(max_batch, best[0]), *(MOST * size for size in best[1:])]
    return {
        name: Range(
            tuple(axis or 1 for axis in axes),
            best,
            tuple(axis or largest for axis, largest in zip(axes, most, strict=True)),
        )
    }
