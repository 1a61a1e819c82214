"""PyTorch models behind the protocol of :mod:`gaitpress.frameworks`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from gait.data.prepared.sequences import SequenceStore
from gait.errors import DataError
from gait.networks import torch_model
from gaitpress.params.model import TorchModel

save, load = torch_model.save, torch_model.load


def use_threads(count: int) -> None:
    threadpool_limits(count, "blas")  # numpy's, which takes all processors by itself
    torch.set_num_threads(count)
    # The order of sums depends on the algorithm chosen; this keeps the choice the same from run to run. On GPUs, a few
    # operations have no such algorithm, and PyTorch warns. `use_deterministic_algorithms` does the same, but loads PyTorch's
    # compiler, which takes longer than PyTorch itself.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")


def build(name: str, entry: TorchModel, classes: int) -> torch_model.TorchModel:
    torch.manual_seed(entry.seed)
    return torch_model.build(name, entry.architecture, entry.width, classes)


def carry_over(model: torch_model.TorchModel, previous: torch_model.TorchModel) -> None:
    model.load_state_dict(previous.state_dict(), strict=False)


def input_shape(model: Any, entry: TorchModel, dynamic_frames: bool) -> list[int | str]:
    return [1, "frames" if dynamic_frames else entry.frames, *model.frame_shape]


def benchmark_shape(model: Any, entry: TorchModel) -> list[int]:
    return [1, entry.frames, *model.frame_shape]


def inferences_per_video_second(entry: TorchModel, store: SequenceStore) -> float:
    return store.fps / entry.frames


def network(model: Any) -> Any:
    return model


@torch.inference_mode()
def outputs(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    device = next(model.parameters()).device
    return [model(torch.from_numpy(samples).to(device)).cpu().numpy() for samples in inputs]


def parameters(model: Any) -> int:
    total = sum(tensor.numel() for tensor in model.parameters())
    return total - sum(tensor.numel() for tensor in model.classifier.parameters()) if model.classifier else total


def signature_shape(model: Any) -> list[int]:
    return torch_model.signature_shape(model)


def layers(model: Any, entry: TorchModel) -> list[dict[str, Any]]:
    return torch_model.layers(model, entry.frames)


def check_size(model: Any, store: SequenceStore) -> None:
    """Refuse silhouettes whose height is not the network's.

    Raises:
        DataError: the heights differ; the message names the settings to change.
    """
    height = model.frame_shape[0]
    if store.settings.get("pixels") != height:
        raise DataError(
            f"{model.architecture.name} takes silhouettes of {height} px, and modality {store.modality} has "
            f"{store.settings.get('pixels', 'none')}: add an entry with kind: silhouette, pixels: {height} to preprocess "
            f"and modalities, and name it under model.{model.architecture.name}.modality"
        )
