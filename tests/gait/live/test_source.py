from collections.abc import Iterator

import numpy as np
import pytest

from gait.live import source
from gait.live.source import Source
from tests.support.camera import camera

DARK, BRIGHT = np.zeros((60, 80, 3), np.uint8), np.full((60, 80, 3), 200, np.uint8)


def test_a_stream_that_is_away_for_long_is_opened_again_in_few_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "WAITS", (0.01, 0.02))

    def plan(call: int) -> Iterator[tuple[float, np.ndarray]]:
        if call == 1:
            yield from ((0.01, DARK) for _ in range(10))
        elif call > 6:
            yield from ((0.01, BRIGHT) for _ in range(1000))

    said: list[str] = []
    with camera(plan) as address:
        stream = Source(address, said.append)
        for frame in stream.frames():
            if frame.image.mean() > 100:
                stream.stop()
        stream.close()
    assert [line.removeprefix(f"{address}: ") for line in said] == [
        "no picture; trying again in 0.01 s",
        "no picture; trying again every 0.02 s until it is there",
        "pictures again",
    ]
