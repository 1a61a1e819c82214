"""The silhouettes of films for a bundle: those that the pipeline makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data.modalities.silhouettes import align_all
from gait.data.readers import casia_b, open_dataset
from gait.data.walkers import FPS, Walkers
from tests.support import commands


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    for person in (1, 2):
        (walk,) = Walkers(("090",), 1, 0, 0, 31, difficulty=0.2, noise=0.2, seed=5).walks(person)
        folder = root / walk.identity / "normal-1"
        folder.mkdir(parents=True)
        casia_b.write_video(folder / "side.avi", walk.video, FPS)
    return root


def silhouettes(*words: object) -> subprocess.CompletedProcess[str]:
    return commands.command("silhouettes", *words)


def test_they_are_aligned_to_what_the_pipeline_trains_with(films: Path, tmp_path: Path) -> None:
    done = silhouettes(films, "--out", tmp_path / "new")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'new'}: silhouettes of 2 walks\n"
    reader = open_dataset("folder", films)
    for unit in reader.units():
        (clip,) = reader.clips(unit, [])
        folder = tmp_path / "new" / clip.identity / clip.condition / clip.view
        written = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((folder / "silhouettes").iterdir())]
        assert np.array_equal(align_all(written, 64), align_all(list(clip.silhouettes([]).values()), 64))
        assert len(list((folder / "video").iterdir())) == len(written) == 31


def test_what_stands_there_is_not_replaced_and_no_film_is_said(films: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    done = silhouettes(films, "--out", tmp_path / "new")
    assert (done.returncode, list((tmp_path / "new").iterdir())) == (1, [])
    assert "is there already; move it aside or choose another --out" in done.stderr
    done = silhouettes(tmp_path, "--out", tmp_path / "other")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_walk_in_which_nobody_is_seen_is_named(films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "films/ada/normal-1"
    folder.mkdir(parents=True)
    casia_b.write_video(folder / "side.avi", [np.full((120, 160), 90, np.uint8)] * 20, FPS)
    done = silhouettes(tmp_path / "films", "--out", tmp_path / "new")
    assert done.returncode == 1
    assert "no walk can be used; the first because: ada-normal-1-side: nobody is seen" in done.stderr
