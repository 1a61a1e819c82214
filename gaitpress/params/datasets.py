"""The section `datasets`: where data lie, and who trains and is tested."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from gaitpress.params.values import Name, Positive, Range, Rate, Section, Seed, Share, View


class FirstTrain(Section):
    """CASIA-B's protocol: the first identities train; of the others nm-01 to nm-04 enrol, identical views are excluded.

    ``without``: training identities to leave out, such as 005 of CASIA-B, whose archive is damaged in some copies."""

    protocol: Literal["casia-b"]
    train_subjects: Positive
    without: list[Name] = Field(default=[])


class AsPublished(Section):
    protocol: Literal["oumvlp", "tum-gaid"]


class OwnRules(Section):
    """The first identities train; of the others the conditions under ``gallery`` enrol, all other walks are probes."""

    protocol: Literal["own"]
    train_subjects: Positive
    gallery: list[Name]
    cross_view: bool


Rules = Annotated[FirstTrain | AsPublished | OwnRules, Discriminator("protocol")]


class Walkers(Section):
    layout: Literal["walkers"]
    subjects: Annotated[int, Range(ge=2, le=999)]
    views: list[View]
    nm: Annotated[int, Range(ge=5, le=99)]  # four enrol, so that at least one remains as a probe
    bg: Annotated[int, Range(ge=0, le=99)]
    cl: Annotated[int, Range(ge=0, le=99)]
    frames: Annotated[int, Range(ge=2, le=1000)]
    difficulty: Share
    seed: Seed
    partition: Rules


class Published(Section):
    """A dataset as it is distributed, which knows its own frame rate."""

    layout: Literal["casia-b", "oumvlp", "tum-gaid"]
    path: str
    partition: Rules


class Own(Section):
    """What another framework preprocessed (pickles), or frames and videos of one's own (folder)."""

    layout: Literal["pickles", "folder"]
    path: str
    fps: Rate
    partition: Rules


Dataset = Annotated[Walkers | Published | Own, Discriminator("layout")]
