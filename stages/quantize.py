"""Make the ONNX files of one precision: fp32 as exported, fp16, int8 with ranges calibrated on training sequences, or best.

model.onnx is for processors, tensorrt.onnx for TensorRT. For int8 there may be model-8bit.onnx, for processors that add
8-bit products exactly, and there is calibration.cache: the same ranges for TensorRT up to 10. For best the networks are in
fp32, and TensorRT takes each layer in the precision that is fastest, int8 by calibration.cache.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress import export as onnx_export
from compress.precision import calibration_cache, half_precision, mixed_int8, quantization
from compress.precision.quantization import Int8
from gait.data.prepared.sets import TrainingSet
from gait.data.samples import samples
from gaitpress import command_line, forms, inputs, outputs
from gaitpress import settings as made_with
from gaitpress.params.quantize import Quantize
from gaitpress.progress import progress

Made = tuple[dict[str, dict[str, Any]], dict[str, float]]  # what signature.json says of each file, and metrics.json


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=command_line.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--precision", required=True, choices=["fp32", "fp16", "int8", "best"])
    parser.add_argument(
        "--exported", type=Path, required=True, help="the ONNX folder (results/export/<model>/p<percentile>)"
    )
    inputs.add_training(parser)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write: model.onnx, tensorrt.onnx, signature.json, metrics.json"
    )
    options, settings = command_line.parse(parser)
    entry = settings.entry(options.model)
    signature = outputs.read_json(options.exported / "signature.json")
    shape = signature["input"]["shape"]
    fixed = shape if settings.export.dynamic_frames is True else [shape[0], *signature["benchmark_shape"][1:]]
    axes = {file: fixed if form.fixed_axes else shape for file, form in forms.FORMS.items() if not form.int8_only}
    training_set, store = inputs.open_training(options.training, options.preprocessed)
    before = inputs.of_same_training(options.exported, training_set, store)
    chosen = list(_calibration(training_set, settings.quantize.calibration_sequences, entry.seed))
    data = {
        file: [sample for position in chosen for sample in samples(store, store.sequences[position], of_file)]
        for file, of_file in axes.items()
    }
    with outputs.new_directory(options.out) as out, tempfile.TemporaryDirectory() as scratch:
        exported = options.exported / "model.onnx"
        sources = {file: Path(scratch) / file if forms.FORMS[file].fixed_axes else exported for file in axes}
        for file, source in sources.items():
            if source != exported:
                onnx_export.fix_axes(exported, source, axes[file])
        work = _Work(options.model, sources, data, out)
        if options.precision == "int8":
            described, metrics = _int8(work, settings.quantize)
        elif options.precision == "fp16":
            described, metrics = _fp16(work)
        elif options.precision == "best":
            described, metrics = _best(work, settings.quantize)
        else:
            described, metrics = _fp32(work)
        signature["forms"] = {
            file: {"input": {**signature["input"], "shape": axes[_source(file)]}, **more} for file, more in described.items()
        }
        outputs.write_json(out / "signature.json", {**signature, "precision": options.precision})
        sizes = {_key("onnx_bytes", file): (out / file).stat().st_size for file in described}
        outputs.write_json(out / "metrics.json", {**sizes, **metrics})
        made_with.write(
            out, before, quantize={"precision": options.precision, **_used(settings.quantize, options.precision)}
        )
    for file in described:
        size, error = sizes[_key("onnx_bytes", file)], metrics[_key("signature_error", file)]
        print(f"{options.model} {options.precision}: {file}: {size} bytes, signatures within {error:.2g} of fp32")


def _used(how: Quantize, precision: str) -> dict[str, Any]:
    """Those of the settings that a precision depends on."""
    which = {
        "fp32": set[str](),
        "fp16": {"calibration_sequences"},
        "best": {"calibration_sequences", "method"},
        "int8": None,
    }[precision]
    return how.model_dump(mode="json", include=which)


@dataclass(frozen=True)
class _Work:
    """What networks are made of: by the file's name, sources in fp32 and their inputs."""

    model: str
    sources: Mapping[str, Path]
    data: Mapping[str, list[np.ndarray]]
    out: Path

    def some(self, file: str) -> list[np.ndarray]:
        """A few inputs, on which signatures are compared."""
        data = self.data[_source(file)]
        return data[:: max(1, len(data) // 8)]

    def error(self, file: str) -> float:
        """How far the signatures of a file that is written are from those of the network as it was exported."""
        some = self.some(file)
        expected = onnx_export.run(self.sources[forms.CPU], some)
        return onnx_export.relative_error(onnx_export.run(self.out / file, some), expected)


def _source(file: str) -> str:
    """The name under which the source of a file, and its inputs, are kept."""
    return forms.CPU if forms.FORMS[file].int8_only else file


def _key(name: str, file: str) -> str:
    """The name of a figure in metrics.json: those of model.onnx have no ending."""
    return name if file == forms.CPU else f"{name}_{Path(file).stem.removeprefix('model-')}"


def ways(how: Quantize) -> dict[str, Int8]:
    """Which int8 files there are, and how each is written; what params.yaml says holds for all of them."""

    return {
        file: Int8(
            form.activations if how.activations == "auto" else how.activations,
            form.weight_bits if how.weight_bits == "auto" else how.weight_bits,
            form.pairs_at,
        )
        for file, form in forms.FORMS.items()
        if how.weight_bits == "auto" or not form.int8_only
    }


def _fp32(work: _Work) -> Made:
    metrics = {}
    for file, source in work.sources.items():
        shutil.copyfile(source, work.out / file)
        metrics[_key("signature_error", file)] = work.error(file)
    return {file: {} for file in work.sources}, metrics


def _int8(work: _Work, how: Quantize) -> Made:
    """Write the int8 files. Says which layers stay in fp32."""
    described: dict[str, dict[str, Any]] = {}
    metrics: dict[str, float] = {}
    source, data = work.sources[forms.CPU], work.data[forms.CPU]
    with quantization.calibrated(source, data, how.method, how.per_channel) as network:
        networks = {
            file: network.with_axes(path) if forms.FORMS[file].fixed_axes else network for file, path in work.sources.items()
        }
        for file, way in ways(how).items():
            network, floating = networks[_source(file)], list[str]()
            if how.max_error is not None:
                label = f"{work.model} int8, {file}: each layer alone in fp32"
                watched = partial(progress, total=len(network.layers), label=label)
                floating = mixed_int8.floating_layers(network, way, work.some(file), how.max_error, watched)
            network.write(work.out / file, way, floating)
            if floating:
                count = f"{len(floating)} of {len(network.layers)}"
                print(f"{work.model} int8: {file}: {count} layers stay in fp32: {', '.join(floating)}")
            described[file] = {"activations": way.activations, "weight_bits": way.weight_bits, "pairs_at": way.placement}
            metrics[_key("layers_in_fp32", file)] = len(floating)
            metrics[_key("signature_error", file)] = work.error(file)
    scales = calibration_cache.activation_scales(source, work.out / forms.CPU)
    calibration_cache.write(work.out / "calibration.cache", scales)
    return described, metrics


def _best(work: _Work, how: Quantize) -> Made:
    """Write the networks in fp32 and the ranges that TensorRT needs to take layers in int8."""
    source, data = work.sources[forms.CPU], work.data[forms.CPU]
    with tempfile.TemporaryDirectory() as scratch, quantization.calibrated(source, data, how.method, True) as network:
        quantised = Path(scratch) / forms.CPU
        network.write(quantised, Int8("int8", 8, "kernels"))
        scales = calibration_cache.activation_scales(source, quantised)
    calibration_cache.write(work.out / "calibration.cache", scales)
    return _fp32(work)


def _fp16(work: _Work) -> Made:
    """Write the fp16 files. Says which weights lose more than their last digits."""
    metrics: dict[str, float] = {}
    for file, source in work.sources.items():
        half = half_precision.to_fp16(source, work.out / file, work.data[file])
        metrics[_key("signature_error", file)] = max(half.error, work.error(file))
        metrics[_key("largest_value", file)] = half.largest
    metrics |= {"weights_cut": half.cut, "weights_subnormal": half.subnormal}
    greatest, normal = half_precision.GREATEST, half_precision.NORMAL
    if half.cut:
        print(f"{work.model} fp16: {half.cut} of {half.weights} weights are beyond {greatest:.0f} and were cut to it")
    if half.subnormal:
        share = 100 * half.subnormal / half.weights
        print(f"{work.model} fp16: {half.subnormal} weights ({share:.2g} %) are below {normal:.2g}, with fewer digits")
    return {file: {} for file in work.sources}, metrics


def _calibration(training_set: TrainingSet, count: int, seed: int) -> Iterator[int]:
    """Training sequences drawn at random; test identities are never among them."""
    return iter(np.random.default_rng(seed).permutation(training_set.train)[:count].tolist())


if __name__ == "__main__":
    command_line.run(main)
