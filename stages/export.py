"""Write a model as ONNX with the signature as output, and check it against the framework on real sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from compress import export as onnx_export
from compress.errors import CompressionError
from gait.data.samples import samples
from gaitpress import command_line, inputs, outputs
from gaitpress import settings as made_with
from gaitpress.frameworks import framework
from gaitpress.onnx_files import of_batches, write_onnx
from gaitpress.params.export import Export

TOLERANCE = 1e-4  # of the greatest signature value
SEQUENCES = 16


def batch_error(library: ModuleType, model: Any, onnx: Path, windows: Sequence[np.ndarray], settings: Export) -> float:
    """How far the file's signatures of a batch are from those that the model gives for each sequence alone.

    Args:
        library, model, onnx: the model and its file.
        windows: inputs of one shape.
        settings: the settings of the export.

    Raises:
        CompressionError: they are too far apart, or the network takes no batch.
    """
    batch = list(islice(cycle(windows), min(settings.max_batch, SEQUENCES)))
    with of_batches(settings):
        error = onnx_export.batch_error(onnx, batch, library.outputs(model, batch))
        if not error <= TOLERANCE:
            raise CompressionError(f"sequences of a batch change each other's signatures, by {error:.2g} of them")
    return error


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", type=command_line.number, required=True, help="how much of the model was pruned")
    parser.add_argument("--finetuned", type=Path, required=True, help="the model (results/finetune/<model>/p<percentile>)")
    inputs.add_training(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write: model.onnx, signature.json, metrics.json")
    options, settings = command_line.parse(parser)
    entry = settings.entry(options.model)
    training_set, store = inputs.open_training(options.training, options.preprocessed)
    earlier_settings = inputs.of_same_training(options.finetuned, training_set, store)
    library = framework(entry.framework)
    library.use_threads(settings.threads.export)
    model = library.load(options.finetuned)
    benchmark_shape = library.benchmark_shape(model, entry)
    with outputs.new_directory(options.out) as out:
        onnx = out / "model.onnx"
        shape = write_onnx(library, model, entry, onnx, settings.export)
        positions = training_set.train
        spread = np.linspace(0, len(positions) - 1, min(SEQUENCES, len(positions))).astype(int)
        chosen = [store.sequences[positions[place]] for place in spread]
        real = [sample for sequence in chosen for sample in samples(store, sequence, shape)]
        expected = library.outputs(model, real)
        error = onnx_export.relative_error(onnx_export.run(onnx, real), expected)
        if not error <= TOLERANCE:
            raise CompressionError(f"{options.model}: the ONNX file differs from the model by {error:.2g} of its output")
        if settings.export.max_batch > 1:
            windows = [samples(store, sequence, benchmark_shape)[0] for sequence in chosen]
            error = max(error, batch_error(library, model, onnx, windows, settings.export))
        metrics = {
            "params": library.parameters(model),
            "macs": onnx_export.multiply_adds(onnx, benchmark_shape),
            "onnx_bytes": onnx.stat().st_size,
            "parity_error": error,
        }
        signature = {
            "model": options.model,
            "modality": entry.modality,
            "framework": entry.framework,
            "input": {"name": onnx_export.INPUT, "shape": shape},
            "output": {"name": onnx_export.OUTPUT, "shape": list(expected[0].shape)},
            "benchmark_shape": benchmark_shape,
            "max_batch": settings.export.max_batch,
            "inferences_per_video_second": library.inferences_per_video_second(entry, store),
            "opset": settings.export.opset,
            "params": metrics["params"],
            "macs": metrics["macs"],
        }
        outputs.write_json(out / "signature.json", signature)
        outputs.write_json(out / "metrics.json", metrics)
        made_with.write(out, earlier_settings, export=settings.export.model_dump(mode="json"))
    print(f"{options.model}: {metrics['macs'] / 1e6:.1f} M multiply-adds; equal to the model within {error:.1g}")


if __name__ == "__main__":
    command_line.run(main)
