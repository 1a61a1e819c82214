"""How far a loop has come, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY_S = 10.0
SHARE, RARELY_S = 0.05, 300.0  # of the time that a loop has taken already; and at least so often


def log_every_s(taken: float) -> float:
    """Seconds between two lines of a log, by the seconds that a loop has taken: those of a day are a few hundred lines."""
    return min(max(LOG_EVERY_S, SHARE * taken), RARELY_S)


def progress(iterable: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
    """Show how far a loop has come: a bar on a terminal, else plain lines: every ten seconds, later more seldom."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(iterable, total=total, desc=label)
        return
    start = said = time.monotonic()
    done = 0
    for done, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - said >= log_every_s(now - start):
            said = now
            left = f", {(now - start) * (total - done) / done:.0f} s left" if total else ""
            print(f"{label}: {done}{f'/{total}' if total else ''} in {now - start:.0f} s{left}", file=sys.stderr)
    print(f"{label}: {done} done in {time.monotonic() - start:.1f} s", file=sys.stderr)
