import numpy as np
import pytest
import torch

from gait.errors import DataError
from gait.models import gaitset, torch_model
from gait.models.blocks import SeparateFC, horizontal_pyramid_pooling

PUBLISHED = {"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}


@pytest.fixture(scope="module")
def small() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build(PUBLISHED, 0.25).eval()


def test_the_published_configurations_have_the_published_sizes() -> None:
    casia_b = gaitset.build(PUBLISHED, 1)
    assert sum(tensor.numel() for tensor in casia_b.parameters()) == 2_594_592
    oumvlp = gaitset.build({**PUBLISHED, "channels": [64, 128, 256]}, 1)
    assert sum(tensor.numel() for tensor in oumvlp.parameters()) == 6_313_536


def test_the_signature_has_62_parts_and_forgets_the_order_of_frames(small: gaitset.GaitSet) -> None:
    frames = torch.rand(2, 9, 64, 44)
    with torch.inference_mode():
        signatures = small(frames)
        shuffled = small(frames[:, torch.randperm(9)])
    assert signatures.shape == (2, 62, 64)
    assert torch.allclose(signatures, shuffled, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 31])
def test_a_sequence_has_the_same_signature_alone_and_in_a_batch(small: gaitset.GaitSet, frames: int) -> None:
    batch = torch.rand(3, frames, 64, 44)
    with torch.inference_mode():
        together = small(batch)
        alone = torch.cat([small(batch[row : row + 1]) for row in range(3)])
    assert torch.allclose(together, alone, atol=1e-5 * together.abs().max())


def test_pyramid_pooling_equals_a_naive_computation() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 16, 11)).astype(np.float32)
    expected = [strip.mean((2, 3)) + strip.max((2, 3)) for bins in (4, 2, 1) for strip in np.split(maps, bins, axis=2)]
    found = horizontal_pyramid_pooling(torch.from_numpy(maps), [4, 2, 1])
    np.testing.assert_allclose(found.numpy(), np.stack(expected, 1), rtol=1e-5, atol=1e-6)


def test_separate_fc_gives_each_part_its_own_matrix() -> None:
    layer = SeparateFC(3, 4, 5)
    features = torch.rand(2, 3, 4)
    expected = np.einsum("bpi,pio->bpo", features.numpy(), layer.weight.detach().numpy())
    np.testing.assert_allclose(layer(features).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_model_is_the_same_after_saving_and_loading(small: gaitset.GaitSet, tmp_path) -> None:
    torch_model.save(small, tmp_path)
    frames = torch.rand(1, 4, 64, 44)
    loaded = torch_model.load(tmp_path)
    with torch.inference_mode():
        assert torch.equal(small(frames), loaded(frames))


def test_weights_that_do_not_fit_are_refused_by_name(small: gaitset.GaitSet, tmp_path) -> None:
    torch_model.save(small, tmp_path)
    text = (tmp_path / "architecture.json").read_text()
    (tmp_path / "architecture.json").write_text(text.replace('"frame6": 32', '"frame6": 28'))
    with pytest.raises(DataError, match=r"frame6\.conv\.weight"):
        torch_model.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**PUBLISHED, "channels": [32, 64]}, "channels"),
        ({**PUBLISHED, "bins": [3]}, "bins"),
        ({"channels": [32, 64, 128]}, "embedding"),
    ],
)
def test_wrong_architecture_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        gaitset.build(settings, 1)
