"""Reading the silhouettes of SUSTech1K in either form in which it is distributed: as pictures, or as pickles.

Pictures: ``SUSTech1K-Released-2023/0000/01-cl/090-near/Sils_aligned/*.png``: identity, number and attributes of the walk,
view (Shen et al., CVPR 2023). Folders of other sensors beside it, such as ``PCDs`` and ``RGB_raw``, are not read.

Pickles: ``SUSTech1K-Released-pkl/0000/01-cl/090-near/06-090-near-Camera-Sils_aligned.pkl``, at the camera's 30 frames/s. Not
read are those of other sensors beside it, and those with "sync" in their names, at the laser scanner's 10 frames/s.

``SUSTech1K.json`` of OpenGait's repository says who trains and who is tested; it must lie in the dataset's folder. There are
no videos.
"""

from __future__ import annotations

from pathlib import Path

from gait.data.readers import folder, lists, pickles

LIST = "SUSTech1K.json"
ALIGNED = "[0-9][0-9]-[0-9]*-Camera-Sils_aligned.pkl"


class _Listed:
    """What SUSTech1K has in either form: its frame rate, and the list in the dataset's folder."""

    fps: float | None = 30.0
    dataset: Path

    def split(self) -> dict[str, list[str]]:
        return lists.read(self.dataset, LIST, "SUSTech1K")


class Frames(_Listed, folder.Folder):
    """A :class:`gait.data.readers.Reader` of pictures; a unit is one walk in one view, such as "0000/01-cl/090-near"."""

    silhouettes = ("Sils_aligned", "Sils_raw")


class Pickled(_Listed, pickles.Pickles):
    """The same of pickles."""

    usual = ALIGNED


def open_dataset(root: Path, pattern: str | None = None) -> Frames | Pickled:
    """A reader of the folder that holds SUSTech1K.json and the people's folders, with pictures or pickles."""
    reader = Pickled(root, pattern) if pickles.there_are(root) else Frames(root)
    reader.dataset = root
    return reader
