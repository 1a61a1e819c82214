"""Read params.yaml; an error names the key, its value and the values allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gaitpress.params.values import ParamsError
from gaitpress.params.whole import Params, faults

OVERLOOKED = ("size", "nfiles")  # dvc.stage.cache leaves them out wherever they stand, for a dependency's size says nothing


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check a params file.

    Raises:
        ParamsError: the message has a line for each fault, such as
            ``params.yaml: prune.percentiles[2] = 140: must be at least 0 and less than 100``.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the repository's root or pass --params") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return check(parse(text, path), path)


def parse(text: str, path: Path) -> dict[str, Any]:
    """The sections of a params file or a recipe, unchecked.

    Args:
        text: the file's content.
        path: the file that messages name.

    Raises:
        ParamsError: the text is not valid YAML or not a mapping.
    """
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ParamsError(f"{path}: must be a mapping of sections")
    return data


def check(data: dict[str, Any], path: Path) -> Params:
    """The sections of a params file, checked and typed.

    Args:
        data: the sections.
        path: the file that messages name.

    Raises:
        ParamsError: as :func:`load`.
    """
    try:
        params = Params.model_validate(data)
    except ValidationError as error:
        # If a value may have two types, pydantic reports both, and the last report is enough.
        messages = dict(_key_and_message(item, data) for item in error.errors())
        raise ParamsError("\n".join(f"{path}: {key}{message}" for key, message in messages.items())) from None
    if more := [*faults(params), *_overlooked(data)]:
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in more))
    return params


def _overlooked(value: Any, keys: str = "") -> Iterator[str]:
    """What is wrong with keys that DVC leaves out when it looks for a former result in its cache."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        path = f"{keys}[{key}]" if isinstance(value, list) else f"{keys}.{key}" if keys else str(key)
        if key in OVERLOOKED:
            yield (
                f"{path}: DVC ignores keys of this name when it looks for a former result, so that an edit would bring back "
                "the old one: choose another name"
            )
        yield from _overlooked(inner, path)


_WORDS = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
}


def _key_and_message(error: Any, data: Any) -> tuple[str, str]:
    """One of pydantic's errors as ``key.path[2]`` and `` = value: the values allowed``."""
    keys, value = "", data
    location = [*error["loc"], *([error["ctx"]["key"]] if error["type"] == "unknown_key" else [])]
    for key in location:
        if isinstance(value, dict) and key in value:
            value, keys = value[key], f"{keys}.{key}" if keys else str(key)
        elif isinstance(value, list) and isinstance(key, int):
            value, keys = value[key], f"{keys}[{key}]"
        elif error["type"] == "missing" and key == location[-1]:
            keys = f"{keys}.{key}" if keys else str(key)
        # Any other key is pydantic's note of the alternative of a union that it tried.
    words = _WORDS.get(error["type"]) or re.sub("^(Input|String) should", "must", error["msg"])
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = error["ctx"]["discriminator"].strip("'")
        keys, value = f"{keys}.{tag}", value.get(tag, "nothing") if isinstance(value, dict) else value
        words = f"must be one of {error['ctx'].get('expected_tags', 'the known ones')}"
    shown = f" = {value}" if error["type"] != "missing" and not isinstance(value, dict) else ""
    return keys, f"{shown}: {words}"


def schema() -> str:
    """The JSON schema of params.yaml, as text, for editors."""
    return json.dumps(Params.model_json_schema(), indent=1, sort_keys=True) + "\n"
