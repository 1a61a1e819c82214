"""Make the ONNX file of one precision: int8 with ranges calibrated on training sequences; fp32 and fp16 as exported.

Half precision is the engine's affair: TensorRT takes it where it is faster.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compress import export as onnx_export
from compress import quantization
from gait.data.partitions import Partition
from gait.data.sequences import SequenceStore
from gait.evaluation.signatures import samples
from stages import inputs, io


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
    with io.new_directory(options.out) as out:
        target = out / "model.onnx"
        error = 0.0
        if options.precision != "int8":
            shutil.copyfile(source, target)
        else:
            partition, store = inputs.open_data(options.partition, options.preprocessed)
            shape = signature["input"]["shape"]
            chosen = _calibration(partition, store, settings.quantize.calibration_sequences, entry.seed)
            data = [sample for position in chosen for sample in samples(store, store.sequences[position], shape)]
            how = settings.quantize
            quantization.to_int8(source, target, data, how.method, how.per_channel, how.activations, how.weight_bits)
            some = data[:: max(1, len(data) // 8)]
            error = onnx_export.relative_error(onnx_export.run(target, some), onnx_export.run(source, some))
        io.write_json(out / "signature.json", {**signature, "precision": options.precision})
        metrics = {"onnx_bytes": target.stat().st_size, "signature_error": error}
        io.write_json(out / "metrics.json", metrics)
    print(f"{options.model} {options.precision}: {metrics['onnx_bytes']} bytes, signatures within {error:.2g} of fp32")


def _calibration(partition: Partition, store: SequenceStore, count: int, seed: int) -> Iterator[int]:
    """Training sequences drawn at random; test identities are never among them."""
    return iter(np.random.default_rng(seed).permutation(partition.train)[:count].tolist())


if __name__ == "__main__":
    io.run(main)
