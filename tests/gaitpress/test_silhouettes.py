"""The silhouettes of films for a bundle: those that the pipeline makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

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


def test_a_segmenter_of_ones_own_takes_the_place_of_background_subtraction(films: Path, tmp_path: Path) -> None:
    """One that takes the middle of the picture for the person shows that it was asked, and is read by the pipeline then."""
    middle = np.zeros((1, 1, 24, 32), np.float32)
    middle[..., 4:20, 13:19] = 1
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 24, 32])
    made = helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, 24, 32])
    nodes = [helper.make_node("Identity", ["middle"], ["mask"])]
    graph = helper.make_graph(nodes, "middle", [given], [made], [numpy_helper.from_array(middle, "middle")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    (tmp_path / "people.json").write_text('{"segmenter": {"file": "m.onnx"}}')
    done = silhouettes(films, "--out", tmp_path / "new", "--masks", tmp_path / "people.json")
    assert done.returncode == 0, done.stderr
    reader = open_dataset("folder", tmp_path / "new")
    assert len(reader.units()) == 2
    for unit in reader.units():
        (clip,) = reader.clips(unit, [])
        shown = clip.silhouettes([])
        assert len(shown) == 31 and not clip.made
        assert all(abs(int((frame > 127).sum()) - 240 * 320 * 96 / 768) < 900 for frame in shown.values())
    (tmp_path / "people.json").write_text("{}")
    refused = silhouettes(films, "--out", tmp_path / "other", "--masks", tmp_path / "people.json")
    assert (refused.returncode, (tmp_path / "other").exists()) == (1, False)
    said = "must have segmenter, may have detector, and nothing else"
    assert refused.stderr == f"error: --masks {tmp_path}/people.json: {said}\n"
