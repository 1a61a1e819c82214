"""Write the silhouettes of films as pictures, which `identify.py` of a bundle reads.

    python -m gaitpress silhouettes data/external/new --out new

Films lie as data of your own do, person/condition/view.avi. Of each it writes person/condition/view/silhouettes/*.png, made
as the pipeline makes them, and video/*.png beside it, the grey frames that networks of optical flow take too. Walks whose
silhouettes are hardly one walking person's are named, and written all the same. What stands at --out is never replaced.

--masks takes a detector and a segmenter of your own in place of background subtraction: docs/watch.md says how they are
described. What it writes is a dataset of layout `folder` too, so the pipeline can train with such silhouettes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from gait.data import plausibility
from gait.data.readers import Clip, Faults, open_dataset
from gait.live.networks import Networks
from gaitpress import outputs
from gaitpress.errors import StageError


def write(films: Path, out: Path, masks: Networks | None = None) -> tuple[int, list[str]]:
    """Write the pictures of all walks.

    Args:
        films: a folder of person/condition/view.
        out: the folder to write.
        masks: finds the person in each frame, in place of background subtraction.

    Returns:
        How many walks there are, and what is wrong with which.

    Raises:
        DataError: there is no folder of that form.
        StageError: something stands at ``out``, or no walk can be read.
    """
    if out.exists():
        raise StageError(f"{out}: is there already; move it aside or choose another --out")
    reader, faults, walks = open_dataset("folder", films), list[str](), 0
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with outputs.new_directory(out) as partial:
        for unit in reader.units():
            for clip in reader.clips(unit, faults):
                by_networks = masks is not None and clip.made and clip.video is not None
                frames = _found(masks, clip, faults) if masks is not None and by_networks else clip.silhouettes(faults)
                if not any(frame.any() for frame in frames.values()):
                    faults.append(f"{clip.name}: nobody is seen")
                    continue
                doubts = plausibility.doubts(frames, clip.rivals()) if clip.made else {}
                faults += [f"{clip.name}: hardly one walking person's: {', '.join(doubts)}"] if doubts else []
                video = dict(enumerate(clip.video(faults), start=1)) if clip.video else {}
                _pictures(partial / clip.identity / clip.condition / clip.view, {"silhouettes": frames, "video": video})
                walks += 1
        if not walks:
            raise StageError(f"{films}: no walk can be used; the first because: {faults[0] if faults else 'there is none'}")
    return walks, faults


def _found(masks: Networks, clip: Clip, faults: Faults) -> dict[int, np.ndarray]:
    """The silhouette of the largest person in each frame of a film, by the frame's number; black where there is nobody."""
    assert clip.video is not None
    silhouettes = {}
    for number, frame in enumerate(clip.video(faults), start=1):
        people = masks.people(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        silhouettes[number] = np.zeros_like(frame)
        if people:
            person = max(people, key=lambda person: person.area)
            left, top, width, height = person.box
            silhouettes[number][top : top + height, left : left + width] = person.mask
    return silhouettes


def _pictures(folder: Path, kinds: Mapping[str, Mapping[int, np.ndarray]]) -> None:
    for kind, frames in kinds.items():
        for number, frame in frames.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            _, content = cv2.imencode(".png", frame)
            (folder / kind / f"{number:05d}.png").write_bytes(content.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gaitpress silhouettes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path, help="the folder of films: person/condition/view.avi")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--masks", type=Path, help="JSON that describes a detector and a segmenter")
    options = parser.parse_args()
    try:
        masks = Networks(options.masks) if options.masks else None
    except ValueError as error:
        raise StageError(f"--masks {error}") from None
    walks, faults = write(options.films, options.out, masks)
    for fault in faults:
        print(f"warning: {fault}", file=sys.stderr)
    print(f"{options.out}: silhouettes of {walks} walks")
