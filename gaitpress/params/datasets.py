"""The section `datasets`: the place of the data, and the protocol of training and tests."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_type_hints

from annotated_types import MinLen
from pydantic import Discriminator, Field, create_model

from gait import protocols
from gait.data import readers
from gaitpress.params.values import Name, Positive, Range, Rate, Section, Seed, Share, Text, View, Wildcards

# The name of the pickle that is read where a view holds several, such as "*-aligned-sils.pkl".
PicklePattern = Annotated[str, Wildcards]
TYPES: dict[Any, Any] = {int: Positive, bool: bool, str: Name, list[str]: list[Name]}


def _rules(name: str) -> type[Section]:
    """The section ``partition`` for one protocol, with the settings that the protocol's file declares."""
    declared = protocols.find(name).Settings
    types = get_type_hints(declared)
    settings: dict[str, Any] = {"protocol": (Literal[name], ...)}
    for setting in dataclasses.fields(declared):
        default = setting.default
        if setting.default_factory is not dataclasses.MISSING:
            default = setting.default_factory()
        required = default is dataclasses.MISSING
        kind = TYPES[types[setting.name]]
        if required and kind == list[Name]:
            kind = Annotated[kind, MinLen(1)]
        settings[setting.name] = (kind, ... if required else Field(default=default))
    title = "".join(word.capitalize() for word in name.split("-"))
    return create_model(f"{title}Rules", __base__=Section, __doc__=declared.__doc__, **settings)


if TYPE_CHECKING:
    Rules = Section
else:
    Rules = Annotated[Union[tuple(map(_rules, protocols.names()))], Discriminator("protocol")]  # noqa: UP007


class Walkers(Section):
    layout: Literal["walkers"]
    subjects: Annotated[int, Range(ge=2, le=999)]
    views: Annotated[list[View], MinLen(1)]
    nm: Annotated[int, Range(ge=5, le=99)]  # four enrol, and at least one must remain as a probe
    bg: Annotated[int, Range(ge=0, le=99)]
    cl: Annotated[int, Range(ge=0, le=99)]
    frames: Annotated[int, Range(ge=2, le=1000)]
    difficulty: Share
    noise: Annotated[float, Range(ge=0, le=3)]
    seed: Seed
    partition: Rules


class Published(Section):
    """A dataset in its published form, which has a known frame rate."""

    layout: Literal[readers.PUBLISHED]  # type: ignore[valid-type]
    path: Text
    pickle: PicklePattern | None = None
    partition: Rules


class Own(Section):
    """Sequences that another framework preprocessed (pickles), or the user's own frames and videos (folder)."""

    layout: Literal[readers.OWN]  # type: ignore[valid-type]
    path: Text
    pickle: PicklePattern | None = None
    fps: Rate
    partition: Rules


Dataset = Annotated[Walkers | Published | Own, Discriminator("layout")]
