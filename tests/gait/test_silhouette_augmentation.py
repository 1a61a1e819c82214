"""Random changes of training sequences."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait.errors import DataError
from gait.training.torch import augmentations

EACH = ["flip", "rotate", "affine", "erase", "perspective"]


def walker(frames: int = 3) -> np.ndarray:
    """A body with a head and one arm to the right: no symmetry."""
    image = np.zeros((frames, 64, 64), np.uint8)
    image[:, 14:60, 26:38] = 255
    image[:, 4:14, 29:35] = 255
    image[:, 20:25, 38:46] = 255
    return image


def changed(name: str, seed: int = 0, frames: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    (change,) = augmentations.changes([{"name": name, "probability": 1.0, **settings}])
    return change(walker() if frames is None else frames, np.random.default_rng(seed))


@given(st.sampled_from(EACH), st.integers(0, 1000), st.integers(1, 4))
def test_frames_keep_their_shape_and_all_change_alike(name: str, seed: int, frames: int) -> None:
    given_frames = walker(frames)
    changed_frames = changed(name, seed, given_frames)
    assert changed_frames.shape == given_frames.shape
    assert changed_frames.dtype == np.uint8
    assert (changed_frames == changed_frames[0]).all()
    assert (given_frames == walker(frames)).all()  # the stored ones stay as they are


@pytest.mark.parametrize("name", EACH)
def test_a_change_happens_as_often_as_its_probability_says(name: str) -> None:
    (change,) = augmentations.changes([{"name": name, "probability": 0.3}])
    rng = np.random.default_rng(0)
    times = sum(not np.array_equal(change(walker(), rng), walker()) for _ in range(400))
    # An erased rectangle may lie beside the body.
    assert 400 * (0.12 if name == "erase" else 0.22) < times < 400 * 0.38


def test_a_mirror_image_twice_is_the_image() -> None:
    assert np.array_equal(changed("flip", frames=changed("flip")), walker())


def _direction(frames: np.ndarray) -> float:
    """Degrees of the body's long axis against the vertical."""
    rows, columns = np.nonzero(frames[0] > 127)
    (slope,) = np.polyfit(rows, columns, 1)[:1]
    return float(np.rad2deg(np.arctan(slope)))


@given(st.integers(0, 200), st.sampled_from([3.0, 10.0, 30.0]))
def test_a_rotation_stays_in_its_limit(seed: int, degrees: float) -> None:
    assert abs(_direction(changed("rotate", seed, degrees=degrees)) - _direction(walker())) <= degrees + 1


def test_rotations_go_both_ways_and_keep_the_body() -> None:
    rotated = [changed("rotate", seed, degrees=10) for seed in range(40)]
    turned = [_direction(frames) - _direction(walker()) for frames in rotated]
    assert min(turned) < -5
    assert max(turned) > 5
    area = walker().astype(float).sum()
    assert all(abs(frames.astype(float).sum() / area - 1) < 0.03 for frames in rotated)


@given(st.integers(0, 200), st.sampled_from([0.05, 10 / 64]))
def test_a_perspective_widens_every_row_by_at_most_its_share(seed: int, inwards: float) -> None:
    frames = np.zeros((1, 64, 64), np.uint8)
    frames[:, :, 24:40] = 255  # 16 px wide
    widths = changed("perspective", seed, frames, inwards=inwards).astype(float).sum(2)[0] / 255
    assert (widths > 16 - 0.6).all()
    assert (widths < 16 / (1 - 2 * inwards) + 0.6).all()


def test_a_perspective_gives_the_head_and_the_feet_other_widths() -> None:
    frames = np.zeros((1, 64, 64), np.uint8)
    frames[:, :, 24:40] = 255
    rows = [changed("perspective", seed, frames).astype(float).sum(2)[0] for seed in range(40)]
    taper = [row[3] / row[60] for row in rows]
    assert min(taper) < 0.9
    assert max(taper) > 1.1


@given(st.integers(0, 200))
def test_scale_and_shift_stay_in_their_limits(seed: int) -> None:
    changed_frames = changed("affine", seed, degrees=0.0, shear=0.0, shift=0.1, scale=(0.8, 1.1))
    assert 0.8**2 - 0.06 < changed_frames.astype(float).sum() / walker().astype(float).sum() < 1.1**2 + 0.06
    before, after = (np.argwhere(frames[0] > 127) for frames in (walker(), changed_frames))
    assert (np.abs(after.mean(0) - before.mean(0)) < 6.4 + 2).all()


@given(st.integers(0, 200))
def test_an_erased_rectangle_has_the_requested_size(seed: int) -> None:
    white = np.full((2, 64, 64), 255, np.uint8)
    changed_frames = changed("erase", seed, white, area=(0.1, 0.2), aspect=0.5)
    rows, columns = np.nonzero(changed_frames[0] == 0)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert len(rows) == height * width
    assert 0.08 < height * width / 64**2 < 0.23
    assert 0.42 < height / width < 2.4


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            {"name": "blur", "probability": 1},
            "augment blur: there is no gait/training/torch/augmentations/blur.py; there are: affine, erase, flip, persp",
        ),
        ({"name": "flip", "probability": 1, "degrees": 3}, "augment flip: takes no settings, not degrees"),
        ({"name": "rotate", "probability": 1, "angle": 3}, "augment rotate: takes degrees, not angle"),
    ],
)
def test_wrong_settings_are_named(described: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        augmentations.changes([described])
