"""The gait of a synthetic person: joint angles as low-order Fourier series, and the skeleton that they move.

The mean curves are those of normal adult gait (Winter, *Biomechanics and Motor Control of Human Movement*, ch. 4; Perry,
*Gait Analysis*), at some phases of the cycle, which begins with the heel strike of a leg. Each person's series differ from
these, and each walk differs a little from the person's.

Axes: x forward, y to the person's left, z up, in metres; angles in radians, flexion positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline

ORDER = 5
JOINTS = ("hip", "knee", "ankle", "shoulder", "elbow")
# Phase of the cycle in % and angle in degrees.
MEAN_CURVES = {
    "hip": [(0, 30), (15, 23), (30, 5), (50, -11), (62, -3), (75, 22), (87, 33)],
    "knee": [(0, 4), (14, 18), (28, 10), (40, 5), (52, 14), (62, 40), (72, 62), (85, 30), (95, 3)],
    "ankle": [(0, 0), (7, -6), (25, 5), (45, 11), (62, -18), (75, 0), (88, 2)],
    "shoulder": [(0, -22), (25, 0), (50, 17), (75, -2)],
    "elbow": [(0, 16), (25, 23), (50, 38), (75, 26)],
}


def _series(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Complex Fourier coefficients [ORDER + 1] in radians of the smooth periodic curve through (% of cycle, degrees)."""
    phases, angles = np.array([*points, (points[0][0] + 100, points[0][1])]).T
    curve = CubicSpline(phases / 100, np.radians(angles), bc_type="periodic")
    coefficients = np.fft.rfft(curve(np.arange(64) / 64))[: ORDER + 1] / 64
    coefficients[1:] *= 2
    return coefficients


MEAN_SERIES = {joint: _series(points) for joint, points in MEAN_CURVES.items()}


@dataclass(frozen=True)
class Gait:
    """A way of walking; angles in radians.

    Attributes:
        series: Fourier coefficients [ORDER + 1] of each joint's angle over the cycle of its own side.
        stride_hz: full cycles (two steps) a second.
        lean: forward lean of the trunk.
        pelvis_turn, pelvis_drop, trunk_turn: amplitudes about the vertical and the forward axis.
        sway: sideways amplitude of the pelvis, metres.
        arm_spread: angle between the arms and the trunk.
        step_width: sideways distance between the feet, metres.
        toe_out: angle of the feet to the walking direction.
        head_tilt: forward tilt of the head.
        asymmetry: the excess of the left arm's swing over the mean of both arms, as a share.
    """

    series: dict[str, np.ndarray]
    stride_hz: float
    lean: float
    pelvis_turn: float
    pelvis_drop: float
    trunk_turn: float
    sway: float
    arm_spread: float
    step_width: float
    toe_out: float
    head_tilt: float
    asymmetry: float


def person_gait(rng: np.random.Generator) -> Gait:
    """The habitual gait of a new person."""
    swings = {"hip": 0.12, "knee": 0.11, "ankle": 0.20, "shoulder": 0.45, "elbow": 0.40}
    series = {}
    for joint in JOINTS:
        series[joint] = MEAN_SERIES[joint].copy()
        series[joint][0] += np.radians(rng.normal(0, 3 if joint != "elbow" else 8))
        series[joint][1:] *= max(0.2, rng.normal(1, swings[joint]))
        own = rng.normal(0, 0.02, (ORDER, 2)) / np.arange(1, ORDER + 1)[:, None]
        series[joint][1:] += own @ [1, 1j]
    return Gait(
        series=series,
        stride_hz=rng.normal(0.95, 0.07),
        lean=np.radians(rng.normal(3, 3)),
        pelvis_turn=np.radians(abs(rng.normal(5, 2))),
        pelvis_drop=np.radians(abs(rng.normal(3.5, 1.2))),
        trunk_turn=np.radians(abs(rng.normal(6, 2.5))),
        sway=abs(rng.normal(0.02, 0.008)),
        arm_spread=np.radians(abs(rng.normal(9, 4))),
        step_width=np.clip(rng.normal(0.12, 0.035), 0.04, 0.24),
        toe_out=np.radians(rng.normal(7, 5)),
        head_tilt=np.radians(rng.normal(8, 6)),
        asymmetry=rng.normal(0, 0.15),
    )


def walk_gait(person: Gait, rng: np.random.Generator, difficulty: float) -> Gait:
    """The gait in one walk of a person: their habitual gait with a variation that grows with ``difficulty``."""
    series = {}
    for joint, habitual in person.series.items():
        spread = 0.12 if joint in ("shoulder", "elbow") else 0.035
        varied = habitual.copy()
        varied[0] += np.radians(rng.normal(0, 2 * difficulty))
        varied[1:] *= max(0.2, rng.normal(1, 1.3 * spread * difficulty))
        varied[1:] += (rng.normal(0, 0.008 * difficulty, (ORDER, 2)) / np.arange(1, ORDER + 1)[:, None]) @ [1, 1j]
        series[joint] = varied
    return replace(
        person,
        series=series,
        stride_hz=person.stride_hz * rng.normal(1, 0.05 * difficulty),
        lean=person.lean + np.radians(rng.normal(0, 3 * difficulty)),
        head_tilt=person.head_tilt + np.radians(rng.normal(0, 6 * difficulty)),
        arm_spread=person.arm_spread * max(0.2, rng.normal(1, 0.3 * difficulty)),
        sway=person.sway * max(0.2, rng.normal(1, 0.3 * difficulty)),
    )


def hindered(gait: Gait, rng: np.random.Generator) -> Gait:
    """The gait in a coat, whose weight and skirt shorten and slow the step."""
    freedom = {"hip": rng.uniform(0.82, 0.97), "knee": rng.uniform(0.85, 1.0)}
    series = {joint: curve.copy() for joint, curve in gait.series.items()}
    for joint, share in freedom.items():
        series[joint][1:] *= share
    return replace(gait, series=series, stride_hz=gait.stride_hz * rng.uniform(0.92, 1.0))


def angle(series: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """The value of a Fourier series [ORDER + 1] at these phases (1 = one cycle), in radians."""
    return (np.exp(2j * np.pi * np.multiply.outer(phase, np.arange(len(series)))) @ series).real


@dataclass(frozen=True)
class Limbs:
    """Lengths of a person in metres.

    Attributes:
        thigh, shank, foot: leg; ``ankle`` is the height of the ankle above the sole.
        hips, shoulders: distance between the joints of both sides.
        trunk: from the hips' height to the shoulders'; ``neck`` reaches from there to the skull's base.
        head: height of the head.
        upper_arm, forearm, hand: arm.
    """

    thigh: float
    shank: float
    foot: float
    ankle: float
    hips: float
    shoulders: float
    trunk: float
    neck: float
    head: float
    upper_arm: float
    forearm: float
    hand: float


@dataclass(frozen=True)
class Skeleton:
    """The joints of a walking person.

    Attributes:
        points: positions [frames, 3] in metres by name; sides are the suffixes ``_left`` and ``_right``.
        pelvis, trunk, head: coordinate frames of these parts, [frames, 3, 3]; the columns are forward, left and up.
    """

    points: dict[str, np.ndarray]
    pelvis: np.ndarray
    trunk: np.ndarray
    head: np.ndarray


def _turned(yaw: np.ndarray, roll: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Rotations [frames, 3, 3]: first pitch (forward lean) about y, then roll about x, then yaw about z."""

    def about(axis: int, by: np.ndarray) -> np.ndarray:
        one, other = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = np.tile(np.eye(3), (len(by), 1, 1))
        matrix[:, one, one] = matrix[:, other, other] = np.cos(by)
        matrix[:, other, one] = np.sin(by)
        matrix[:, one, other] = -np.sin(by)
        return matrix

    return about(2, yaw) @ about(0, roll) @ about(1, pitch)


def _swung(flexion: np.ndarray, spread: float | np.ndarray, length: float) -> np.ndarray:
    """A limb [frames, 3] that hangs down, swung forward by ``flexion`` and to the left by ``spread``."""
    spread = np.broadcast_to(spread, flexion.shape)
    down = np.stack([np.sin(flexion), np.cos(flexion) * np.sin(spread), -np.cos(flexion) * np.cos(spread)], -1)
    return length * down


def skeleton(limbs: Limbs, gait: Gait, frames: int, fps: float, start: float, arms: dict[str, float]) -> Skeleton:
    """Move a skeleton through a walk along x, centred on the origin; the foot on the ground does not slip.

    Args:
        limbs: the person's lengths.
        gait: the person's gait in this walk.
        frames: the number of frames.
        fps: frames a second.
        start: phase of the cycle at the first frame.
        arms: the share of its swing that each arm has, by side; a carried bag reduces it.
    """
    phase = start + gait.stride_hz * np.arange(frames) / fps
    cycle = 2 * np.pi * phase
    pelvis = _turned(gait.pelvis_turn * np.cos(cycle), gait.pelvis_drop * np.sin(cycle), np.full(frames, gait.lean / 3))
    trunk = _turned(-gait.trunk_turn * np.cos(cycle), np.zeros(frames), gait.lean + 0.01 * np.cos(2 * cycle))
    head = _turned(np.zeros(frames), np.zeros(frames), np.full(frames, gait.head_tilt))
    points = {"pelvis": np.zeros((frames, 3))}
    contacts = []
    for side, sign, offset in (("left", 1, 0.0), ("right", -1, 0.5)):
        own = phase + offset
        hip = points[f"hip_{side}"] = sign * limbs.hips / 2 * pelvis[:, :, 1]
        thigh = angle(gait.series["hip"], own)
        shank = thigh - np.maximum(angle(gait.series["knee"], own), 0)
        inward = -sign * (limbs.hips - gait.step_width) / 2 / (limbs.thigh + limbs.shank)
        knee = points[f"knee_{side}"] = hip + _swung(thigh, inward, limbs.thigh)
        ankle = points[f"ankle_{side}"] = knee + _swung(shank, inward, limbs.shank)
        pitch = shank + angle(gait.series["ankle"], own)
        outward = sign * gait.toe_out
        along = np.stack([np.cos(pitch) * np.cos(outward), np.cos(pitch) * np.sin(outward), np.sin(pitch)], -1)
        below = np.stack([np.sin(pitch), np.zeros(frames), -np.cos(pitch)], -1) * limbs.ankle
        points[f"heel_{side}"] = ankle - 0.25 * limbs.foot * along + below
        # The toes bend, so that they lie flat while the heel rises.
        ball = points[f"ball_{side}"] = ankle + 0.45 * limbs.foot * along + below
        bent = np.maximum(pitch, -0.25)
        ahead = np.stack([np.cos(bent) * np.cos(outward), np.cos(bent) * np.sin(outward), np.sin(bent)], -1)
        points[f"toe_{side}"] = ball + 0.3 * limbs.foot * ahead
        contacts += [points[f"heel_{side}"], ball]
    points["neck"] = limbs.trunk * trunk[:, :, 2]
    points["skull"] = points["neck"] + limbs.neck * (trunk[:, :, 2] + head[:, :, 2]) / 2
    points["crown"] = points["skull"] + limbs.head * head[:, :, 2]
    for side, sign, offset in (("left", 1, 0.0), ("right", -1, 0.5)):
        own = phase + offset
        share = arms[side] * (1 + sign * gait.asymmetry)
        swing = gait.series["shoulder"].copy()
        swing[1:] *= share
        bend = gait.series["elbow"].copy()
        bend[1:] *= share
        joint = points["neck"] + sign * limbs.shoulders / 2 * trunk[:, :, 1] - 0.09 * limbs.trunk * trunk[:, :, 2]
        upper = angle(swing, own)
        spread = sign * gait.arm_spread
        points[f"shoulder_{side}"] = joint
        points[f"elbow_{side}"] = joint + _swung(upper, spread, limbs.upper_arm)
        lower = upper + np.maximum(angle(bend, own), 0.05)
        points[f"wrist_{side}"] = points[f"elbow_{side}"] + _swung(lower, 0.4 * spread, limbs.forearm)
        points[f"hand_{side}"] = points[f"wrist_{side}"] + _swung(lower + 0.1, 0.0, limbs.hand)
    root = _root(np.stack(contacts, 1), gait.sway * np.sin(cycle))
    return Skeleton({name: at + root for name, at in points.items()}, pelvis, trunk, head)


def _root(contacts: np.ndarray, sway: np.ndarray) -> np.ndarray:
    """Positions of the pelvis, [frames, 3] in metres; the lowest contact point rests on the ground and does not slip.

    Args:
        contacts: [frames, points, 3] in metres, relative to the pelvis.
        sway: [frames] sideways position, metres.
    """
    heights = contacts[:, :, 2]
    # A soft choice of the lowest point passes the weight from foot to foot without a jerk.
    weights = np.exp((heights.min(1, keepdims=True) - heights) / 0.006)
    weights /= weights.sum(1, keepdims=True)
    between = (weights[1:] + weights[:-1]) / 2
    steps = -(between * np.diff(contacts[:, :, 0], axis=0)).sum(1)
    x = np.concatenate([[0], np.cumsum(steps)])
    return np.stack([x - x.mean(), sway, -heights.min(1)], -1)
