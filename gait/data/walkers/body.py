"""The surface of a synthetic person: elliptical rings along limbs, trunk, head, clothes and bags.

A *tube* is a stack of rings [frames, rings, POINTS, 3]; neighbouring rings span its surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gait.data.walkers.motion import Limbs, Skeleton

POINTS = 12  # of a ring
_CIRCLE = 2 * np.pi * np.arange(POINTS) / POINTS
BAGS = ("backpack", "shoulder bag", "hand bag")
WIDEST_STEP_M = 0.16  # the farthest that a leg pushes a coat's skirt
HAIR = ("short", "short", "bun", "long")


@dataclass(frozen=True)
class Shape:
    """The body, clothes and bag of a person.

    Attributes:
        limbs: lengths.
        girth: thickness of trunk and limbs relative to the average for the height.
        belly, chest, hips: depth or width of these relative to the average.
        hair: one of HAIR.
        trousers: looseness of the trouser legs, 1 = tight.
        bag, bag_side, bag_size: in the bg condition: one of BAGS, its side and its relative size.
        coat, hem, bulk: in the cl condition: width of the coat, level of its hem (0 = hips, 1 = knees, 2 = ankles),
            thickness of the sleeves.
        greys: brightness of skin, hair, top, trousers, shoes, coat, bag in video, 0..255.
    """

    limbs: Limbs
    girth: float
    belly: float
    chest: float
    hips: float
    hair: str
    trousers: float
    bag: str
    bag_side: str
    bag_size: float
    coat: float
    hem: float
    bulk: float
    greys: dict[str, float]


def person_shape(rng: np.random.Generator) -> Shape:
    """The body of a new person; proportions as in Drillis and Contini's tables, with individual variation."""
    height = np.clip(rng.normal(1.70, 0.08), 1.48, 1.93)

    def part(share: float, spread: float) -> float:
        return height * share * np.clip(rng.normal(1, spread), 1 - 2.5 * spread, 1 + 2.5 * spread)

    limbs = Limbs(
        thigh=part(0.245, 0.03),
        shank=part(0.240, 0.03),
        foot=part(0.152, 0.05),
        ankle=part(0.039, 0.05),
        hips=part(0.105, 0.06),
        shoulders=part(0.215, 0.06),
        trunk=part(0.290, 0.03),
        neck=part(0.045, 0.10),
        head=part(0.135, 0.03),
        upper_arm=part(0.175, 0.03),
        forearm=part(0.145, 0.03),
        hand=part(0.090, 0.05),
    )
    return Shape(
        limbs=limbs,
        girth=np.clip(rng.normal(1, 0.10), 0.8, 1.3),
        belly=np.clip(rng.normal(1, 0.12), 0.8, 1.4),
        chest=np.clip(rng.normal(1, 0.08), 0.8, 1.2),
        hips=np.clip(rng.normal(1, 0.07), 0.85, 1.2),
        hair=str(rng.choice(HAIR)),
        trousers=rng.uniform(1.0, 1.35),
        bag=str(rng.choice(BAGS)),
        bag_side=str(rng.choice(["left", "right"])),
        bag_size=rng.uniform(0.8, 1.2),
        coat=rng.uniform(1.25, 1.7),
        hem=rng.uniform(0.4, 1.5),
        bulk=rng.uniform(1.4, 1.9),
        greys={
            "skin": rng.uniform(150, 200),
            "hair": rng.uniform(15, 90),
            "top": rng.uniform(40, 230),
            "trousers": rng.uniform(25, 170),
            "shoes": rng.uniform(15, 200),
            "coat": rng.uniform(20, 190),
            "bag": rng.uniform(15, 150),
        },
    )


@dataclass(frozen=True)
class Tube:
    """A stack of rings [frames, rings, POINTS, 3] in metres, and its material (a key of Shape.greys)."""

    rings: np.ndarray
    material: str


def _ring(centre: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """An ellipse [frames, POINTS, 3] around ``centre`` with the half axes ``one`` and ``other``, each [frames, 3]."""
    return centre[:, None] + np.cos(_CIRCLE)[:, None] * one[:, None] + np.sin(_CIRCLE)[:, None] * other[:, None]


def _limb(points: Sequence[np.ndarray], radii: Sequence[tuple[float, float]], material: str) -> Tube:
    """A tube through points [frames, 3]; radii are the (forward, sideways) half axes across the limb at each point."""
    rings = []
    for index, (at, (forward, sideways)) in enumerate(zip(points, radii, strict=True)):
        along = points[min(index + 1, len(points) - 1)] - points[max(index - 1, 0)]
        along = along / np.linalg.norm(along, axis=1, keepdims=True)
        left = np.cross(along, [1.0, 0.0, 0.0]) + 1e-9 * np.array([0, 1, 0])
        left /= np.linalg.norm(left, axis=1, keepdims=True)
        rings.append(_ring(at, forward * np.cross(left, along), sideways * left))
    return Tube(np.stack(rings, 1), material)


def _stack(base: np.ndarray, frame: np.ndarray, levels: Sequence[tuple[float, float, float, float]], material: str) -> Tube:
    """A tube of rings in a part's own frame; levels are (height, forward offset, forward and sideways half axis)."""
    forward, left, up = frame[:, :, 0], frame[:, :, 1], frame[:, :, 2]
    rings = [_ring(base + z * up + x * forward, deep * forward, wide * left) for z, x, deep, wide in levels]
    return Tube(np.stack(rings, 1), material)


def _between(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    return start + share * (end - start)


def tubes(shape: Shape, skeleton: Skeleton, kind: str) -> list[Tube]:
    """The surface of a person in motion, dressed for a condition: "nm", "bg" (with their bag) or "cl" (in their coat)."""
    parts = [*_trunk(shape, skeleton), *_head(shape, skeleton)]
    for side in ("left", "right"):
        parts += _leg(shape, skeleton, side) + _arm(shape, skeleton, side, kind == "cl")
    if kind == "cl":
        parts += _coat(shape, skeleton)
    if kind == "bg":
        parts.append(_bag(shape, skeleton))
    return parts


def _blend(pelvis: np.ndarray, trunk: np.ndarray, share: float) -> np.ndarray:
    """A frame between pelvis and trunk, for the waist; at these small angles it is close enough to a rotation."""
    mixed = (1 - share) * pelvis + share * trunk
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def _trunk_levels(shape: Shape) -> list[tuple[float, float, float, float, float]]:
    """(height / trunk, forward offset, forward and sideways half axis, share of the trunk's frame), metres."""
    hips, shoulders, girth = shape.limbs.hips, shape.limbs.shoulders, shape.girth
    return [
        (-0.20, 0.00, 0.070 * girth, 0.50 * hips * girth, 0.0),
        (-0.08, -0.012, 0.112 * girth * shape.hips, 0.92 * hips * shape.hips, 0.0),
        (0.08, -0.008, 0.115 * girth, 0.95 * hips * shape.hips, 0.1),
        (0.30, 0.010 * shape.belly, 0.100 * girth * shape.belly, 0.80 * hips * girth, 0.4),
        (0.52, 0.012, 0.108 * girth * (shape.belly + shape.chest) / 2, 0.86 * hips * girth, 0.7),
        (0.74, 0.010, 0.118 * girth * shape.chest, 0.43 * shoulders, 1.0),
        (0.86, -0.005, 0.105 * girth * shape.chest, 0.44 * shoulders, 1.0),
        (0.95, -0.010, 0.080 * girth, 0.34 * shoulders, 1.0),
        (1.00, -0.012, 0.062 * girth, 0.19 * shoulders, 1.0),
        (1.04, -0.012, 0.058, 0.062, 1.0),
    ]


def _trunk_tube(
    shape: Shape, skeleton: Skeleton, levels: Sequence[tuple[float, ...]], material: str, loose: float = 1
) -> Tube:
    pelvis = skeleton.points["pelvis"]
    rings = []
    for height, ahead, deep, wide, share in levels:
        frame = _blend(skeleton.pelvis, skeleton.trunk, share)
        centre = pelvis + height * shape.limbs.trunk * frame[:, :, 2] + ahead * frame[:, :, 0]
        rings.append(_ring(centre, loose * deep * frame[:, :, 0], loose * wide * frame[:, :, 1]))
    return Tube(np.stack(rings, 1), material)


def _trunk(shape: Shape, skeleton: Skeleton) -> list[Tube]:
    levels = _trunk_levels(shape)
    return [
        _trunk_tube(shape, skeleton, levels[:3], "trousers"),
        _trunk_tube(shape, skeleton, levels[2:], "top"),
    ]


def _head(shape: Shape, skeleton: Skeleton) -> list[Tube]:
    points, size = skeleton.points, shape.limbs.head
    neck = _limb(
        [points["neck"] - 0.02 * skeleton.trunk[:, :, 2], points["skull"] + 0.25 * size * skeleton.head[:, :, 2]],
        [(0.060, 0.060), (0.055, 0.052)],
        "skin",
    )
    outline = [(0.0, 0.020, 0.25), (0.12, 0.018, 0.36), (0.32, 0.008, 0.41), (0.55, 0.0, 0.43), (0.8, -0.005, 0.36)]
    levels = [(z * size, x, deep * size, 0.80 * deep * size) for z, x, deep in [*outline, (0.97, -0.005, 0.16)]]
    parts = [neck, _stack(points["skull"], skeleton.head, levels, "skin")]
    # Hair covers the back and the top of the head.
    cap = [(z * size, x - 0.018, 0.96 * deep * size + 0.006, 0.82 * deep * size + 0.008) for z, x, deep in outline[2:]]
    parts.append(_stack(points["skull"], skeleton.head, [*cap, (1.01 * size, -0.012, 0.2 * size, 0.18 * size)], "hair"))
    if shape.hair == "bun":
        knot = [(0.45, 0.02), (0.55, 0.20), (0.70, 0.22), (0.82, 0.03)]
        levels = [(z * size, -0.5 * size, r * size, r * size) for z, r in knot]
        parts.append(_stack(points["skull"], skeleton.head, levels, "hair"))
    if shape.hair == "long":
        fall = [(-0.45, 0.10, 0.30), (-0.1, 0.16, 0.36), (0.3, 0.22, 0.38), (0.7, 0.2, 0.34)]
        levels = [(z * size, -0.22 * size, deep * size, wide * size) for z, deep, wide in fall]
        parts.append(_stack(points["skull"], skeleton.head, levels, "hair"))
    return parts


def _leg(shape: Shape, skeleton: Skeleton, side: str) -> list[Tube]:
    points, girth, loose = skeleton.points, shape.girth, shape.trousers
    hip, knee, ankle = (points[f"{joint}_{side}"] for joint in ("hip", "knee", "ankle"))
    back = -skeleton.pelvis[:, :, 0]
    upper = [(0.098, 0.086), (0.088, 0.080), (0.068, 0.064), (0.062, 0.058)]
    lower = [(0.062, 0.058), (0.063, 0.057), (0.050 * loose, 0.045 * loose), (0.040 * loose**1.5, 0.036 * loose**1.5)]
    thigh = [_between(hip, knee, share) for share in (-0.02, 0.35, 0.8, 1.05)]
    calf = [
        _between(knee, ankle, share) + bulge * back for share, bulge in ((-0.06, 0), (0.3, 0.015), (0.65, 0.006), (0.97, 0))
    ]
    heel, ball, toe = (points[f"{part}_{side}"] for part in ("heel", "ball", "toe"))
    up = np.array([0.0, 0.0, 1.0])
    shoe = _limb(
        [
            heel + 0.035 * up - 0.01 * (ball - heel),
            _between(heel, ball, 0.3) + 0.05 * up,
            ball + 0.032 * up,
            toe + 0.022 * up,
        ],
        [(0.034, 0.030), (0.050, 0.038), (0.030, 0.045), (0.014, 0.026)],
        "shoes",
    )
    leg = [
        _limb(thigh, [(girth * deep, girth * wide) for deep, wide in upper], "trousers"),
        _limb(calf, [(girth * deep, girth * wide) for deep, wide in lower], "trousers"),
    ]
    ankle_tube = _limb([_between(knee, ankle, 0.9), ankle - 0.03 * up], [(0.040, 0.036), (0.042, 0.036)], "shoes")
    return [*leg, ankle_tube, shoe]


def _arm(shape: Shape, skeleton: Skeleton, side: str, coated: bool) -> list[Tube]:
    points, thick = skeleton.points, shape.girth * (shape.bulk if coated else 1.0)
    sleeve = "coat" if coated else "top"
    shoulder, elbow, wrist, hand = (points[f"{joint}_{side}"] for joint in ("shoulder", "elbow", "wrist", "hand"))
    upper = _limb(
        [shoulder + 0.10 * (shoulder - elbow), shoulder, _between(shoulder, elbow, 0.5), elbow],
        [(thick * deep, thick * wide) for deep, wide in ((0.022, 0.010), (0.058, 0.048), (0.050, 0.045), (0.042, 0.040))],
        sleeve,
    )
    lower = _limb(
        [elbow, _between(elbow, wrist, 0.35), wrist],
        [(0.042 * thick, 0.040 * thick), (0.043 * thick, 0.040 * thick), (0.030 * thick, 0.028 * thick)],
        sleeve,
    )
    fist = _limb([wrist, _between(wrist, hand, 0.45), hand], [(0.024, 0.020), (0.038, 0.020), (0.018, 0.010)], "skin")
    return [upper, lower, fist]


def _coat(shape: Shape, skeleton: Skeleton) -> list[Tube]:
    levels = [level for level in _trunk_levels(shape) if level[0] >= 0.05]
    body = _trunk_tube(shape, skeleton, levels[:-1], "coat", shape.coat)
    # The skirt of the coat hangs around both legs, down to its hem.
    rings = []
    forward, left = skeleton.pelvis[:, :, 0], skeleton.pelvis[:, :, 1]
    for level in np.linspace(-0.1, shape.hem, 5):
        legs = [_along_leg(skeleton, side, level) for side in ("left", "right")]
        apart = np.abs(((legs[0] - legs[1]) * forward).sum(1, keepdims=True)) / 2
        deep = (0.105 * shape.girth + np.minimum(0.8 * apart, WIDEST_STEP_M)) * shape.coat
        wide = (shape.limbs.hips / 2 + 0.080 * shape.girth) * shape.coat
        rings.append(_ring((legs[0] + legs[1]) / 2, deep * forward, wide * left))
    return [body, Tube(np.stack(rings, 1), "coat")]


def _along_leg(skeleton: Skeleton, side: str, level: float) -> np.ndarray:
    """A point [frames, 3] of the leg's axis: level 0 is the hip, 1 the knee, 2 the ankle."""
    hip, knee, ankle = (skeleton.points[f"{joint}_{side}"] for joint in ("hip", "knee", "ankle"))
    return _between(hip, knee, level) if level <= 1 else _between(knee, ankle, level - 1)


def _bag(shape: Shape, skeleton: Skeleton) -> Tube:
    points, size, trunk = skeleton.points, shape.bag_size, shape.limbs.trunk
    if shape.bag == "backpack":
        levels = [(0.30, 0.04, 0.09), (0.34, 0.085, 0.14), (0.6, 0.10, 0.15), (0.85, 0.075, 0.13), (0.92, 0.03, 0.08)]
        behind = -0.10 * shape.girth - 0.08 * size
        stack = [(z * trunk, behind, deep * size, wide * size) for z, deep, wide in levels]
        return _stack(points["pelvis"], skeleton.trunk, stack, "bag")
    sign = 1 if shape.bag_side == "left" else -1
    upright = np.tile(np.eye(3), (len(points["pelvis"]), 1, 1))
    if shape.bag == "shoulder bag":
        base = points["pelvis"] + sign * (shape.limbs.hips + 0.07) * skeleton.pelvis[:, :, 1]
        levels = [(-0.22, 0.10, 0.03), (-0.18, 0.15, 0.05), (0.05, 0.15, 0.05), (0.09, 0.10, 0.03), (0.5, 0.015, 0.02)]
        return _stack(base, upright, [(z * size, 0.0, deep * size, wide * size) for z, deep, wide in levels], "bag")
    levels = [(-0.40, 0.12, 0.03), (-0.37, 0.17, 0.05), (-0.12, 0.16, 0.05), (-0.09, 0.06, 0.02), (0.0, 0.03, 0.015)]
    stack = [(z * size, 0.0, deep * size, wide * size) for z, deep, wide in levels]
    return _stack(points[f"hand_{shape.bag_side}"], upright, stack, "bag")


def arm_swing(shape: Shape, kind: str) -> dict[str, float]:
    """The share of its swing that each arm has in a condition, by side."""
    swing = {"left": 1.0, "right": 1.0}
    if kind == "bg" and shape.bag != "backpack":
        swing[shape.bag_side] = 0.25 if shape.bag == "hand bag" else 0.5
    if kind == "cl":
        swing = {side: 0.5 for side in swing}
    return swing
