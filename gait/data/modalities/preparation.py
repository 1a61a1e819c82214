"""Preparation of a dataset's raw frames as rows of a store, unit by unit, in several processes."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np

from gait.data import plausibility
from gait.data.content import Content
from gait.data.modalities import flow, silhouettes
from gait.data.readers import OWN, Clip, Faults, Reader, masks, open_dataset
from gait.errors import DataError

FEW_FRAMES = 5
DOUBTFUL = ": look at its silhouettes: "  # in the faults, between a walk's name and what is doubtful
UNKNOWN = Content()


@dataclass(frozen=True)
class Job:
    """The preparation of one unit.

    Attributes:
        layout, root, pickle: of the dataset, as :func:`gait.data.readers.open_dataset` takes them.
        unit: one of the reader's units.
        settings: the modality's entry of ``preprocess`` in params.yaml.
        content: the dataset's content, as far as it is known.
    """

    layout: str
    root: Path
    unit: str
    settings: Mapping[str, Any]
    content: Content = UNKNOWN
    pickle: str | None = None


@dataclass
class Prepared:
    """The result of a job.

    Attributes:
        unit: the job's unit.
        sequences: (identity, condition, view, frames) of each usable walk.
        skipped: the walks without a usable frame, and why.
        faults: unreadable frames or files of usable walks, and usable walks with few frames.
    """

    unit: str
    sequences: list[tuple[str, str, str, np.ndarray]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    faults: Faults = field(default_factory=list)


def row_format(settings: Mapping[str, Any]) -> tuple[tuple[int, ...], str]:
    """The shape and the type of one row of a store: of a silhouette or a flow sample."""
    if settings["kind"] == "silhouette":
        return (settings["pixels"], settings["pixels"]), "uint8"
    return (flow.SIDE, flow.SIDE, 2 * settings["frames"]), "int16"


_reader = cache(open_dataset)


def prepare(job: Job) -> Prepared:
    """Read and convert all walks of one unit."""
    cv2.setNumThreads(1)  # units run in parallel already
    reader: Reader = _reader(job.layout, job.root, job.pickle)
    result = Prepared(job.unit)
    for clip in reader.clips(job.unit, result.faults):
        rows, why = convert(clip, job.settings, result.faults, job.content, job.layout in OWN)
        if len(rows):
            result.sequences.append((clip.identity, clip.condition, clip.view, rows))
        else:
            result.skipped.append({"sequence": clip.name, "reason": why})
    return result


def convert(
    clip: Clip, settings: Mapping[str, Any], faults: Faults, content: Content = UNKNOWN, own: bool = False
) -> tuple[np.ndarray, str]:
    """The rows of one walk in the format of :func:`row_format`, and why there are none if there are none.

    Args:
        clip: the walk.
        settings: the modality's entry of ``preprocess`` in params.yaml.
        faults: gets notes of frames and files that could not be read.
        content: the dataset's content, as far as it is known.
        own: whether to note silhouettes that are hardly a walking person's, as data of one's own may have them.
    """
    return (
        _silhouettes(clip, settings, faults, content, own)
        if settings["kind"] == "silhouette"
        else _flow(clip, settings, faults)
    )


def scaling(content: Content, settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """The height of a dataset's aligned silhouettes and the height in ``settings``, if they differ; else None."""
    heights = {height for height, _ in content.shapes}
    if settings["kind"] != "silhouette" or not content.aligned or not heights or settings["pixels"] in heights:
        return None
    return max(heights), settings["pixels"]


def _silhouettes(
    clip: Clip, settings: Mapping[str, Any], faults: Faults, content: Content, own: bool
) -> tuple[np.ndarray, str]:
    size = settings["pixels"]
    shown = clip.silhouettes(faults)
    original = list(shown.values())
    frames, level = masks.brightened(original)
    if frames is original and 0 < level <= masks.NEARLY_BLACK:
        reason = f"its levels are 0 to {level}, too dark to show a person; a person must be 255"
        return silhouettes.stacked([], size), reason
    if frames is not original and content.levels and level not in content.levels:
        faults.append(f"{clip.name}: written as 0 and {level}, unlike the other walks; taken as 0 and {masks.FULL}")
    if clip.aligned or (content.aligned and not clip.made and all(frame.shape in content.shapes for frame in frames)):
        rows = _aligned(clip, [frame for frame in frames if frame.any()], size, faults)
    else:
        rows = silhouettes.align_all(frames, size)
        if own and (doubts := plausibility.doubts(dict(zip(shown, frames, strict=True)), clip.rivals())):
            reasons = ", ".join(f"{reason} ({share:.0%} of the frames)" for reason, share in doubts.items())
            faults.append(f"{clip.name}{DOUBTFUL}{reasons}")
    if 0 < len(rows) < FEW_FRAMES:
        faults.append(f"{clip.name}: only {len(rows)} frames show a person")
    return rows, "no frame shows a person"


def _aligned(clip: Clip, frames: Sequence[np.ndarray], size: int, faults: Faults) -> np.ndarray:
    """The rows of frames that are aligned already; frames from one array all have one shape."""
    if clip.aligned and frames and (frames[0].shape[0] < size or frames[0].shape[0] < frames[0].shape[1]):
        faults.append(f"{clip.name}: aligned frames are {frames[0].shape}, and preprocess asks for {size} x {size}")
        frames = []
    if all(frame.shape[0] == size for frame in frames):
        return silhouettes.stacked([silhouettes.to_full_width(frame) for frame in frames], size)
    return silhouettes.align_all(frames, size)


def _flow(clip: Clip, settings: Mapping[str, Any], faults: Faults) -> tuple[np.ndarray, str]:
    length = settings["frames"]
    if clip.video is None:
        return flow.no_samples(length), "there is no video, which optical flow needs"
    unreadable: Faults = []
    video = clip.video(unreadable)
    shown = clip.silhouettes(faults)
    if len(video) and any(frame.shape != video[0].shape for frame in shown.values()):
        # The person's box in a silhouette would not fit the video.
        return flow.no_samples(length), "the video's frames and the silhouettes differ in size"
    boxes = [flow.person_box(shown[number]) if number in shown else None for number in range(1, len(video) + 1)]
    rows = flow.samples(video, boxes, settings["method"], length, settings["stride"])
    if len(video) <= length:
        too_few = f"{len(video)} frames are too few for a sample of {length} flow frames"
        return rows, unreadable[0] if unreadable else too_few
    faults += unreadable
    return rows, "no silhouette shows the person in the middle of a sample"


def _follow_main_process() -> None:
    """End this process when the main process ends, for whatever reason.

    Ctrl-C reaches all processes of a terminal; only the main one handles it, and ends the others.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main = parent_process()
    assert main is not None

    def watch() -> None:
        main.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def prepare_all(jobs: Iterable[Job], processes: int) -> Iterator[Prepared]:
    """Run jobs in several processes; results come in the order of the jobs, so the store does not depend on timing.

    Raises:
        DataError: something outside ended a process, most often the system for lack of memory.
    """
    if processes == 1:
        yield from map(prepare, jobs)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _follow_main_process)
    # Few results may wait at once: one person's optical flow can be half a gigabyte.
    waiting: deque[Future[Prepared]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(prepare, job))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            "a process was ended from outside, as systems do that run out of memory; run again to go on"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
