"""What a look at a device finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing about a device.

    Attributes:
        what: in a word or two.
        verdict: "fault" if it cannot be used like this, "warning" if its figures suffer.
        text: what was found and, unless it is ok, what to do.
    """

    what: str
    verdict: Literal["ok", "warning", "fault"]
    text: str
