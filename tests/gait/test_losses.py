"""Training losses equal their definitions, and go by names with settings."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gait.errors import DataError
from gait.losses import cross_entropy, terms, triplet


def naive_triplet(signatures: np.ndarray, identities: list[int], margin: float) -> float:
    """Batch-all triplet loss by three loops, straight from its definition."""
    parts = []
    for part in range(signatures.shape[1]):
        hinges = []
        for a, who in enumerate(identities):
            for p, other in enumerate(identities):
                for n, stranger in enumerate(identities):
                    if other == who != stranger:
                        near = np.linalg.norm(signatures[a, part] - signatures[p, part])
                        far = np.linalg.norm(signatures[a, part] - signatures[n, part])
                        hinges.append(max(0.0, margin + near - far))
        violating = [hinge for hinge in hinges if hinge > 0]
        parts.append(sum(violating) / max(1, len(violating)))
    return float(np.mean(parts))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.05, 0.2, 1.0]))
def test_triplet_equals_its_definition(seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    identities = [0, 0, 1, 1, 2, 2]
    signatures = rng.normal(size=(6, 3, 4)).astype(np.float32)
    loss, figures = triplet.compute(torch.from_numpy(signatures), None, torch.tensor(identities), margin=margin)
    assert np.isclose(loss.item(), naive_triplet(signatures, identities, margin), rtol=1e-5, atol=1e-6)
    assert 0 <= figures["violating"].item() <= 1


def test_triplet_has_finite_gradients_where_signatures_coincide() -> None:
    signatures = torch.zeros(4, 2, 3, requires_grad=True)
    triplet.compute(signatures, None, torch.tensor([0, 0, 1, 1]))[0].backward()
    assert torch.isfinite(signatures.grad).all()


def test_triplet_is_zero_when_identities_are_far_apart() -> None:
    signatures = torch.tensor([[[0.0]], [[0.1]], [[9.0]], [[9.1]]])
    loss, figures = triplet.compute(signatures, None, torch.tensor([0, 0, 1, 1]))
    assert loss.item() == 0
    assert figures["violating"].item() == 0


def naive_cross_entropy(logits: np.ndarray, identities: list[int], scale: float, smoothing: float) -> float:
    """Mean over samples and parts of -sum(target * log softmax), with a target that all classes share in part."""
    terms = []
    for sample, who in zip(logits, identities, strict=True):
        for part in sample * scale:
            log_softmax = part - np.log(np.exp(part - part.max()).sum()) - part.max()
            target = np.full(len(part), smoothing / len(part))
            target[who] += 1 - smoothing
            terms.append(-(target * log_softmax).sum())
    return float(np.mean(terms))


@pytest.mark.parametrize(("scale", "smoothing"), [(1, 0), (16, 0.1)])
def test_cross_entropy_equals_its_definition(scale: float, smoothing: float) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3, 5))
    identities = [0, 4, 2, 2]
    loss, figures = cross_entropy.compute(
        torch.empty(0), torch.from_numpy(logits), torch.tensor(identities), scale=scale, label_smoothing=smoothing
    )
    assert np.isclose(loss.item(), naive_cross_entropy(logits, identities, scale, smoothing), rtol=1e-5)
    right = logits.argmax(2) == np.array(identities)[:, None]
    assert np.isclose(figures["accuracy"].item(), right.mean())


def test_cross_entropy_needs_a_classifier() -> None:
    with pytest.raises(DataError, match="no classifier; take the loss triplet"):
        cross_entropy.compute(torch.empty(0), None, torch.tensor([0]))


def test_terms_carry_their_settings_and_weights() -> None:
    signatures, identities = torch.rand(4, 2, 3), torch.tensor([0, 0, 1, 1])
    (term,) = terms([{"name": "triplet", "weight": 0.5, "margin": 0.7}])
    assert (term.name, term.weight) == ("triplet", 0.5)
    assert torch.equal(
        term.compute(signatures, None, identities)[0], triplet.compute(signatures, None, identities, margin=0.7)[0]
    )


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"name": "tripplet", "weight": 1}, r"loss tripplet: there is no gait/losses/tripplet\.py"),
        ({"name": "triplet", "weight": 1, "margn": 0.2}, "loss triplet: takes margin, not margn"),
    ],
)
def test_an_unknown_loss_or_setting_is_named(described: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        terms([described])
