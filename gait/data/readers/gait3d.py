"""Reading the form in which Gait3D is distributed, or pickles that OpenGait made of it.

``2D_Silhouettes/0000/camid0_videoid2/seq0/*.png``: identity, camera and video, sequence (Zheng et al., CVPR 2022).
``Gait3D.json`` says who trains, who is tested, and which walks are looked for. Gait3D's and OpenGait's repositories hold it;
it must lie in the dataset's folder. There are no videos.
"""

from __future__ import annotations

from pathlib import Path

from gait.data.readers import folder, lists, pickles

FPS = 25.0
LIST = "Gait3D.json"
PARTS = {**lists.PEOPLE, "probe": "PROBE_SET"}


class _Listed:
    """What Gait3D has in either form: its frame rate, and the list in the dataset's folder."""

    fps: float | None = FPS
    dataset: Path

    def split(self) -> dict[str, list[str]]:
        """Identities of "train" and "test", and names of the sequences to look for, such as "0001-camid0_videoid2-seq0"."""
        return lists.read(self.dataset, LIST, "Gait3D", PARTS)


class Frames(_Listed, folder.Folder):
    """A :class:`gait.data.readers.Reader` of pictures; a unit is one sequence, such as "0000/camid0_videoid2/seq0"."""


class Pickled(_Listed, pickles.Pickles):
    """The same of pickles."""


def open_dataset(root: Path, pattern: str | None = None) -> Frames | Pickled:
    """A reader of the folder that holds Gait3D.json and 2D_Silhouettes, or pickles in its place."""
    reader = Pickled(root, pattern) if pickles.there_are(root) else Frames(root)
    reader.dataset = root
    return reader
