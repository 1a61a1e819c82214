"""Command lines of trtexec for TensorRT 7.1 to 11.x, whose options differ from version to version.

The command lines have every option that decides what is measured, also where it is the default. The options of 7.1 and 11
come from documents, and were never tried on a board:

* 7.1 has no ``--noDataTransfers`` and no ``--timingCacheFile``: NVIDIA/TensorRT, samples/common/sampleOptions.cpp of
  release/7.1 and release/7.2, https://github.com/NVIDIA/TensorRT/blob/release/7.1/samples/common/sampleOptions.cpp
* 11 has no precisions and no calibration:
  https://docs.nvidia.com/deeplearning/tensorrt/11.4.1/api/migration/tensorrt-10x-to-11x-trtexec.html
  It uses CUDA graphs and copies nothing unless ``--noCudaGraph`` and ``--includeDataTransfers`` say so (users' reports on
  11.0). It still lists ``--useSpinWait``:
  https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/command-line-programs.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PRECISIONS = ("fp32", "fp16", "int8", "best")
OLDEST, END = (7, 1), (12, 0)
STRONGLY_TYPED = (11, 0)  # from this version on an engine computes in the network's own types
SUPPORTED = "versions 7.1 to 11.x are supported (JetPack 4.4 to 7)"
# The message about a board with JetPack 4.3 or older, wherever it turns up.
TOO_OLD = (
    f"TensorRT older than 7.1, too old for the networks made here; {SUPPORTED}: update the board to JetPack 4.4 or later"
)

Version = Sequence[int]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """The shapes that an engine takes for an input with free axes, and the shape that it is fastest at."""

    least: Shape
    best: Shape
    most: Shape


@dataclass(frozen=True)
class BuildOptions:
    """How to build an engine.

    Attributes:
        precision: "fp32" (without TF32), "fp16", "int8" (the rest in fp16) or "best" (whatever is fastest). From TensorRT 11
            on the network itself says it: an fp16 network for "fp16", one with Q/DQ pairs, the rest in fp32, for "int8".
        workspace_mib: scratch memory in MiB that a layer may use; None leaves it to TensorRT.
        dla_core: the deep-learning accelerator to build for, with the GPU for layers that it lacks; None for the GPU.
        calibration: an INT8 calibration cache, for networks that are not quantised already.
        shapes: the ranges of the inputs with free axes; empty for a network whose axes are all fixed.
        timing_cache: a file in which TensorRT remembers times of kernels from build to build.
    """

    precision: str = "fp32"
    workspace_mib: int | None = None
    dla_core: int | None = None
    calibration: str | None = None
    shapes: Mapping[str, Range] = field(default_factory=dict)
    timing_cache: str | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision}: must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}")
        if self.calibration and self.precision not in ("int8", "best"):
            raise ValueError(f"a calibration cache is of no use for {self.precision}")
        if self.dla_core is not None and self.precision == "fp32":
            raise ValueError("a DLA core computes in fp16 and int8 only")


@dataclass(frozen=True)
class RunOptions:
    """How to run an engine.

    Attributes:
        shapes: the shapes of the inputs with free axes.
        warmup_ms, duration_s, queries: the least warm-up, seconds and number of queries.
        transfers: whether every query copies inputs to the device and outputs back.
        inputs: files with the raw values of inputs, by name; other inputs are random.
        times, outputs: files to write the queries' times and the outputs to.
        profile: a file to write the times of layers to; taking them slows the queries down.
        dla_core: the accelerator that the engine was built for.
        graph: whether a query is one launch of a CUDA graph, which spares the processor's work for each kernel.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    warmup_ms: int = 0
    duration_s: int = 0
    queries: int = 1
    transfers: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)
    times: str | None = None
    outputs: str | None = None
    profile: str | None = None
    dla_core: int | None = None
    graph: bool = False


def supported(version: Version) -> bool:
    """Whether the command lines here fit a version of TensorRT."""
    return OLDEST <= _number(version) < END


def strongly_typed(version: Version) -> bool:
    """Whether a version computes in the types of the network's file, and has no option for others."""
    return _number(version) >= STRONGLY_TYPED


def always_copies(version: Version) -> bool:
    """Whether a version's trtexec copies inputs and outputs in every query, whatever the options."""
    return _number(version) < (7, 2)


def build(trtexec: str, version: Version, onnx: str, engine: str, options: BuildOptions) -> list[str]:
    """The command that builds an engine from an ONNX file and runs nothing.

    TensorRT 7 has no file for a timing cache; there the option changes nothing.

    Raises:
        ValueError: the version is not supported, or lacks what the options ask for.
    """
    _check(version)
    return [
        trtexec,
        f"--onnx={onnx}",
        f"--saveEngine={engine}",
        *build_flags(version, options),
        *([f"--calib={options.calibration}"] if options.calibration else []),
        *([f"--timingCacheFile={options.timing_cache}"] if options.timing_cache and _number(version) >= (8, 0) else []),
        "--skipInference" if _number(version) >= (8, 6) else "--buildOnly",
    ]


def build_flags(version: Version, options: BuildOptions) -> list[str]:
    """The part of a build's command line, without names of files, that decides which engine comes out.

    Raises:
        ValueError: the version lacks what the options ask for.
    """
    if strongly_typed(version):
        if options.precision == "best" or options.calibration:
            missing = "calibration cache" if options.calibration else "best"
            raise ValueError(
                f"TensorRT {_text(version)} knows no {missing}: it computes in the types that the network's file has; take "
                "fp32, fp16 or int8, each of a file of its own"
            )
        flags = ["--noTF32"] if options.precision == "fp32" else []
    else:
        flags = {"fp32": ["--noTF32"], "fp16": ["--fp16"], "int8": ["--int8", "--fp16"], "best": ["--best"]}[
            options.precision
        ]
    flags += _explicit_batch(version)
    if options.workspace_mib is not None:
        old = _number(version) < (8, 4)
        flags.append(f"--workspace={options.workspace_mib}" if old else f"--memPoolSize=workspace:{options.workspace_mib}")
    if options.dla_core is not None:
        flags += [f"--useDLACore={options.dla_core}", "--allowGPUFallback"]
    for option, part in (("minShapes", "least"), ("optShapes", "best"), ("maxShapes", "most")):
        if options.shapes:
            shapes = {name: getattr(shape, part) for name, shape in options.shapes.items()}
            flags.append(f"--{option}={_shapes(shapes)}")
    return flags


def run(trtexec: str, version: Version, engine: str, options: RunOptions) -> list[str]:
    """The command that runs an existing engine.

    Raises:
        ValueError: the version is not supported.
    """
    _check(version)
    command = [trtexec, f"--loadEngine={engine}", *_explicit_batch(version)]
    if options.shapes:
        command.append(f"--shapes={_shapes(options.shapes)}")
    if options.inputs:
        files = (f"{_name(name)}:{file}" for name, file in options.inputs.items())
        command.append(f"--loadInputs={','.join(files)}")
    command += [
        f"--warmUp={options.warmup_ms}",
        f"--duration={options.duration_s}",
        f"--iterations={options.queries}",
        "--avgRuns=100",
        "--useSpinWait",
    ]
    if options.graph != strongly_typed(version):
        command.append("--useCudaGraph" if options.graph else "--noCudaGraph")
    if strongly_typed(version):
        command += ["--includeDataTransfers"] if options.transfers else []
    elif not options.transfers and not always_copies(version):
        command.append("--noDataTransfers")
    if options.dla_core is not None:
        command.append(f"--useDLACore={options.dla_core}")
    if options.times:
        command.append(f"--exportTimes={options.times}")
    if options.outputs:
        command.append(f"--exportOutput={options.outputs}")
    if options.profile:
        command.append(f"--exportProfile={options.profile}")
    return command


def _check(version: Version) -> None:
    if not supported(version):
        raise ValueError(f"TensorRT {_text(version)}: {SUPPORTED}")


def _explicit_batch(version: Version) -> list[str]:
    """The option by which TensorRT 7 takes the first axis like all others, as in ONNX networks; later ones always do."""
    return ["--explicitBatch"] if _number(version) < (8, 0) else []


def _number(version: Version) -> tuple[int, ...]:
    return tuple(version[:2])


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _shapes(shapes: Mapping[str, Shape]) -> str:
    return ",".join(f"{_name(name)}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())


def _name(name: str) -> str:
    """An input's name as options take it: in quotes if it holds a character that would end the name."""
    return name if re.fullmatch(r"[\w./-]+", name) else f"'{name}'"
