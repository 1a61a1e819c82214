"""Reading the form in which Gait3D is distributed, or pickles that OpenGait made of it.

``2D_Silhouettes/0000/camid0_videoid2/seq0/*.png``: identity, camera and video, sequence (Zheng et al., CVPR 2022).
``Gait3D.json`` says who trains, who is tested, and which walks are looked for. Gait3D's and OpenGait's repositories hold it;
it must lie in the dataset's folder. There are no videos.
"""

from __future__ import annotations

import json
from pathlib import Path

from gait.data.readers import folder, pickles, tree
from gait.errors import DataError

FPS = 25.0
LIST = "Gait3D.json"
PARTS = {"train": "TRAIN_SET", "test": "TEST_SET", "probe": "PROBE_SET"}
LARGEST_LIST = 2**24


class _Listed:
    """What Gait3D has in either form: its frame rate, and the list in the dataset's folder."""

    fps: float | None = FPS
    dataset: Path

    def split(self) -> dict[str, list[str]]:
        return _split(self.dataset)


class Frames(_Listed, folder.Folder):
    """A :class:`gait.data.readers.Reader` of pictures; a unit is one sequence, such as "0000/camid0_videoid2/seq0"."""


class Pickled(_Listed, pickles.Pickles):
    """The same of pickles."""


def open_dataset(root: Path, pattern: str | None = None) -> Frames | Pickled:
    """A reader of the folder that holds Gait3D.json and 2D_Silhouettes, or pickles in its place."""
    reader = Pickled(root, pattern) if pickles.there_are(root) else Frames(root)
    reader.dataset = root
    return reader


def _split(root: Path) -> dict[str, list[str]]:
    """Identities of "train" and "test", and names of the sequences to look for, such as "0001-camid0_videoid2-seq0".

    Empty if there is no list.

    Raises:
        DataError: the list is not one of Gait3D.
    """
    places = [root / LIST, *(Path(entry.path) / LIST for entry in tree.folders(root))]
    place = next(filter(Path.is_file, places), None)
    if place is None:
        return {}
    try:
        if place.stat().st_size > LARGEST_LIST:
            raise ValueError(f"larger than {LARGEST_LIST >> 20} MiB")
        lists = json.loads(place.read_text(encoding="utf-8"))
        parts = {part: lists[key] for part, key in PARTS.items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{place}: not Gait3D's list of who trains and is tested ({error})") from None
    for part, names in parts.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{place}: {PARTS[part]} must be a list of names")
    return parts
