"""How far a loop has come."""

from __future__ import annotations

import time

import pytest

from gaitpress.progress import progress


def test_progress_passes_everything_on_and_tells_a_log_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert list(progress(iter("abcdef"), 6, "letters")) == list("abcdef")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["letters: 3/6 in 12 s, 12 s left", "letters: 6/6 in 24 s, 0 s left", "letters: 6 done in 28.0 s"]
