"""Make the ONNX file of one precision: fp32 as exported, fp16, or int8 with ranges calibrated on training sequences.

For int8 there is calibration.cache too: the same ranges for TensorRT up to 10.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from compress import calibration_cache, half_precision, mixed_int8, quantization
from compress import export as onnx_export
from gait.data.partitions import Partition
from gait.data.sequences import SequenceStore
from gait.evaluation.signatures import samples
from stages import inputs, io
from stages import settings as made_with
from stages.params import Quantize


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=io.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--precision", required=True, choices=["fp32", "fp16", "int8"])
    parser.add_argument(
        "--exported", type=Path, required=True, help="the ONNX folder (results/export/<model>/p<percentile>)"
    )
    inputs.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: model.onnx, signature.json, metrics.json")
    options, settings = io.parse(parser)
    entry = inputs.entry_of(settings, options.model)
    signature = io.read_json(options.exported / "signature.json")
    source = options.exported / "model.onnx"
    before, own = made_with.read(options.exported), {}
    with io.new_directory(options.out) as out:
        target = out / "model.onnx"
        metrics = {"signature_error": 0.0}
        if options.precision == "fp32":
            shutil.copyfile(source, target)
        else:
            partition, store = inputs.open_data(options.partition, options.preprocessed)
            inputs.of_same_data(options.exported, partition, store)
            own = settings.quantize.model_dump(
                mode="json", include={"calibration_sequences"} if options.precision == "fp16" else None
            )
            shape = signature["input"]["shape"]
            chosen = _calibration(partition, store, settings.quantize.calibration_sequences, entry.seed)
            data = [sample for position in chosen for sample in samples(store, store.sequences[position], shape)]
            some = data[:: max(1, len(data) // 8)]
            if options.precision == "fp16":
                metrics = _fp16(options.model, source, target, data)
            else:
                metrics |= _int8(options.model, source, target, data, some, settings.quantize)
                scales = calibration_cache.activation_scales(source, target)
                calibration_cache.write(out / "calibration.cache", scales)
            ran = onnx_export.relative_error(onnx_export.run(target, some), onnx_export.run(source, some))
            metrics["signature_error"] = max(ran, metrics["signature_error"])
        io.write_json(out / "signature.json", {**signature, "precision": options.precision})
        size = target.stat().st_size
        io.write_json(out / "metrics.json", {"onnx_bytes": size, **metrics})
        made_with.write(out, before, quantize={"precision": options.precision, **own})
    error = metrics["signature_error"]
    print(f"{options.model} {options.precision}: {size} bytes, signatures within {error:.2g} of fp32")


def _int8(
    model: str, source: Path, target: Path, data: list[np.ndarray], some: list[np.ndarray], how: Quantize
) -> dict[str, float]:
    """Write the int8 file; what to put into metrics.json. Says which layers stay in fp32."""
    with quantization.calibrated(source, data, how.method, how.per_channel, how.activations, how.weight_bits) as network:
        floating: list[str] = []
        if how.max_error is not None:
            watched = partial(io.progress, total=len(network.layers), label=f"{model} int8: each layer alone in fp32")
            floating = mixed_int8.floating_layers(network, some, how.max_error, watched)
        network.write(target, floating)
    if floating:
        print(f"{model} int8: {len(floating)} of {len(network.layers)} layers stay in fp32: {', '.join(floating)}")
    return {"layers_in_fp32": len(floating)}


def _fp16(model: str, source: Path, target: Path, data: list[np.ndarray]) -> dict[str, float]:
    """Write the fp16 file; what to put into metrics.json. Says which weights lose more than their last digits."""
    half = half_precision.to_fp16(source, target, data)
    greatest, normal = half_precision.GREATEST, half_precision.NORMAL
    if half.cut:
        print(f"{model} fp16: {half.cut} of {half.weights} weights are beyond {greatest:.0f} and were cut to it")
    if half.subnormal:
        share = 100 * half.subnormal / half.weights
        print(f"{model} fp16: {half.subnormal} weights ({share:.2g} %) are below {normal:.2g}, with fewer digits")
    numbers = {"largest_value": half.largest, "weights_cut": half.cut, "weights_subnormal": half.subnormal}
    return {"signature_error": half.error, **numbers}


def _calibration(partition: Partition, store: SequenceStore, count: int, seed: int) -> Iterator[int]:
    """Training sequences drawn at random; test identities are never among them."""
    return iter(np.random.default_rng(seed).permutation(partition.train)[:count].tolist())


if __name__ == "__main__":
    io.run(main)
