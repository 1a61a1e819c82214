"""The parts of sections: names, numbers with limits, and sections that refuse unknown keys."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError, core_schema

ROOT = Path(__file__).parents[2]


class ParamsError(Exception):
    """params.yaml is wrong; each line of the message names a key, its value and the values allowed."""


@dataclass(frozen=True)
class Range:
    """The bounds of a number; an error names all of them."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __str__(self) -> str:
        bounds = [(self.ge, "at least"), (self.gt, "more than"), (self.le, "at most"), (self.lt, "less than")]
        return "must be " + " and ".join(f"{words} {bound:g}" for bound, words in bounds if bound is not None)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        keys = {"minimum": self.ge, "exclusiveMinimum": self.gt, "maximum": self.le, "exclusiveMaximum": self.lt}
        return {**handler(schema), **{key: bound for key, bound in keys.items() if bound is not None}}

    def _check(self, value: float) -> float:
        within = (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )
        if not within:
            raise PydanticCustomError("range", "{text}", {"text": str(self)})
        return value


class NoDot:
    """Of the name of a section: a dot would part it in two."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str) -> str:
        if "." in value:
            raise PydanticCustomError("dot", "must have no dot: DVC takes what follows it for a key within this one")
        return value


@dataclass(frozen=True)
class FileIn:
    """The name of a module in a folder of this repository, such as compress/pruning/criteria."""

    folder: str

    def names(self) -> list[str]:
        return sorted(path.stem for path in (ROOT / self.folder).glob("[a-z]*.py"))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "enum": self.names()}

    def _check(self, value: str) -> str:
        names = self.names()
        if value not in names:
            *others, last = map(repr, names)
            close = difflib.get_close_matches(value, names, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise PydanticCustomError("file_in", "{text}", {"text": f"must be {', '.join(others)} or {last}{hint}"})
        return value


@dataclass(frozen=True)
class Form:
    """The form of a text: a regular expression for all of it, and the words for it that an error has."""

    pattern: str
    words: str
    longest: int = 64

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.pattern}$", "maxLength": self.longest}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise PydanticCustomError("form", "{text}", {"text": f"must be {self.words}"})
        if len(value) > self.longest:
            raise PydanticCustomError("form", "{text}", {"text": f"must have at most {self.longest} characters"})
        return value


Name = Annotated[str, Form(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a name of letters, digits, _, - and ., a letter or digit first")]
EntryName = Annotated[Name, NoDot()]
ModelName = Annotated[str, Form(r"[a-z][a-z0-9_]*", "a name of small letters, digits and _, a letter first")]
VIEWS = ("000", "018", "036", "054", "072", "090", "108", "126", "144", "162", "180")
View = Annotated[str, Form("|".join(VIEWS), f"one of {', '.join(VIEWS)}")]
Wildcards = Form(
    r"[A-Za-z0-9_.*?\[\]!-]+", "a name, where * stands for any letters, ? for one and [ab] for one of them", 128
)
Text = Annotated[str, StringConstraints(min_length=1)]
Positive = Annotated[int, Range(ge=1)]
Natural = Annotated[int, Range(ge=0)]
Rate = Annotated[float, Range(gt=0)]
Share = Annotated[float, Range(ge=0, le=1)]
Percentile = Annotated[int | float, Range(ge=0, lt=100)]
Seed = Annotated[int, Range(ge=0, lt=2**32)]


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, no silent conversions, no changes after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                close = difflib.get_close_matches(str(key), cls.model_fields, 1)
                hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(cls.model_fields)}"
                raise PydanticCustomError("unknown_key", "{text}", {"text": f"unknown key; {hint}", "key": str(key)})
        return data


class OpenSection(Section):
    """A section with any further keys: the loss or augmentation that the section names checks these itself."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        return data


def limit(*units: str) -> Form:
    """A number above 0 with one of the units, such as 5ms."""
    above_0 = r"(0*[1-9][0-9]*(\.[0-9]+)?|[0-9]*\.0*[1-9][0-9]*)"
    return Form(
        rf"{above_0} ?({'|'.join(units)})", f"a number above 0 with a unit, {', '.join(units)}; such as 5{units[0]}", 32
    )
