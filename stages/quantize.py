"""Make the ONNX files of one precision: fp32, fp16, bf16, int8 with ranges calibrated on training sequences, or best.

model.onnx is for processors, tensorrt.onnx for TensorRT. int8 adds calibration.cache, which has the same ranges for
TensorRT up to 10, and openvino.onnx for OpenVINO; it may add model-8bit.onnx, for processors that add 8-bit products
exactly. For bf16 and best the networks are in fp32: in bf16 the runtime rounds as it computes; for best TensorRT runs each
layer in the fastest precision, where for int8 it takes the ranges of calibration.cache.
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

# Facts about each file, for signature.json, and figures for metrics.json.
Description = tuple[dict[str, dict[str, Any]], dict[str, float]]


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=command_line.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--precision", required=True, choices=["fp32", "fp16", "bf16", "int8", "best"])
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
    fixed_shape = shape if settings.export.dynamic_frames is True else [shape[0], *signature["benchmark_shape"][1:]]
    axes = {file: fixed_shape if form.fixed_axes else shape for file, form in forms.FORMS.items() if not form.int8_only}
    training_set, store = inputs.open_training(options.training, options.preprocessed)
    earlier_settings = inputs.of_same_training(options.exported, training_set, store)
    chosen = list(_calibration(training_set, settings.quantize.calibration_sequences, entry.seed))
    data = {
        file: [sample for position in chosen for sample in samples(store, store.sequences[position], file_shape)]
        for file, file_shape in axes.items()
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
            file: {"input": {**signature["input"], "shape": axes[_source(file)]}, **facts}
            for file, facts in described.items()
        }
        outputs.write_json(out / "signature.json", {**signature, "precision": options.precision})
        sizes = {_key("onnx_bytes", file): (out / file).stat().st_size for file in described}
        outputs.write_json(out / "metrics.json", {**sizes, **metrics})
        made_with.write(
            out,
            earlier_settings,
            quantize={"precision": options.precision, **_used(settings.quantize, options.precision)},
        )
    for file in described:
        size, error = sizes[_key("onnx_bytes", file)], metrics[_key("signature_error", file)]
        print(f"{options.model} {options.precision}: {file}: {size} bytes, signatures within {error:.2g} of fp32")


def _used(settings: Quantize, precision: str) -> dict[str, Any]:
    """The settings that a precision depends on."""
    fields = {
        "fp32": set[str](),
        "fp16": {"calibration_sequences"},
        "bf16": set[str](),
        "best": {"calibration_sequences", "method"},
        "int8": None,
    }[precision]
    return settings.model_dump(mode="json", include=fields)


@dataclass(frozen=True)
class _Work:
    """The sources of the networks in fp32 and their inputs, both by file name, and the folder to write."""

    model: str
    sources: Mapping[str, Path]
    data: Mapping[str, list[np.ndarray]]
    out: Path

    def few_inputs(self, file: str) -> list[np.ndarray]:
        """A few inputs, on which signatures are compared."""
        data = self.data[_source(file)]
        return data[:: max(1, len(data) // 8)]

    def error(self, file: str) -> float:
        """The relative error of a written file's signatures against those of the exported network."""
        few = self.few_inputs(file)
        expected = onnx_export.run(self.sources[forms.CPU], few)
        return onnx_export.relative_error(onnx_export.run(self.out / file, few), expected)


def _source(file: str) -> str:
    """The name under which ``_Work`` keeps the source of a file and its inputs."""
    return forms.CPU if forms.FORMS[file].int8_only else file


def _key(name: str, file: str) -> str:
    """The name of a file's figure in metrics.json: figures of model.onnx have no ending."""
    return name if file == forms.CPU else f"{name}_{Path(file).stem.removeprefix('model-')}"


def ways(settings: Quantize) -> dict[str, Int8]:
    """How to write each int8 file; a setting of params.yaml other than "auto" holds for all of them."""
    written = {
        file: Int8(
            form.activations if settings.activations == "auto" else settings.activations,
            form.weight_bits if settings.weight_bits == "auto" else settings.weight_bits,
            form.pairs_at,
        )
        for file, form in forms.FORMS.items()
    }
    return {file: way for file, way in written.items() if not (forms.FORMS[file].int8_only and way == written[forms.CPU])}


def _fp32(work: _Work) -> Description:
    metrics = {}
    for file, source in work.sources.items():
        shutil.copyfile(source, work.out / file)
        metrics[_key("signature_error", file)] = work.error(file)
    return {file: {} for file in work.sources}, metrics


def _int8(work: _Work, settings: Quantize) -> Description:
    """Write the int8 files, and print which layers stay in fp32."""
    described: dict[str, dict[str, Any]] = {}
    metrics: dict[str, float] = {}
    source, data = work.sources[forms.CPU], work.data[forms.CPU]
    with quantization.calibrated(source, data, settings.method, settings.per_channel) as network:
        networks = {
            file: network.with_axes(path) if forms.FORMS[file].fixed_axes else network for file, path in work.sources.items()
        }
        for file, way in ways(settings).items():
            network, fp32_layers = networks[_source(file)], list[str]()
            if settings.max_error is not None:
                label = f"{work.model} int8, {file}: each layer alone in fp32"
                progress_of_layers = partial(progress, total=len(network.layers), label=label)
                fp32_layers = mixed_int8.floating_layers(
                    network, way, work.few_inputs(file), settings.max_error, progress_of_layers
                )
            network.write(work.out / file, way, fp32_layers)
            if fp32_layers:
                count = f"{len(fp32_layers)} of {len(network.layers)}"
                print(f"{work.model} int8: {file}: {count} layers stay in fp32: {', '.join(fp32_layers)}")
            described[file] = {"activations": way.activations, "weight_bits": way.weight_bits, "pairs_at": way.placement}
            metrics[_key("layers_in_fp32", file)] = len(fp32_layers)
            metrics[_key("signature_error", file)] = work.error(file)
    scales = calibration_cache.activation_scales(source, work.out / forms.CPU)
    calibration_cache.write(work.out / "calibration.cache", scales)
    return described, metrics


def _best(work: _Work, settings: Quantize) -> Description:
    """Write the networks in fp32 and the ranges that TensorRT needs to run layers in int8."""
    source, data = work.sources[forms.CPU], work.data[forms.CPU]
    with tempfile.TemporaryDirectory() as scratch, quantization.calibrated(source, data, settings.method, True) as network:
        quantised = Path(scratch) / forms.CPU
        network.write(quantised, Int8("int8", 8, "kernels"))
        scales = calibration_cache.activation_scales(source, quantised)
    calibration_cache.write(work.out / "calibration.cache", scales)
    return _fp32(work)


def _fp16(work: _Work) -> Description:
    """Write the fp16 files, and print how many weights lose more than their last digits."""
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
