"""Detectors and segmenters as files: their contract with small real networks, and MediaPipe's weights."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gait.live.background import Background
from gait.live.networks import Networks
from gait.live.people import Person
from gait.live.scene import Passing, Scene

SIDE = 64


def save(path: Path, nodes: list[onnx.NodeProto], outputs: dict[str, list[int]], **constants: np.ndarray) -> None:
    """An ONNX file that takes a picture [1, 3, SIDE, SIDE]."""
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    known = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", [given], made, known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def segmenter(path: Path, values: str) -> None:
    """What is darker than 0.3 is a person; as a logit, or as the larger of two channels."""
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["limit", "grey"], ["darker"]),
        helper.make_node("Mul", ["darker", "steep"], ["logit"]),
    ]
    constants = {"limit": np.float32(0.3), "steep": np.float32(50)}
    if values == "logit":
        save(path, nodes, {"logit": [1, 1, SIDE, SIDE]}, **constants)
    else:
        nodes += [
            helper.make_node("Neg", ["logit"], ["other"]),
            helper.make_node("Concat", ["other", "logit"], ["two"], axis=1),
        ]
        save(path, nodes, {"two": [1, 2, SIDE, SIDE]}, **constants)


def detector(path: Path, boxes: list[list[float]], scores: list[float]) -> None:
    """Finds the same boxes in every picture."""
    nodes = [helper.make_node("Identity", [name], [f"{name}s"]) for name in ("box", "score")]
    outputs = {"boxs": [1, len(boxes), 4], "scores": [1, len(scores)]}
    save(path, nodes, outputs, box=np.array([boxes], np.float32), score=np.array([scores], np.float32))


def describe(where: Path, **parts: dict[str, Any]) -> Path:
    path = where / "people.json"
    path.write_text(json.dumps(parts))
    return path


def picture() -> np.ndarray:
    """Two dark people of 40 x 120 px on white, 200 x 400 px."""
    frame = np.full((200, 400, 3), 255, np.uint8)
    for left in (60, 260):
        frame[40:160, left : left + 40] = 0
    return frame


def near(person: Person, box: tuple[int, int, int, int], within: int = 8) -> bool:
    return max(abs(a - b) for a, b in zip(person.box, box, strict=True)) <= within


@pytest.mark.parametrize(("values", "channel"), [("logit", 0), ("score", 1)])
def test_a_segmenter_alone_tells_people_apart_who_do_not_touch(tmp_path: Path, values: str, channel: int) -> None:
    segmenter(tmp_path / "s.onnx", values)
    networks = Networks(describe(tmp_path, segmenter={"file": "s.onnx", "values": values, "channel": channel}))
    people = networks.people(picture())
    assert len(people) == 2
    assert near(people[0], (60, 40, 40, 120)) and near(people[1], (260, 40, 40, 120))
    assert set(np.unique(people[0].mask)) <= {0, 255}


# The picture of 400 x 200 px is 64 x 32 in the middle of the detector's input; a person is 6.4 px wide there and 19.2 high.
@pytest.mark.parametrize(
    ("how", "boxes"),
    [
        ({"unit": "pixel"}, [[9.6, 22.4, 16, 41.6], [10, 22, 16, 42], [41.6, 22.4, 48, 41.6], [0, 0, 60, 60]]),
        ({}, [[0.15, 0.35, 0.25, 0.65], [0.15, 0.35, 0.25, 0.66], [0.65, 0.35, 0.75, 0.65], [0, 0, 0.9, 0.9]]),
        ({"corners": "yxyx"}, [[0.35, 0.15, 0.65, 0.25], [0.35, 0.15, 0.66, 0.25], [0.35, 0.65, 0.65, 0.75], [0, 0, 1, 1]]),
        ({"corners": "cxcywh"}, [[0.2, 0.5, 0.1, 0.3], [0.2, 0.5, 0.1, 0.31], [0.7, 0.5, 0.1, 0.3], [0.5, 0.5, 1, 1]]),
    ],
)
def test_a_detector_finds_each_person_once_and_the_segmenter_looks_around_them(
    tmp_path: Path, how: dict[str, str], boxes: list[list[float]]
) -> None:
    segmenter(tmp_path / "s.onnx", "logit")
    detector(tmp_path / "d.onnx", boxes, [0.9, 0.8, 0.7, 0.1])
    parts = {"detector": {"file": "d.onnx", "form": "boxes", **how}, "segmenter": {"file": "s.onnx", "values": "logit"}}
    people = Networks(describe(tmp_path, **parts)).people(picture())
    assert [near(person, box, 4) for person, box in zip(people, [(60, 40, 40, 120), (260, 40, 40, 120)], strict=True)] == [
        True,
        True,
    ]


def test_a_yolo_gives_centres_sizes_and_a_score_for_each_class(tmp_path: Path) -> None:
    segmenter(tmp_path / "s.onnx", "logit")
    #            centre x, y, width, height, score of class 0, of class 1
    columns = np.array([[12.8, 32, 6.4, 19.2, 0.9, 0.0], [44.8, 32, 6.4, 19.2, 0.1, 0.9]], np.float32).T[None]
    save(tmp_path / "d.onnx", [helper.make_node("Identity", ["all"], ["out"])], {"out": [1, 6, 2]}, all=columns)
    for person, left in ((0, 60), (1, 260)):
        parts = {"detector": {"file": "d.onnx", "form": "yolo", "person": person}}
        parts["segmenter"] = {"file": "s.onnx", "values": "logit"}
        [segmented] = Networks(describe(tmp_path, **parts)).people(picture())
        assert near(segmented, (left, 40, 40, 120), 4)


def test_what_does_not_fit_the_contract_is_reported_with_what_was_found(tmp_path: Path) -> None:
    segmenter(tmp_path / "s.onnx", "logit")
    detector(tmp_path / "d.onnx", [[0, 0, 1, 1]], [0.9, 0.8])
    (tmp_path / "bad.onnx").write_bytes(b"x")
    good = {"file": "s.onnx", "values": "logit"}
    path = tmp_path / "people.json"
    for parts, said in (
        ({"detector": good}, "must have segmenter, may have detector, and nothing else"),
        ({"segmenter": {**good, "file": "none.onnx"}}, f"segmenter: {tmp_path}/none.onnx: no such file"),
        ({"segmenter": {**good, "file": "people.json"}}, f"segmenter: {tmp_path}/people.json: must end in .onnx or .tflite"),
        ({"segmenter": {**good, "mode": 1}}, "segmenter: has no key mode; there are: around, channel, colour, file"),
        ({"segmenter": {**good, "values": "x"}}, "segmenter: values is 'x', and must be one of: probability, logit, score"),
        ({"segmenter": {**good, "channel": 3}}, "segmenter: output 0 is [64, 64, 1]; a mask with channel 3 is wanted"),
        ({"segmenter": {**good, "output": 2}}, "segmenter: output is 2, and the outputs, from 0, are: [1, 1, 64, 64]"),
        ({"segmenter": {**good, "range": [0]}}, "segmenter: range is [0], and must be like [0.0, 1.0]"),
        (
            {"segmenter": good, "detector": {"file": "d.onnx"}},
            "detector: boxes are [1, 4] and scores [2]; [n, 4] and [n] are wanted",
        ),
        (
            {"segmenter": good, "detector": {"file": "d.onnx", "form": "blazepose"}},
            "detector: the outputs are [1, 4] and [2], which is no blazepose",
        ),
    ):
        with pytest.raises(ValueError) as refused:
            Networks(describe(tmp_path, **parts))
        assert str(refused.value).startswith(f"{path}: {said}"), parts
    with pytest.raises(ValueError, match=r"bad\.onnx: ONNX Runtime refuses it: "):
        Networks(describe(tmp_path, segmenter={**good, "file": "bad.onnx"}))


@pytest.mark.slow  # downloads 35 MB and runs real networks on a film
def test_mediapipes_weights_see_walkers_as_background_subtraction_does(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    command = [sys.executable, "-m", "pip", "download", "mediapipe==0.10.21", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--python-version", "3.12", "--platform", "manylinux_2_28_x86_64", "--dest", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no package registry: {done.stderr.splitlines()[-1]}")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        for name in ("pose_detection/pose_detection", "pose_landmark/pose_landmark_full"):
            (tmp_path / f"{Path(name).name}.tflite").write_bytes(wheel.read(f"mediapipe/modules/{name}.tflite"))
    parts: dict[str, dict[str, Any]] = {
        "detector": {"file": "pose_detection.tflite", "form": "blazepose", "range": [-1, 1]},
        "segmenter": {"file": "pose_landmark_full.tflite", "output": 2, "values": "logit", "around": 1.0},
    }
    networks, background = Networks(describe(tmp_path, **parts)), Background()
    film = [frame for frame, _ in Scene([Passing(40, 0.8, 5)], 4).frames()]
    background.learn(film[:20])
    overlaps = []
    for frame in film[35:95:4]:
        [theirs] = background.people(frame)
        people = networks.people(frame)
        overlaps.append(max((overlap(mine, theirs, frame) for mine in people), default=0.0))
    assert np.median(overlaps) > 0.85, overlaps
    assert sum(value > 0.7 for value in overlaps) >= 0.7 * len(overlaps), overlaps


def overlap(one: Person, other: Person, frame: np.ndarray) -> float:
    laid = np.zeros((2, *frame.shape[:2]), bool)
    for plane, person in zip(laid, (one, other), strict=True):
        left, top, width, height = person.box
        plane[top : top + height, left : left + width] = person.mask > 0
    return float((laid[0] & laid[1]).sum() / (laid[0] | laid[1]).sum())


def test_a_picture_of_any_size_does(tmp_path: Path) -> None:
    segmenter(tmp_path / "s.onnx", "logit")
    networks = Networks(describe(tmp_path, segmenter={"file": "s.onnx", "values": "logit"}))
    assert networks.people(np.full((480, 853, 3), 255, np.uint8)) == []
    assert len(networks.people(cv2.resize(picture(), (1200, 600)))) == 2
