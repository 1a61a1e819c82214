"""Enrol people and identify others by how they walk.

    python identify.py --gallery people --probe unknown

people/<name>/<walk>/*.png are silhouettes of enrolled people, unknown/<walk>/*.png those of walks to identify: grey
pictures, the person bright, one a frame, named in order. A network of optical flow takes <walk>/silhouettes/*.png and, with
the same names, <walk>/video/*.png. It prints one JSON object for each walk.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from gaitpress_runtime.recogniser import Gallery, Recogniser, frames_in, walks_in


def signature(recogniser: Recogniser, walk: Path) -> np.ndarray:
    """The signature of the walk in a folder."""
    video = walk / "video"
    if video.is_dir():
        return recogniser.signature(frames_in(walk / "silhouettes"), frames_in(video))
    return recogniser.signature(frames_in(walk))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=Path, required=True, help="folder of people, each a folder of walks")
    parser.add_argument("--probe", type=Path, required=True, help="folder of walks to identify")
    parser.add_argument("--top", type=int, default=3, help="how many people to name (default: 3)")
    parser.add_argument("--engine", action="store_true", help="run the engine, on the device that it was built for")
    options = parser.parse_args()
    try:
        recogniser = Recogniser.open(Path(__file__).parent, engine=options.engine)
        gallery = Gallery(recogniser.distance)
        for person in walks_in(options.gallery):
            for walk in walks_in(person):
                gallery.enrol(person.name, signature(recogniser, walk))
        for walk in walks_in(options.probe):
            nearest = gallery.identify(signature(recogniser, walk))[: options.top]
            people = [{"name": name, "distance": float(f"{distance:.5g}")} for name, distance in nearest]
            print(json.dumps({"walk": walk.name, "nearest": people}))
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
