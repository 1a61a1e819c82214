"""Walkers: the properties that make synthetic people a fair replacement for real ones, at any settings."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from gait.data.modalities import silhouettes
from gait.data.walkers import Walk, Walkers, body, film, motion
from gait.evaluation.gei import energy_image

SMALL = Walkers(views=("072", "090"), nm=1, bg=0, cl=0, frames=12, difficulty=0.5, noise=0.5, seed=5)


def walks(what: Walkers, subject: int) -> list[Walk]:
    return list(what.walks(subject))


def fingerprint(what: Walkers, subject: int) -> str:
    digest = hashlib.sha256()
    for walk in what.walks(subject):
        digest.update(f"{walk.identity} {walk.condition} {walk.view}".encode())
        digest.update(np.stack(walk.silhouettes).tobytes() + np.stack(walk.video).tobytes())
    return digest.hexdigest()


def skeleton(seed: int, difficulty: float = 0.5, frames: int = 200, fps: float = 100) -> tuple[body.Shape, motion.Skeleton]:
    """A person in motion, sampled more often than film to measure speeds."""
    rng = np.random.default_rng(seed)
    shape, habit = body.person_shape(rng), motion.person_gait(rng)
    gait = motion.walk_gait(habit, rng, difficulty)
    return shape, motion.skeleton(shape.limbs, gait, frames, fps, 0.1, body.arm_swing(shape, "nm"))


def test_a_seed_gives_the_same_bytes_and_another_seed_other_people() -> None:
    assert fingerprint(SMALL, 1) == fingerprint(SMALL, 1)
    assert fingerprint(SMALL, 1) != fingerprint(replace(SMALL, seed=6), 1)
    assert fingerprint(SMALL, 1) != fingerprint(SMALL, 2)


def test_a_walk_does_not_depend_on_the_other_walks() -> None:
    alone = {(walk.condition, walk.view): walk for walk in SMALL.walks(3)}
    more = replace(SMALL, views=("000", "072", "090"), nm=2, bg=1, cl=1)
    among = {(walk.condition, walk.view): walk for walk in more.walks(3)}
    assert len(among) == 12
    for key, walk in alone.items():
        assert np.array_equal(walk.silhouettes, among[key].silhouettes)
        assert np.array_equal(walk.video, among[key].video)


def test_walks_are_named_and_shaped_as_in_casia_b() -> None:
    what = replace(SMALL, views=("090",), nm=2, bg=1, cl=1, frames=3)
    assert what.conditions() == ["nm-01", "nm-02", "bg-01", "cl-01"]
    made = walks(what, 7)
    assert [(walk.identity, walk.condition, walk.view) for walk in made] == [
        ("007", name, "090") for name in what.conditions()
    ]
    for walk in made:
        for frames in (walk.silhouettes, walk.video):
            assert [(frame.shape, frame.dtype) for frame in frames] == [((240, 320), np.uint8)] * 3


@pytest.mark.parametrize("seed", range(4))
def test_limbs_keep_their_lengths_through_a_walk(seed: int) -> None:
    shape, moving = skeleton(seed)
    limbs, points = shape.limbs, moving.points
    lengths = [("hip_left", "hip_right", limbs.hips), ("shoulder_left", "shoulder_right", limbs.shoulders)]
    lengths.append(("pelvis", "neck", limbs.trunk))
    for side in ("left", "right"):
        joints = ("hip", "knee", "ankle"), (limbs.thigh, limbs.shank)
        lengths += [
            (f"{a}_{side}", f"{b}_{side}", size) for a, b, size in zip(joints[0], joints[0][1:], joints[1], strict=False)
        ]
        joints = ("shoulder", "elbow", "wrist", "hand"), (limbs.upper_arm, limbs.forearm, limbs.hand)
        lengths += [
            (f"{a}_{side}", f"{b}_{side}", size) for a, b, size in zip(joints[0], joints[0][1:], joints[1], strict=False)
        ]
    for one, other, length in lengths:
        measured = np.linalg.norm(points[one] - points[other], axis=1)
        np.testing.assert_allclose(measured, length, rtol=1e-9, err_msg=f"{one} to {other}")


@pytest.mark.parametrize("seed", range(4))
def test_the_foot_on_the_ground_neither_sinks_nor_slips(seed: int) -> None:
    _, moving = skeleton(seed)
    feet = {side: np.stack([moving.points[f"{part}_{side}"] for part in ("heel", "ball")], 1) for side in ("left", "right")}
    lowest = {side: at[:, :, 2].min(1) for side, at in feet.items()}
    np.testing.assert_allclose(np.minimum(lowest["left"], lowest["right"]), 0, atol=1e-9)
    speed = np.diff(moving.points["pelvis"][:, 0]).mean()
    assert speed > 0.005  # 0.5 m/s at 100 frames a second
    for side, other in (("left", "right"), ("right", "left")):
        # In single support the other foot is clearly in the air.
        alone = lowest[other] > 0.03
        alone = alone[1:] & alone[:-1]
        assert alone.sum() > 20
        contact = feet[side][:, :, 2].argmin(1)[:-1]
        rows = np.arange(len(contact))
        slip = feet[side][1:][rows, contact, 0] - feet[side][:-1][rows, contact, 0]
        assert np.abs(slip[alone]).mean() < 0.05 * speed


def leg_spread(walk: Walk) -> np.ndarray:
    """The width of the person's lowest quarter in each frame, px."""
    widths = []
    for frame in walk.silhouettes:
        rows = np.flatnonzero(frame.any(1))
        legs = frame[rows[0] + (rows[-1] - rows[0]) * 3 // 4 : rows[-1] + 1]
        columns = np.flatnonzero(legs.any(0))
        widths.append(columns[-1] - columns[0])
    return np.array(widths, float)


def test_all_views_see_the_same_motion_at_the_same_time() -> None:
    what = replace(SMALL, frames=30, difficulty=0.0, noise=0.0, nm=1)
    for subject in (1, 2):
        one, other = (leg_spread(walk) for walk in what.walks(subject))
        assert np.corrcoef(one, other)[0, 1] > 0.9


def test_without_noise_a_silhouette_is_exactly_the_painted_person() -> None:
    shape, moving = skeleton(1, frames=4, fps=25)
    painted = film.paint(body.tubes(shape, moving, "nm"), shape.greys, film.camera_at(54), np.random.default_rng(0))
    for image, silhouette in zip(painted, film.segment(painted, np.random.default_rng(0), 0.0), strict=True):
        assert np.array_equal(silhouette, np.where(image > 0, 255, 0))
        assert 0 < (image > 0).mean() < 0.5
    rough = film.segment(painted, np.random.default_rng(0), 1.0)
    assert not np.array_equal(rough, film.segment(painted, np.random.default_rng(0), 0.0))
    assert set(np.unique(rough)) == {0, 255}


def test_the_video_shows_the_person_where_the_silhouette_is() -> None:
    (walk,) = walks(replace(SMALL, views=("090",), frames=25, difficulty=0.0, noise=0.0), 2)
    video, masks = np.stack(walk.video).astype(float), np.stack(walk.silhouettes) > 0
    room = np.ma.median(np.ma.array(video, mask=masks), axis=0).filled(np.nan)  # unknown where the person always is
    changed = np.abs(video - room)
    assert np.nanmean(changed[~masks]) < 5
    assert np.nanmean(changed[masks]) > 3 * np.nanmean(changed[~masks])


def mask(shape: body.Shape, moving: motion.Skeleton, kind: str, view: float) -> np.ndarray:
    """Masks of the person, [frames, height, width]."""
    texture = np.random.default_rng(0)
    return np.stack(film.paint(body.tubes(shape, moving, kind), shape.greys, film.camera_at(view), texture)) > 0


@pytest.mark.parametrize("bag", body.BAGS)
def test_a_bag_adds_to_the_silhouette_and_takes_nothing_away(bag: str) -> None:
    shape, moving = skeleton(3, frames=6, fps=6)
    plain, loaded = (mask(replace(shape, bag=bag), moving, kind, 54) for kind in ("nm", "bg"))
    assert not (plain & ~loaded).any()
    assert loaded.sum() > 1.01 * plain.sum()


@pytest.mark.parametrize("seed", range(3))
def test_a_coat_makes_the_silhouette_larger(seed: int) -> None:
    shape, moving = skeleton(seed, frames=6, fps=6)
    assert mask(shape, moving, "cl", 90).sum() > 1.03 * mask(shape, moving, "nm", 90).sum()


def test_people_differ_more_from_each_other_than_from_themselves() -> None:
    what = Walkers(views=("090",), nm=3, bg=0, cl=0, frames=26, difficulty=0.3, noise=0.3, seed=1)
    images = {
        subject: [energy_image(silhouettes.align_all(walk.silhouettes, 64)) for walk in what.walks(subject)]
        for subject in range(1, 7)
    }
    within, between = [], []
    for one, ours in images.items():
        for other, theirs in images.items():
            distances = [np.linalg.norm(a - b) for a in ours for b in theirs if a is not b]
            (within if one == other else between).extend(distances)
    assert np.mean(between) > 1.2 * np.mean(within)
