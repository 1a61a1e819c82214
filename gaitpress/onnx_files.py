"""Write the networks of params.yaml as ONNX files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from compress import export as onnx_export
from compress.errors import CompressionError
from gaitpress.params.export import Export
from gaitpress.params.model import Model


def write_onnx(library: ModuleType, model: Any, entry: Model, path: Path, settings: Export) -> list[int | str]:
    """Write the part of a model that is deployed, for inputs as params.yaml asks for them; the shape of these."""
    write = onnx_export.export_torch if entry.framework == "torch" else onnx_export.export_keras
    batch: int | str = "batch" if settings.max_batch > 1 else 1
    shape = [batch, *library.input_shape(model, entry, settings.dynamic_frames is not False)[1:]]
    with of_batches(settings):
        write(library.network(model), path, shape, settings.opset)
    return shape


@contextmanager
def of_batches(settings: Export) -> Iterator[None]:
    """Tell, with what goes wrong, what to set for a network that takes one sequence at a time."""
    try:
        yield
    except CompressionError as error:
        if settings.max_batch == 1:
            raise
        remedy = "if the model can take one sequence at a time only, set `max_batch: 1` under `export` in params.yaml"
        raise CompressionError(f"{error}; {remedy}") from None
