"""What users may set for a function that is chosen by name in params.yaml: its keyword-only arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from gait.errors import DataError


def check_keywords(what: str, function: Callable[..., Any], given: Iterable[str]) -> None:
    """Refuse settings that a function does not take.

    Args:
        what: the name of it all in the message, such as "loss triplet".
        function: whose keyword-only arguments may be set.
        given: names of settings.

    Raises:
        DataError: one is not among them.
    """
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if unknown := set(given) - set(known):
        raise DataError(f"{what}: takes {', '.join(known) or 'no settings'}, not {', '.join(sorted(unknown))}")
