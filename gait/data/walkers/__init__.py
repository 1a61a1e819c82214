"""Walkers: a synthetic gait dataset in CASIA-B's own form.

The people are articulated and differ in build and gait. Cameras at CASIA-B's views film them as they walk normally (nm),
with a bag (bg) and in a coat (cl).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gait.data.walkers import body, film, motion

FPS = 25
KINDS = ("nm", "bg", "cl")


@dataclass(frozen=True)
class Walk:
    """One walk from one view.

    Attributes:
        identity, condition, view: as in CASIA-B, such as "001", "nm-01", "090".
        silhouettes: for each frame uint8 [240, 320], 0 or 255.
        video: for each frame uint8 [240, 320], grey.
    """

    identity: str
    condition: str
    view: str
    silhouettes: list[np.ndarray]
    video: list[np.ndarray]


@dataclass(frozen=True)
class Walkers:
    """The settings of the dataset; the names are those of params.yaml.

    Attributes:
        difficulty: how much a person's gait differs from walk to walk, 0 to 1.
        noise: how faulty the silhouettes are; 0: exact.
    """

    views: tuple[str, ...]
    nm: int
    bg: int
    cl: int
    frames: int
    difficulty: float
    noise: float
    seed: int

    def conditions(self) -> list[str]:
        """All walking conditions of a person, such as "nm-01"."""
        counts = {"nm": self.nm, "bg": self.bg, "cl": self.cl}
        return [f"{kind}-{number:02d}" for kind in KINDS for number in range(1, counts[kind] + 1)]

    def walks(self, subject: int) -> Iterator[Walk]:
        """All walks of one person (numbered from 1) in all views.

        A person depends on the seed and their number alone, not on the number of people.
        """
        person = np.random.default_rng([self.seed, subject])
        shape, habit = body.person_shape(person), motion.person_gait(person)
        for condition in self.conditions():
            kind, number = condition.split("-")
            key = [self.seed, subject, KINDS.index(kind), int(number)]
            walk = np.random.default_rng(key)
            gait = motion.walk_gait(habit, walk, self.difficulty)
            if kind == "cl":
                gait = motion.hindered(gait, walk)
            moving = motion.skeleton(shape.limbs, gait, self.frames, FPS, walk.uniform(), body.arm_swing(shape, kind))
            surface = body.tubes(shape, moving, kind)
            # Nobody walks exactly along the line on the floor.
            heading = np.radians(walk.normal(0, 4 * self.difficulty))
            aside = walk.normal(0, 0.2 * self.difficulty)
            surface = [body.Tube(_placed(tube.rings, heading, aside), tube.material) for tube in surface]
            for view in self.views:
                # The room is the same in all walks of a view; noise and faults differ from frame to frame.
                room = film.background(np.random.default_rng([self.seed, int(view)]))
                rng = np.random.default_rng([*key, int(view)])
                texture = np.random.default_rng([self.seed, subject, KINDS.index(kind)])
                painted = film.paint(surface, shape.greys, film.camera_at(float(view)), texture)
                silhouettes = film.segment(painted, rng, self.noise)
                yield Walk(f"{subject:03d}", condition, view, silhouettes, film.film(painted, room, rng))


def _placed(rings: np.ndarray, heading: float, aside: float) -> np.ndarray:
    """The rings of a walk [..., 3] in metres, turned about the vertical by ``heading`` and moved sideways by ``aside``."""
    turn = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    return rings @ turn.T + np.array([0, aside, 0])
