"""Members of a family, such as all models: `make test` tries some, `make test-slow` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(family: Iterable[Any], *quick: Any) -> list[Any]:
    """The family as parameters of a test, all slow but ``quick``; tuples are the arguments of a test that takes several."""
    members = list(family)
    assert all(member in members for member in quick), quick
    return [
        pytest.param(
            *(member if isinstance(member, tuple) else (member,)), marks=() if member in quick else pytest.mark.slow
        )
        for member in members
    ]
