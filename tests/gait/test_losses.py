import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gait import losses


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
    loss, violating = losses.triplet(torch.from_numpy(signatures), torch.tensor(identities), margin)
    assert np.isclose(loss.item(), naive_triplet(signatures, identities, margin), rtol=1e-5, atol=1e-6)
    assert 0 <= violating.item() <= 1


def test_triplet_has_finite_gradients_where_signatures_coincide() -> None:
    signatures = torch.zeros(4, 2, 3, requires_grad=True)
    losses.triplet(signatures, torch.tensor([0, 0, 1, 1]), 0.2)[0].backward()
    assert torch.isfinite(signatures.grad).all()


def test_triplet_is_zero_when_identities_are_far_apart() -> None:
    signatures = torch.tensor([[[0.0]], [[0.1]], [[9.0]], [[9.1]]])
    loss, violating = losses.triplet(signatures, torch.tensor([0, 0, 1, 1]), 0.2)
    assert loss.item() == 0
    assert violating.item() == 0
