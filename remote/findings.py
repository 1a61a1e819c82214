"""The findings of a check of a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """A finding about a device.

    Attributes:
        what: its subject, in a word or two.
        verdict: "fault" if the device cannot be used like this, "warning" if its figures suffer.
        text: the finding and, unless it is ok, what to do.
    """

    what: str
    verdict: Literal["ok", "warning", "fault"]
    text: str
