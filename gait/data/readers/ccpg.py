"""Reading the silhouettes of CCPG as they are distributed, or pickles that OpenGait made of them.

``CCPG_G_SIL/000/U0_D0/01_0/*.png``: identity, clothes, camera and walk (Li et al., CVPR 2023). Of OpenGait's pickles of a
walk, ``01_0-aligned-sils.pkl`` is read, and not ``-sils.pkl``, ``-rgbs.pkl`` and ``-ratios.pkl`` beside it. ``CCPG.json`` of
OpenGait's repository says who trains and who is tested; it must lie in the dataset's folder.

A view here is a camera, since the protocol leaves out all walks of a probe's camera. The walk's own number goes to the
condition: "U0_D0-0" is walk 0 in the clothes U0_D0. There are no videos, and pictures of other kinds are not read.
"""

from __future__ import annotations

from pathlib import Path

from gait.data.readers import Faults, folder, lists, pickles, tree

SILHOUETTES = "CCPG_G_SIL"
LIST = "CCPG.json"
ALIGNED = "*-aligned-sils.pkl"


class _Listed:
    """What CCPG has in either form: the list in the dataset's folder, and cameras as views."""

    fps: float | None = 25.0  # assumed: the dataset does not tell the rates of its cameras
    dataset: Path
    _root: Path

    def split(self) -> dict[str, list[str]]:
        return lists.read(self.dataset, LIST, "CCPG")

    def _named(self, unit: str, faults: Faults) -> tuple[str, str, str] | None:
        if (names := tree.walk(self._root, unit, faults)) is None:
            return None
        identity, clothes, walk = names
        camera, _, number = walk.partition("_")
        return identity, f"{clothes}-{number or 0}", camera


class Frames(_Listed, folder.Folder):
    """A :class:`gait.data.readers.Reader` of pictures; a unit is one walk before one camera, such as "000/U0_D0/01_0"."""

    def unread(self, unit: str) -> list[Path]:
        return tree.other_files(self._root / unit, (".png",))

    def _content(self, unit: str) -> tuple[list[Path], list[Path], list[Path]]:
        frames = folder.files(self._root / unit, (".png",)) if (self._root / unit).is_dir() else []
        return frames, [], []


class Pickled(_Listed, pickles.Pickles):
    """The same of pickles."""

    usual = ALIGNED


def open_dataset(root: Path, pattern: str | None = None) -> Frames | Pickled:
    """A reader of the folder that holds CCPG.json and CCPG_G_SIL, or pickles in its place."""
    within = [root / SILHOUETTES, *(Path(entry.path) / SILHOUETTES for entry in tree.folders(root))]
    home = next(filter(Path.is_dir, within), root)
    reader = Pickled(home, pattern) if pickles.there_are(home) else Frames(home)
    reader.dataset = root
    return reader
