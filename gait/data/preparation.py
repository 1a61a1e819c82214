"""From a dataset in CASIA-B's form to a store of one modality, subject by subject, in several processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gait.data import casia_b, flow, silhouettes

FEW_FRAMES = 5


@dataclass(frozen=True)
class Job:
    """One subject's part of the work.

    Attributes:
        subject: such as "001".
        silhouettes, videos: the dataset's folders.
        settings: entry of ``preprocess`` in params.yaml.
    """

    subject: str
    silhouettes: Path
    videos: Path
    settings: Mapping[str, Any]


@dataclass
class Prepared:
    """What came of a job.

    Attributes:
        sequences: (identity, condition, view, frames) of each usable walk.
        skipped: walks that gave nothing, and why.
        faults: frames or files that could not be read, or walks with few frames, though the rest could be used.
    """

    sequences: list[tuple[str, str, str, np.ndarray]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def prepare(job: Job) -> Prepared:
    """Read and convert all walks of one subject."""
    cv2.setNumThreads(1)  # the subjects are what runs in parallel
    result = Prepared()
    clips, result.faults = casia_b.clips(job.silhouettes, job.subject)
    for clip in clips:
        frames = clip.silhouettes()
        if job.settings["kind"] == "silhouette":
            rows, why = silhouettes.align_all(frames.values(), job.settings["size"]), "no frame shows a person"
            if 0 < len(rows) < FEW_FRAMES:
                clip.faults.append(f"{clip.name}: only {len(rows)} frames show a person")
        else:
            rows, why = _flow_samples(clip, frames, job)
        result.faults += clip.faults
        if len(rows):
            result.sequences.append((clip.identity, clip.condition, clip.view, rows))
        else:
            result.skipped.append({"sequence": clip.name, "reason": why})
    return result


def _flow_samples(clip: casia_b.Clip, frames: dict[int, np.ndarray], job: Job) -> tuple[np.ndarray, str]:
    path = job.videos / f"{clip.name}.avi"
    length, stride = job.settings["frames"], job.settings["stride"]
    video, fault = casia_b.read_video(path)
    if video and any(frame.shape != video[0].shape for frame in frames.values()):
        # The person's place in a silhouette would be another one in the video.
        return flow.no_samples(length), f"{path}: its frames and the silhouettes differ in size"
    boxes = [flow.person_box(frames[number]) if number in frames else None for number in range(1, len(video) + 1)]
    rows = flow.samples(video, boxes, job.settings["method"], length, stride)
    if fault and len(rows):
        clip.faults.append(fault)
    if len(video) <= length:
        return rows, fault or f"{path}: {len(video)} frames are too few for a sample of {length} flow frames"
    return rows, "no silhouette shows the person in the middle of a sample"


def prepare_all(jobs: list[Job], processes: int) -> Iterator[Prepared]:
    """Run jobs in some processes; results come in the order of the jobs, so that the store does not depend on timing."""
    if processes == 1:
        yield from map(prepare, jobs)
        return
    # Ctrl-C reaches all processes of a terminal; the main one alone answers, and ends the others.
    with get_context("spawn").Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap(prepare, jobs)
