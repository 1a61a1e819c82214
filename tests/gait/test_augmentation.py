"""Augmentation of flow samples; chosen random numbers isolate each change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gait.training.keras.augmentation import SHIFTS_PX, augmented_flow


class Chosen:
    """A random generator that returns chosen values."""

    def __init__(self, draws: list[float], shift: tuple[int, int] = (0, 0), zoom: float = 1.0) -> None:
        self._draws, self._shift, self._zoom = draws, shift, zoom

    def random(self) -> float:
        return self._draws.pop(0)

    def choice(self, values: Any, count: int) -> np.ndarray:
        assert tuple(values) == (-5, -3, 0, 3, 5)
        assert count == 2
        return np.array(self._shift)

    def uniform(self, low: float, high: float) -> float:
        assert (low, high) == (0.96, 1.04)
        return self._zoom


NO_MOVE, MOVE, NO_MIRROR, MIRROR, NO_ZEROS, ZEROS = 0.75, 0.74, 0.5, 0.49, 0.5, 0.49


@pytest.fixture
def sample() -> np.ndarray:
    return np.random.default_rng(0).integers(-3000, 3000, (60, 60, 50), np.int16)


def changed(sample: np.ndarray, *draws: float, **move: Any) -> np.ndarray:
    before = sample.copy()
    result = augmented_flow(sample, Chosen(list(draws), **move))  # type: ignore[arg-type]
    assert np.array_equal(sample, before), "the stored sample must stay"
    assert not np.shares_memory(result, sample)
    assert result.shape == sample.shape
    assert result.dtype == np.int16
    return result


def test_a_quarter_is_not_moved(sample: np.ndarray) -> None:
    assert np.array_equal(changed(sample, NO_MOVE, NO_ZEROS), sample)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -5), (-3, 5)])
def test_a_shift_moves_all_channels_and_fills_with_zeros(sample: np.ndarray, right: int, down: int) -> None:
    result = changed(sample, MOVE, NO_MIRROR, NO_ZEROS, shift=(right, down))
    expected = np.zeros_like(sample)
    for y in range(60):
        for x in range(60):
            if 0 <= y - down < 60 and 0 <= x - right < 60:
                expected[y, x] = sample[y - down, x - right]
    assert np.array_equal(result, expected)


def test_zoom_enlarges_about_the_centre_and_keeps_the_values() -> None:
    square = np.zeros((60, 60, 50), np.int16)
    square[20:40, 20:40] = 1000
    larger, smaller = (changed(square, MOVE, NO_MIRROR, NO_ZEROS, zoom=zoom) for zoom in (1.04, 0.96))
    assert larger[30, 30, 0] == smaller[30, 30, 49] == 1000
    assert smaller.sum() < square.sum() < larger.sum()
    for result in (larger, smaller):
        assert np.abs(result.astype(int) - result[::-1, ::-1]).max() <= 1, "symmetric about the centre"
        assert (result == result[:, :, :1]).all(), "the same for all channels"


def test_a_mirror_image_walks_the_other_way(sample: np.ndarray) -> None:
    result = changed(sample, MOVE, MIRROR, NO_ZEROS)
    assert np.array_equal(result[:, :, 0::2], -sample[:, ::-1, 0::2])
    assert np.array_equal(result[:, :, 1::2], sample[:, ::-1, 1::2])


def test_implausible_flow_is_set_to_zero() -> None:
    sample = np.zeros((60, 60, 50), np.int16)
    sample[0, :10, 3] = (49, 50, 51, -49, -50, 2299, 2300, 2301, -2300, -2301)
    result = changed(sample, NO_MOVE, ZEROS)
    assert result[0, :10, 3].tolist() == [0, 50, 51, 0, -50, 2299, 2300, 0, -2300, 0]


def test_changes_are_as_frequent_as_published() -> None:
    rng = np.random.default_rng(0)
    x_flow = np.zeros((60, 60, 2), np.int16)
    x_flow[:, :, 0] = 1000
    x_flow[30, 30, 1] = 30  # too small to be kept, and large enough to be seen after a move
    moved = mirrored = zeroed = 0
    trials = 2000
    for _ in range(trials):
        result = augmented_flow(x_flow, rng)
        mirrored += int(result[30, 30, 0] < 0)
        zeroed += int(not result[:, :, 1].any())
        moved += int((np.abs(result[:, :, 0]) != 1000).any())
    assert mirrored / trials == pytest.approx(0.375, abs=0.04)
    assert zeroed / trials == pytest.approx(0.5, abs=0.04)
    # A move is seen unless it shifts by nothing and enlarges: 1 of 25 shifts, half of the zooms.
    assert moved / trials == pytest.approx(0.75 * (1 - 1 / 25 / 2), abs=0.04)
    assert len(SHIFTS_PX) == 5
