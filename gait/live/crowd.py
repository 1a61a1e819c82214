"""Films in which always as many people walk by, none before another: what live recognition is measured with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gait.data.walkers import FPS, body, motion
from gait.live.scene import Passing, Scene

WIDE, HIGH = 1280, 360  # room for eight people who do not touch
WAY = 13.5  # m, from edge to edge of such a picture
SPEED, ALIKE = 1.12, 0.05  # m/s, of the usual walker, and by how much others differ, so that nobody overtakes
EMPTY = 1.0  # s, at the start


def crowd(people: int, seconds: float, seed: int = 1) -> Scene:
    """A film of people who follow each other through the picture.

    Args:
        people: how many are there at once, 1 to 8, once the first has come to the other edge.
        seconds: the length of the film after that.
        seed: of who they are.
    """
    crossing = WAY / SPEED
    apart = crossing / people
    count = round((crossing + seconds) / apart) + 1
    walkers = _of_one_speed(seed)
    passings = [Passing(next(walkers), EMPTY + number * apart, 1.6 * crossing) for number in range(count)]
    return Scene(passings, EMPTY + crossing + seconds, seed, 0.0, WIDE, HIGH)


def _of_one_speed(seed: int) -> Iterator[int]:
    """Walkers who are about as fast as each other."""
    subject = 0
    while True:
        subject += 1
        person = np.random.default_rng([seed, subject])
        shape, habit = body.person_shape(person), motion.person_gait(person)
        arms = body.arm_swing(shape, "nm")
        moving = motion.skeleton(shape.limbs, habit, 4 * FPS, FPS, 0.0, arms).points["pelvis"][:, 0]
        if abs((moving[-1] - moving[0]) / 4 - SPEED) < ALIKE:
            yield subject
