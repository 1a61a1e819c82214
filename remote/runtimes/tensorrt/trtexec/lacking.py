"""Find what older versions of TensorRT lack for a network; their parser would refuse it on the board."""

from __future__ import annotations

from collections.abc import Sequence

from remote.runtimes.tensorrt.trtexec.network import Network

# The version and the JetPack that brought operators: https://github.com/onnx/onnx-tensorrt/blob/main/docs/Changelog.md
# and https://github.com/NVIDIA/TensorRT/blob/main/CHANGELOG.md (8.0.1, 8.2.0)
OPERATORS: list[tuple[tuple[int, int], str, str]] = [
    (
        (8, 0),
        "4.6",
        "Celu CumSum EyeLike GatherElements GlobalLpPool GreaterOrEqual LessOrEqual LpNormalization LpPool ReverseSequence",
    ),
    ((8, 2), "4.6.1", "Einsum GatherND IsNaN Round ScatterElements Sign"),
    ((8, 4), "5.0.2", "Shrink Xor"),
    ((8, 5), "5.1", "GridSample MeanVarianceNormalization Mod NonZero RandomNormal RoiAlign Trilu"),
    ((8, 6), "6.0", "GroupNormalization IsInf LayerNormalization"),
    ((9, 2), "6.1", "Hardmax"),
    ((10, 1), "6.1", "DeformConv"),
]
# How TensorRT 7 resizes: https://github.com/onnx/onnx-tensorrt/blob/release/7.2-GA/docs/operators.md
# It wants constants, and takes none of 64-bit floating point: https://github.com/NVIDIA/TensorRT/issues/1346 (7.1.3)
RESIZES_OF_7 = {("asymmetric", "nearest", "floor", True), ("asymmetric", "linear", "floor", True)}


def lacking(version: Sequence[int], network: Network) -> str | None:
    """The parts of a network that a TensorRT lacks, and what to do, in words; None if no lack is known.

    Args:
        version: the version of TensorRT.
        network: the content of the network.
    """
    name = f"TensorRT {'.'.join(map(str, version))}"
    for since, jetpack, names in OPERATORS:
        if tuple(version) < since and (missing := network.operators & set(names.split())):
            return (
                f"the network holds {', '.join(sorted(missing))}, which TensorRT has from {'.'.join(map(str, since))} on, "
                f"and this is {name}; update the board to JetPack {jetpack} or later, or build the model of other operators"
            )
    if tuple(version) >= (8, 0):
        return None
    update = "update the board to JetPack 4.6 or later"
    if network.resizes - RESIZES_OF_7:
        return (
            f"the network resizes otherwise than {name} does, which is asymmetric, nearest or linear, rounding down, by "
            f"scales that are constants; {update}, or resize so in the model"
        )
    if network.doubles:
        return f"the network has constants of 64-bit floating point, and {name} takes none; {update}, or export in float32"
    return None
