"""Films of several walkers, who cross, come back and hide each other, with who is where: to try what is live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gait.data.walkers import FPS, body, film, motion

WIDE, HIGH = 640, 360
NOISE = 2.0  # grey levels of the sensor's noise
ROOM_SEED = 90


@dataclass(frozen=True)
class Passing:
    """Somebody who walks straight through the picture.

    Attributes:
        subject: who it is: the walker of that number.
        start: when they are first there, in s.
        seconds: how long they walk.
        middle: the place where they are in the middle of that time, in metres: to the left in the picture and towards the
            camera, from the point that it looks at.
        heading: degrees; at 0 they walk to the left, at 180 to the right, at 90 towards the camera.
        kind, number: the condition, such as "nm" and 5; another number is another walk of the same person.
    """

    subject: int
    start: float
    seconds: float
    middle: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    kind: str = "nm"
    number: int = 1


@dataclass(frozen=True)
class Scene:
    """A film of several walkers, seen by one camera from the side.

    Attributes:
        passings: who walks when and where.
        seconds: the length of the film.
        seed, difficulty: of the people, as in :class:`gait.data.walkers.Walkers`.
        width, height: of the pictures; people are larger in higher ones.
        view: the camera's angle to a walk of heading 0.
    """

    passings: Sequence[Passing]
    seconds: float
    seed: int = 1
    difficulty: float = 0.2
    width: int = WIDE
    height: int = HIGH
    view: float = 90.0

    def frames(self) -> Iterator[tuple[np.ndarray, dict[int, tuple[int, int, int, int]]]]:
        """Each frame, uint8 [height, width, 3], and who is seen there: boxes (left, top, width, height) by subject."""
        camera = replace(
            film.camera_at(self.view), width=self.width, height=self.height, focal=film.FOCAL_PX * self.height / film.HEIGHT
        )
        room = cv2.resize(
            film.background(np.random.default_rng([self.seed, ROOM_SEED])),
            (self.width, self.height),
            interpolation=cv2.INTER_CUBIC,
        )
        place = np.repeat(room[..., None], 3, 2).astype(np.float32) * (0.98, 1.0, 1.02)
        rng = np.random.default_rng([self.seed, 1])
        grain = rng.normal(0, NOISE, (self.height + 64, self.width + 64, 3)).astype(np.float32)
        waiting = sorted(self.passings, key=lambda passing: passing.start)
        shown: list[_Walker] = []
        for number in range(round(self.seconds * FPS)):
            while waiting and round(waiting[0].start * FPS) <= number:
                shown.append(_Walker(waiting.pop(0), self, camera))
            shown = [walker for walker in shown if number < walker.first + walker.count]
            scene, boxes = place.copy(), {}
            for walker in sorted(shown, key=lambda walker: -walker.depth(number)):
                painted = walker.painted(number)
                seen = painted > 0
                scene[seen] = painted[seen, None] * walker.tint
                if seen.any():
                    left, top, width, height = cv2.boundingRect(seen.astype(np.uint8))
                    boxes[walker.passing.subject] = left, top, width, height
            y, x = rng.integers(0, 64, 2)
            grainy = cv2.GaussianBlur(scene, (3, 3), 0.6) + grain[y : y + self.height, x : x + self.width]
            yield np.clip(grainy, 0, 255).astype(np.uint8), boxes


class _Walker:
    """A passing with the surface of its person in all frames, which are painted one by one."""

    def __init__(self, passing: Passing, scene: Scene, camera: film.Camera) -> None:
        self.passing, self.camera = passing, camera
        self.first, self.count = round(passing.start * FPS), round(passing.seconds * FPS)
        person = np.random.default_rng([scene.seed, passing.subject])
        shape, habit = body.person_shape(person), motion.person_gait(person)
        walk = np.random.default_rng([scene.seed, passing.subject, ord(passing.kind[0]), passing.number])
        gait = motion.walk_gait(habit, walk, scene.difficulty)
        if passing.kind == "cl":
            gait = motion.hindered(gait, walk)
        arms = body.arm_swing(shape, passing.kind)
        moving = motion.skeleton(shape.limbs, gait, self.count, FPS, walk.uniform(), arms)
        turn = np.radians(passing.heading)
        turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        at = np.array([*passing.middle, 0.0])
        surface = body.tubes(shape, moving, passing.kind)
        self._tubes = [body.Tube(tube.rings @ turned.T + at, tube.material) for tube in surface]
        self._pelvis = moving.points["pelvis"] @ turned.T + at
        self._greys, self._seed = shape.greys, [scene.seed, passing.subject]
        self.tint = person.uniform(0.75, 1.1, 3).astype(np.float32)

    def depth(self, number: int) -> float:
        """How far from the camera the person is, in m."""
        return float(self.camera.project(self._pelvis[number - self.first])[1])

    def painted(self, number: int) -> np.ndarray:
        """The person over black, uint8 [height, width]."""
        at = number - self.first
        tubes = [body.Tube(tube.rings[at : at + 1], tube.material) for tube in self._tubes]
        return film.paint(tubes, self._greys, self.camera, np.random.default_rng(self._seed))[0]
