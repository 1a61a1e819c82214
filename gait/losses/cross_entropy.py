"""Cross-entropy of a PyTorch model's classifier, averaged over parts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gait.errors import DataError
from gait.losses import sent


def compute(
    signatures: Tensor, outputs: Tensor | None, identities: Tensor, *, scale: float = 1.0, label_smoothing: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean over the batch and over parts, each of which predicts the identity.

    Args:
        signatures: not used.
        outputs: logits [batch, parts, classes].
        identities: [batch], class numbers.
        scale: the factor of the logits; cosines, such as BNNeck's, need about 16.
        label_smoothing: the share of the target that is spread evenly over all classes.

    Returns:
        The loss, and as ``accuracy`` the share of parts that predict the right identity, without gradient.

    Raises:
        DataError: the network has no classifier.
    """
    if outputs is None:
        raise DataError("loss cross_entropy: this model has no classifier; take the loss triplet")
    logits = scale * outputs.float().flatten(0, 1)
    targets = sent(identities, logits.device).repeat_interleave(outputs.shape[1])
    loss = F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    return loss, {"accuracy": (logits.argmax(1) == targets).to(torch.float32).mean().detach()}
