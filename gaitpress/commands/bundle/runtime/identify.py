"""Enrol people and identify others by how they walk.

    python identify.py --gallery people --probe unknown

people/<name>/<walk>/*.png are silhouettes of enrolled people, unknown/<walk>/*.png those of walks to identify: grey
pictures, the person bright on black, one a frame, numbered. <condition>/<view>/*.png may stand in the place of <walk>/*.png.
A network of optical flow takes <walk>/silhouettes/*.png and, with the same names, <walk>/video/*.png or <walk>/*.png.
It prints one JSON object for each walk. Its "person" is null for nobody that it knows:
whoever is nearest is too far away. `settings.json` has the distances, each with the share of strangers who are nearer.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from gaitpress_runtime.recogniser import UNTESTED, Gallery, Recogniser
from gaitpress_runtime.walks import folders_in, frames_of, walks_in


def signature(recogniser: Recogniser, walk: Path) -> np.ndarray:
    """The signature of the walk in a folder."""
    try:
        return recogniser.signature(*frames_of(walk))
    except ValueError as error:
        raise ValueError(str(error) if str(walk) in str(error) else f"{walk}: {error}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=Path, required=True, help="folder of people, each a folder of walks")
    parser.add_argument("--probe", type=Path, required=True, help="folder of walks to identify")
    parser.add_argument("--top", type=int, default=3, help="how many people to name (default: 3)")
    parser.add_argument(
        "--far",
        type=float,
        help="how many strangers may be taken for enrolled people, in %% (default: the known rate nearest 1)",
    )
    parser.add_argument("--engine", action="store_true", help="run the engine, on the device that it was built for")
    options = parser.parse_args()
    if options.top < 1:
        parser.error("--top: must be at least 1")
    try:
        recogniser = Recogniser.open(Path(__file__).parent, engine=options.engine)
        limit = recogniser.limit(options.far)
        if limit == float("inf"):
            print(UNTESTED, file=sys.stderr)
        gallery = Gallery(recogniser.distance)
        for person in folders_in(options.gallery):
            for walk in walks_in(person):
                gallery.enrol(person.name, signature(recogniser, walk))
        for walk in walks_in(options.probe):
            nearest = gallery.identify(signature(recogniser, walk))
            known = nearest[0][0] if nearest[0][1] < limit else None
            people = [{"name": name, "distance": float(f"{distance:.5g}")} for name, distance in nearest[: options.top]]
            print(json.dumps({"walk": walk.relative_to(options.probe).as_posix(), "person": known, "nearest": people}))
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
