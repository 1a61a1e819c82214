"""Cross-entropy of the identities that a PyTorch model's classifier tells, averaged over parts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gait.errors import DataError
from gait.losses import sent


def compute(
    signatures: Tensor, outputs: Tensor | None, identities: Tensor, *, scale: float = 1.0, label_smoothing: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Every part names the identity.

    Args:
        signatures: not used.
        outputs: logits [batch, parts, classes].
        identities: [batch], class numbers.
        scale: factor of the logits; cosines, as BNNeck's, need about 16.
        label_smoothing: share of the target that all classes have in common.

    Returns:
        The loss, and as ``accuracy`` the share of parts that are right, without gradient.

    Raises:
        DataError: the network has no classifier.
    """
    if outputs is None:
        raise DataError("loss cross_entropy: this model has no classifier; take the loss triplet")
    logits = scale * outputs.float().flatten(0, 1)
    targets = sent(identities, logits.device).repeat_interleave(outputs.shape[1])
    loss = F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    return loss, {"accuracy": (logits.argmax(1) == targets).to(torch.float32).mean().detach()}
