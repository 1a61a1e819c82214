"""Batch-all triplet loss of each part, averaged over the triplets that violate the margin (GaitSet, section 3.5)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from gait.losses import sent


def compute(
    signatures: Tensor, outputs: Tensor | None, identities: Tensor, *, margin: float = 0.2
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss is 0 when signatures of one identity are closer to each other than to all others, by a margin.

    All pairs of one identity count as positives, an anchor with itself included, as in the published implementation.

    Args:
        signatures: [batch, parts, channels].
        outputs: not used.
        identities: [batch], whole numbers, best on the CPU, which must know the number of pairs.
        margin: the margin of the hinge ``margin + d(anchor, positive) - d(anchor, negative)``, in units of distance.

    Returns:
        The loss, and as ``violating`` the share of triplets that violate the margin, without gradient.
    """
    parts = signatures.float().transpose(0, 1)
    squares = parts.square().sum(-1)
    squared = squares[:, :, None] + squares[:, None, :] - 2 * parts @ parts.transpose(1, 2)
    # relu, not clamp: its gradient at 0 is 0, where that of the square root is infinite.
    distances = torch.where(squared > 0, torch.relu(squared), 1).sqrt() * (squared > 0)
    numbers: dict[int, int] = {}
    pattern = tuple(numbers.setdefault(identity, len(numbers)) for identity in identities.tolist())
    same, anchors, alike = _pairs(pattern, parts.device)
    positives = distances[:, anchors, alike]
    # [parts, pairs, batch]: every positive pair against all others of its anchor; those of the same identity drop out.
    hinges = torch.relu(margin + positives[:, :, None] - distances[:, anchors]) * ~same[anchors]
    violating = (hinges > 0).sum((1, 2))
    loss = (hinges.sum((1, 2)) / violating.clamp(min=1)).mean()
    return loss, {"violating": (violating.sum() / (len(parts) * (~same[anchors]).sum())).detach()}


@lru_cache(maxsize=4)
def _pairs(pattern: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which identities are the same: bool [batch, batch], and the rows and columns where it is true.

    The pattern is the same in all P x K batches, so the cache answers for nearly all of them.
    """
    identities = torch.tensor(pattern)
    same = identities[:, None] == identities
    anchors, alike = torch.nonzero(same, as_tuple=True)
    return sent(same, device), sent(anchors, device), sent(alike, device)
