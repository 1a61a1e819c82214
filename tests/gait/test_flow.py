"""Flow samples: their geometry, and the flow of a known motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait.data.modalities import flow
from gait.data.prepared.inputs import network_input


def textured(height: int = 240, width: int = 320, margin: int = 120) -> np.ndarray:
    """A smooth random texture larger than a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (height + 2 * margin, width + 2 * margin), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)


def moving(frames: int, dx: int, dy: int, height: int = 240, width: int = 320, margin: int = 120) -> list[np.ndarray]:
    """Frames of a picture that moves by (dx, dy) px a frame: to the right and down for positive values."""
    texture = textured(height, width, margin)
    return [
        np.ascontiguousarray(
            texture[margin - step * dy : margin - step * dy + height, margin - step * dx : margin - step * dx + width]
        )
        for step in range(frames)
    ]


@pytest.mark.parametrize("method", flow.METHODS)
@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (-2, 0), (0, 2), (2, -1)])
def test_a_known_motion_gives_its_flow_in_px_with_sign_and_channel_order(method: str, dx: int, dy: int) -> None:
    frames = moving(5, dx, dy)
    samples = flow.samples(frames, [(150, 170)] * 5, method, 4, 1)
    assert samples.shape == (1, 60, 60, 8)
    assert samples.dtype == np.int16
    seen = network_input(samples, "flow")
    assert seen.shape == (1, 8, 60, 60)
    inner = seen[0, :, 8:-8, 8:-8]
    for channel in range(0, 8, 2):
        assert np.median(inner[channel]) == pytest.approx(dx, abs=0.1)
        assert np.median(inner[channel + 1]) == pytest.approx(dy, abs=0.1)


def test_channels_are_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    numbered = [np.full((240, 320, 2), (100 + step, -100 - step), np.int16) for step in range(40)]
    monkeypatch.setattr(flow, "dense_flow", lambda frames, method: numbered[: len(frames) - 1])
    frames = [np.zeros((240, 320), np.uint8)] * 41
    samples = flow.samples(frames, [(150, 170)] * 41, "dis", 25, 5)
    for number, sample in enumerate(samples):
        for step in range(25):
            assert (sample[:, :, 2 * step] == 100 + 5 * number + step).all()
            assert (sample[:, :, 2 * step + 1] == -100 - 5 * number - step).all()


@pytest.mark.parametrize(
    ("frames", "length", "stride", "count"),
    [(25, 25, 5, 0), (26, 25, 5, 1), (30, 25, 5, 1), (31, 25, 5, 2), (50, 25, 5, 5), (90, 25, 5, 13), (3, 1, 1, 2)],
)
def test_a_video_gives_a_sample_every_stride_while_frames_last(
    monkeypatch: pytest.MonkeyPatch, frames: int, length: int, stride: int, count: int
) -> None:
    still = np.zeros((240, 320, 2), np.int16)
    monkeypatch.setattr(flow, "dense_flow", lambda frames, method: [still] * (len(frames) - 1))
    video = [np.zeros((240, 320), np.uint8)] * frames
    samples = flow.samples(video, [(150, 170)] * frames, "dis", length, stride)
    assert samples.shape == (count, 60, 60, 2 * length)
    assert count == max(0, (frames - 1 - length) // stride + 1)


def test_samples_without_a_person_in_the_middle_frame_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    still = np.zeros((240, 320, 2), np.int16)
    monkeypatch.setattr(flow, "dense_flow", lambda frames, method: [still] * (len(frames) - 1))
    video = [np.zeros((240, 320), np.uint8)] * 36
    boxes: list[tuple[int, int] | None] = [(150, 170)] * 36
    boxes[12] = None  # of the first sample
    assert len(flow.samples(video, boxes, "dis", 25, 5)) == 2
    assert len(flow.samples(video, [None] * 36, "dis", 25, 5)) == 0


@given(st.integers(0, 300), st.integers(1, 60))
def test_the_person_of_the_middle_frame_stands_at_column_30(left: int, width: int) -> None:
    right = min(left + width, 320)
    columns = np.tile(np.arange(320, dtype=np.int16)[None, :, None], (240, 1, 2))  # each column holds its own number
    resized = [columns] * 25
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "dense_flow", lambda frames, method: resized)
        boxes: list[tuple[int, int] | None] = [(0, 1)] * 26
        boxes[12] = (left, right)
        (sample,) = flow.samples([np.zeros((240, 320), np.uint8)] * 26, boxes, "dis", 25, 5)
    first = round((left + right) / 2 / 4) - 30  # of the 80 columns
    by_the_book = np.zeros(60)
    for column in range(60):
        if 0 <= first + column < 80:
            by_the_book[column] = 4 * (first + column) + 1.5  # the middle of four columns
    assert np.abs(sample[:, :, 0] - by_the_book).max() <= 0.5
    assert (sample == sample[:1, :, :1]).all(), "no vertical shift, the same for all channels"


def test_flow_is_stored_in_hundredths_and_read_back_within_half_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 12, (240, 320, 2)).astype(np.float32)
    values[0, :4, 0] = (1e6, -1e6, 0.004, -0.006)

    class Estimator:
        def calc(self, *_: object) -> np.ndarray:
            return values.copy()  # OpenCV's is a new array too, and the caller's

    monkeypatch.setattr(flow.cv2.DISOpticalFlow, "create", lambda preset: Estimator())
    (stored,) = flow.dense_flow([np.zeros((240, 320), np.uint8)] * 2, "dis")
    assert stored.dtype == np.int16
    assert stored[0, :4, 0].tolist() == [32767, -32767, 0, -1]
    usual = np.abs(values) < 300
    assert np.abs(stored / flow.STORED_PER_PX - values)[usual].max() <= 0.005 + 1e-4
    back = network_input(stored[None], "flow")
    assert np.array_equal(np.rint(back * 100).astype(np.int16)[0].transpose(1, 2, 0), stored)


def test_the_box_spans_the_columns_of_the_silhouette() -> None:
    frame = np.zeros((20, 30), np.uint8)
    assert flow.person_box(frame) is None
    frame[3, 7], frame[9, 21] = 255, 1
    assert flow.person_box(frame) == (7, 22)
