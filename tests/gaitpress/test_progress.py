"""How far a loop has come."""

from __future__ import annotations

import time

import pytest

from gaitpress.progress import log_every_s, progress


def test_progress_passes_everything_on_and_tells_a_log_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert list(progress(iter("abcdef"), 6, "letters")) == list("abcdef")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["letters: 3/6 in 12 s, 12 s left", "letters: 6/6 in 24 s, 0 s left", "letters: 6 done in 28.0 s"]


def test_the_lines_of_a_log_grow_far_more_slowly_than_the_time() -> None:
    def lines(seconds: float) -> int:
        at, count = 0.0, 0
        while at < seconds:
            at, count = at + log_every_s(at), count + 1
        return count

    assert lines(60) == 6
    hour, day = lines(3600), lines(86400)
    assert 40 < hour < 100
    assert day - hour <= 23 * 3600 / 300 + 80  # at least one in five minutes, and not one in ten seconds
    assert max(log_every_s(at) for at in range(0, 10**6, 1000)) == 300
