"""Read params.yaml; an error names the key, its value and the values allowed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gaitpress.params.architecture import OF_MODELS
from gaitpress.params.values import ParamsError
from gaitpress.params.whole import Params, faults

OVERLOOKED = ("size", "nfiles")  # dvc.stage.cache leaves them out wherever they stand, for a dependency's size says nothing

MERGING = re.compile(r"<{7}( |$)")  # where git could not merge two versions
WIDE_BLANK = re.compile(r"\s*[^\S \t\r\n]")
VERSION = re.compile(r"^%YAML\s+(\S+)", re.MULTILINE)


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
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ParamsError(f"{path}: line {line} is not UTF-8: save the file in that encoding") from None
    return check(parse(text, path), path)


def parse(text: str, path: Path) -> dict[str, Any]:
    """The sections of a params file or a recipe, unchecked.

    Args:
        text: the file's content.
        path: the file that messages name.

    Raises:
        ParamsError: the text is not valid YAML 1.2 or not a mapping.
    """
    if (version := VERSION.search(text)) and version[1] != "1.2":
        raise ParamsError(f"{path}: %YAML {version[1]}: the file is read as YAML 1.2; remove this line")
    try:
        data = deepcopy(_read(text))
    except YAMLError as error:
        raise ParamsError(f"{path}: {_why(error, text)}") from None
    except RecursionError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ParamsError(f"{path}: must be a mapping of sections")
    return data


@lru_cache(maxsize=32)
def _read(text: str) -> Any:
    """The content of a text, in the same object each time: recipes of one command go back to the same files."""
    # Not by libyaml, which a deeply nested text would kill with the process.
    return YAML(typ="safe", pure=True).load(text)


def _why(error: YAMLError, text: str) -> str:
    """What is wrong with a text that is no YAML, in words for who wrote it."""
    lines = text.splitlines()
    if marks := [number for number, line in enumerate(lines, 1) if MERGING.match(line)]:
        return f"line {marks[0]} begins a conflict that git left: keep one side, and no line <<<<<<<, ======= or >>>>>>>"
    if blank := next((number for number, line in enumerate(lines, 1) if WIDE_BLANK.match(line)), None):
        return f"line {blank} begins with a blank that YAML does not know, as copied from a page: type plain ones"
    line = error.problem_mark.line if isinstance(error, MarkedYAMLError) and error.problem_mark else None
    if line is not None and "\t" in "".join(lines[line : line + 1]):  # a list that nobody closed ends after the last line
        return f"line {line + 1} has a tab; YAML takes blanks there"
    return f"not valid YAML: {' '.join(str(error).split())}"


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
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in _faults(error, data))) from None
    if more := [*_of_architectures(params, data), *faults(params), *_unfit_for_all(data)]:
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in more))
    return params


def _of_architectures(params: Params, data: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the architectures of the models that are delivered."""
    for name, model in params.model.items():
        for keys, section in (("architecture",), model), (("then", "architecture"), getattr(model, "then", None)):
            if name in OF_MODELS and section is not None and section.architecture is not None:
                try:
                    OF_MODELS[name].model_validate(section.architecture)
                except ValidationError as error:
                    yield from _faults(error, data, "model", name, *keys)


def _unfit_for_all(data: Any) -> Iterator[str]:
    """What is wrong wherever it stands: endless numbers, and keys that DVC leaves out when it looks for a former result."""
    for path, key, value in _everything(data):
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{path} = {value}: must be a finite number"
        if key in OVERLOOKED:
            yield (
                f"{path}: DVC ignores keys of this name when it looks for a former result, so that an edit would bring back "
                "the old one: choose another name"
            )


def _everything(value: Any, keys: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The path, the key and the value of all that a section holds, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        path = f"{keys}[{key}]" if isinstance(value, list) else f"{keys}.{key}" if keys else str(key)
        yield path, key, inner
        yield from _everything(inner, path)


_WORDS = {
    "missing": "is missing",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
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


def _faults(error: ValidationError, data: Any, *above: str) -> list[str]:
    """Each fault that pydantic reports, as ``key.path[2] = value: the values allowed``.

    Args:
        error: the report.
        data: the sections of the params file.
        above: the keys of the section that the report is about.
    """
    items: list[Any] = [{**item, "loc": (*above, *item["loc"])} for item in error.errors()]
    # If a value may have two types, pydantic reports both, and the last report is enough.
    return ["".join(parts) for parts in dict(_key_and_message(item, data) for item in items).items()]


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
