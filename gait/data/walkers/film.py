"""The film of a synthetic person: a pinhole camera at one of CASIA-B's views, painted frames and segmented silhouettes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gait.data.walkers.body import POINTS, Tube

WIDTH, HEIGHT = 320, 240
FOCAL_PX = 330.0
DISTANCE_M = 5.2
CAMERA_HEIGHT_M = 1.45
AIM_HEIGHT_M = 0.93
SUBPIXEL_BITS = 3
LIGHT = np.array([0.35, 0.45, 0.82])


@dataclass(frozen=True)
class Camera:
    """A camera that looks at the middle of the path.

    Attributes:
        position: [3] in metres.
        axes: [3, 3]; the rows are right, down and ahead.
        width, height, focal: of its pictures, in pixels.
    """

    position: np.ndarray
    axes: np.ndarray
    width: int = WIDTH
    height: int = HEIGHT
    focal: float = FOCAL_PX

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] and depth in metres [...] of points [..., 3] in metres."""
        relative = (points - self.position) @ self.axes.T
        depth = relative[..., 2]
        centre = np.array([self.width, self.height]) / 2
        return self.focal * relative[..., :2] / depth[..., None] + centre, depth


def camera_at(view_degrees: float) -> Camera:
    """CASIA-B's camera at an angle to the walking direction: 0 sees the front, 90 the side, 180 the back."""
    angle = np.radians(view_degrees)
    position = np.array([DISTANCE_M * np.cos(angle), DISTANCE_M * np.sin(angle), CAMERA_HEIGHT_M])
    ahead = np.array([0.0, 0.0, AIM_HEIGHT_M]) - position
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return Camera(position, np.stack([right, np.cross(ahead, right), ahead]))


def background(rng: np.random.Generator) -> np.ndarray:
    """An empty room, uint8 [HEIGHT, WIDTH]: a wall with panels and a speckled floor."""
    room = np.full((HEIGHT, WIDTH), rng.uniform(120, 170), np.float32)
    horizon = int(rng.integers(120, 150))
    room[horizon:] = rng.uniform(70, 120) + np.linspace(0, 25, HEIGHT - horizon)[:, None]
    for _ in range(6):
        x, y = rng.integers(0, WIDTH - 40), rng.integers(0, horizon - 30)
        wide, high = rng.integers(20, 90), rng.integers(20, horizon - y)
        room[y : y + high, x : x + wide] += rng.uniform(-25, 25)
    for scale, strength in ((4, 5), (32, 12)):
        coarse = rng.normal(0, strength, (HEIGHT // scale + 2, WIDTH // scale + 2)).astype(np.float32)
        room += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(room, 10, 245).astype(np.uint8)


def paint(tubes: Sequence[Tube], greys: dict[str, float], camera: Camera, texture: np.random.Generator) -> list[np.ndarray]:
    """Paint a person over black, back to front: one uint8 [height, width] a frame, at least 1 wherever the person is.

    Args:
        tubes: the body's surface in all frames.
        greys: brightness of each material.
        camera: the view.
        texture: gives each patch of the surface its own shade, which moves with the body.
    """
    corners, depths, shades = [], [], []
    around = np.arange(POINTS)
    beside = (around + 1) % POINTS
    for tube in tubes:
        pixels, depth = camera.project(tube.rings)
        upper, lower = tube.rings[:, :-1], tube.rings[:, 1:]
        quads = np.stack([pixels[:, :-1, around], pixels[:, :-1, beside], pixels[:, 1:, beside], pixels[:, 1:, around]], 3)
        middles = (upper + lower) / 2
        outward = middles - middles.mean(2, keepdims=True)
        hidden = (outward * (camera.position - middles)).sum(-1) < -1e-3
        normals = np.cross(upper[:, :, beside] - upper, lower - upper)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
        patches = texture.normal(0, 0.10, normals.shape[1:3])
        lit = 0.72 + 0.28 * np.abs(normals @ LIGHT)
        frames = len(pixels)
        corners.append(quads.reshape(frames, -1, 4, 2))
        depths.append(np.where(hidden, np.nan, (depth[:, :-1] + depth[:, 1:]) / 2).reshape(frames, -1))
        shades.append((greys[tube.material] * lit * (1 + patches)).reshape(frames, -1))
    quads, shade = np.concatenate(corners, 1), np.clip(np.concatenate(shades, 1), 1, 250).astype(int)
    depth = np.concatenate(depths, 1)
    order = np.argsort(-depth, axis=1)  # hidden patches, NaN, come last
    visible = depth.shape[1] - np.isnan(depth).sum(1)
    fixed = np.round(quads * 2**SUBPIXEL_BITS).astype(np.int32)
    painted = []
    for frame in range(len(fixed)):
        image = np.zeros((camera.height, camera.width), np.uint8)
        back_to_front = order[frame, : visible[frame]]
        # Everything but the painting stays out of this loop, which is most of the work.
        for patch, grey in zip(fixed[frame, back_to_front], shade[frame, back_to_front].tolist(), strict=True):
            cv2.fillConvexPoly(image, patch, grey, cv2.LINE_8, SUBPIXEL_BITS)
        painted.append(image)
    return painted


def film(painted: Sequence[np.ndarray], room: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Grey video frames: the person before the room, softened by the lens, with the sensor's noise."""
    noise = rng.normal(0, 2.0, (HEIGHT + 64, WIDTH + 64)).astype(np.float32)
    frames = []
    for image in painted:
        scene = room.copy()
        cv2.copyTo(image, image, scene)  # wherever the person is
        y, x = rng.integers(0, 64, 2)
        grainy = cv2.GaussianBlur(scene, (3, 3), 0.6) + noise[y : y + HEIGHT, x : x + WIDTH]
        frames.append(np.clip(grainy, 0, 255, out=grainy).astype(np.uint8))
    return frames


def segment(painted: Sequence[np.ndarray], rng: np.random.Generator, noise: float) -> list[np.ndarray]:
    """Silhouettes with the faults of background subtraction, uint8 0 or 255: frayed edges, holes, shadows at the feet.

    The faults grow with ``noise``; at 0 the silhouettes are exact.
    """
    silhouettes = []
    for image in painted:
        exact = ((image > 0) * 255).astype(np.uint8)
        silhouettes.append(_with_faults(exact, rng, noise) if noise else exact)
    return silhouettes


def _with_faults(exact: np.ndarray, rng: np.random.Generator, noise: float) -> np.ndarray:
    x, y, wide, high = cv2.boundingRect(exact)
    if not wide:
        return exact
    edge = 6
    left, top, right, bottom = (
        max(0, x - edge),
        max(0, y - edge),
        min(WIDTH, x + wide + edge),
        min(HEIGHT, y + high + edge),
    )
    person = exact[top:bottom, left:right].copy()
    # Background subtraction misses parts that look like the background, most often at the legs.
    for _ in range(rng.poisson(0.6 * noise)):
        at = (int(rng.integers(0, right - left)), int(rng.triangular(0, 0.8, 1) * (bottom - top)))
        axes = (int(rng.integers(1, 2 + int(5 * noise))), int(rng.integers(1, 3 + int(8 * noise))))
        cv2.ellipse(person, at, axes, float(rng.uniform(0, 180)), 0, 360, 0, -1)
    if rng.random() < 0.25 * noise:  # a shadow on the floor
        shadow = (int(rng.uniform(0.3, 0.7) * (right - left)), bottom - top - edge)
        cv2.ellipse(person, shadow, (int(0.25 * wide), int(rng.integers(1, 4))), 0, 0, 360, 255, -1)
    coarse = rng.normal(0, 1, ((bottom - top) // 4 + 2, (right - left) // 4 + 2)).astype(np.float32)
    frayed = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(person, (5, 5), 1.1).astype(np.float32) / 255
    person = np.where(soft + 0.35 * noise * frayed > 0.5, 255, 0).astype(np.uint8)
    # Remove small specks away from the person, as every pipeline does.
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(person, connectivity=8)
    for label in range(1, count):
        if sizes[label, cv2.CC_STAT_AREA] < 30:
            person[labels == label] = 0
    segmented = np.zeros_like(exact)
    segmented[top:bottom, left:right] = person
    return segmented
