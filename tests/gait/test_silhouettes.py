"""Alignment against a plain, pixel-by-pixel reading of the published steps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait.data.modalities.silhouettes import EMPTY_SUM, align, align_all
from gait.data.prepared.inputs import network_input


def aligned_by_the_book(frame: np.ndarray, size: int) -> np.ndarray | None:
    """The published steps, one by one, with loops."""
    if sum(int(value) for value in frame.ravel()) <= 10_000:
        return None
    height, width = frame.shape
    filled = [row for row in range(height) if any(frame[row])]
    person = frame[filled[0] : filled[-1] + 1]
    new_width = int(size * width / len(person))
    person = cv2.resize(person, (new_width, size), interpolation=cv2.INTER_CUBIC)
    columns = [sum(int(value) for value in person[:, column]) for column in range(new_width)]
    so_far, centre = 0, None
    for column in range(new_width):
        so_far += columns[column]
        if so_far > sum(columns) / 2:
            centre = column
            break
    if centre is None:
        return None
    result = np.zeros((size, size), np.uint8)
    for column in range(size):
        source = centre - size // 2 + column
        if 0 <= source < new_width:
            result[:, column] = person[:, source]
    return result


@st.composite
def blobs(draw: st.DrawFn) -> np.ndarray:
    """Frames with a few bright rectangles and ellipses, anywhere, also at the border."""
    height, width = draw(st.integers(20, 60)), draw(st.integers(20, 80))
    frame = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        wide, high = draw(st.integers(0, width // 2)), draw(st.integers(0, height // 2))
        if draw(st.booleans()):
            cv2.ellipse(frame, (x, y), (wide, high), 0, 0, 360, draw(st.integers(1, 255)), -1)
        else:
            frame[y : y + high + 1, x : x + wide + 1] = draw(st.integers(1, 255))
    return frame


@given(blobs(), st.sampled_from([64, 33, 16]))
def test_alignment_follows_the_published_steps(frame: np.ndarray, size: int) -> None:
    ours, theirs = align(frame, size), aligned_by_the_book(frame, size)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert ours.shape == (size, size)
        assert ours.dtype == np.uint8
        assert np.array_equal(ours, theirs)


@given(blobs(), st.integers(0, 30), st.integers(0, 30))
def test_alignment_does_not_depend_on_the_height_of_a_person_in_the_picture(
    frame: np.ndarray, above: int, below: int
) -> None:
    ours, moved = align(frame, 64), align(np.pad(frame, ((above, below), (0, 0))), 64)
    assert (ours is None) == (moved is None)
    assert ours is None or np.array_equal(ours, moved)


def standing(x: int, width: int = 320, height: int = 240) -> np.ndarray:
    frame = np.zeros((height, width), np.uint8)
    frame[40:200, x - 15 : x + 15] = 255
    return frame


@pytest.mark.parametrize("x", [15, 60, 160, 250, 305])
def test_a_person_at_any_place_ends_up_in_the_middle(x: int) -> None:
    result = align(standing(x), 64)
    columns = np.flatnonzero(result.sum(0) > 64 * 128)
    assert abs((columns[0] + columns[-1]) / 2 - 31.5) <= 1
    assert 11 <= len(columns) <= 13  # 30 of 160 px, scaled to a height of 64
    assert result[:, 31].min() == 255


def test_frames_with_too_few_pixels_are_dropped() -> None:
    at_limit = np.zeros((60, 60), np.uint8)
    at_limit[10:30, 10] = 250
    at_limit[10:30, 11] = 250
    assert at_limit.sum() == EMPTY_SUM == 10_000
    above = at_limit.copy()
    above[30, 10] = 1
    assert align(at_limit, 64) is None
    assert align(above, 64) is not None
    assert align(np.zeros((60, 60), np.uint8), 64) is None
    assert len(align_all([at_limit, above, at_limit, above], 64)) == 2
    assert align_all([at_limit], 64).shape == (0, 64, 64)


def test_a_line_lost_in_scaling_shows_nobody() -> None:
    lines = [np.zeros((240, 320), np.uint8) for _ in range(4)]
    for column, line in enumerate(lines):
        line[:, 100 + column] = 255
    assert any(align(line, 16) is None for line in lines)
    for line in lines:
        result = align(line, 16)
        assert result is None or result.any()


@pytest.mark.parametrize(("size", "kept"), [(64, 44), (128, 88), (32, 32)])
def test_networks_see_the_middle_columns_in_0_to_1(size: int, kept: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, size, size), np.uint8)
    frames[0, 0, size // 2] = 255
    seen = network_input(frames, "silhouette")
    margin = (size - kept) // 2
    assert seen.dtype == np.float32
    assert seen.shape == (3, size, kept)
    np.testing.assert_allclose(seen * 255, frames[:, :, margin : margin + kept], atol=1e-4)
    assert seen.max() == 1
