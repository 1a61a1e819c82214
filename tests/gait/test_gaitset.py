import pytest
import torch

from gait.errors import DataError
from gait.models import gaitset
from gait.networks import torch_model

PUBLISHED = {"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}


@pytest.fixture(scope="module")
def small() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build(PUBLISHED, 0.25, 3).eval()


def test_the_signature_has_62_parts_and_does_not_depend_on_the_order_of_frames(small: gaitset.GaitSet) -> None:
    frames = torch.rand(2, 9, 64, 44)
    with torch.inference_mode():
        signatures = small(frames)
        shuffled = small(frames[:, torch.randperm(9)])
    assert signatures.shape == (2, 62, 64)
    assert torch.allclose(signatures, shuffled, atol=1e-6)


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
        gaitset.build(settings, 1, 3)
