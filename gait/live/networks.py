"""People by a detector and a segmenter, which are ONNX or LiteRT files of the user's choice, described by a JSON file.

{
 "detector": {"file": "detector.onnx", "form": "boxes", "range": [0, 1], "score": 0.5},
 "segmenter": {"file": "segmenter.tflite", "range": [0, 1], "output": 0, "channel": 0, "values": "probability"}
}

A detector finds boxes; a segmenter gets the picture around each box and gives a mask. Without a detector the segmenter gets
the whole picture, and people who do not touch are told apart. Files are looked for beside the JSON file. Keys of both:

- ``range``: what 0 and 255 become in the network's input, ``[0, 1]`` unless it is said; or ``mean`` and ``std``, of 0..1.
- ``colour``: "rgb", or "bgr".

Of a detector, ``form`` says what it gives:

- "boxes": boxes [n, 4] (``output``) and scores [n] (``scores``), the places of these outputs; ``corners`` is "xyxy", "yxyx"
  or "cxcywh", as shares of the input or in its pixels (``unit``: "share" or "pixel"). ``classes`` and ``person``: the place
  of the output with each box's class and which class is a person, where there are several.
- "yolo": one output [4 + classes, n], centres and sizes in pixels of the input; ``person`` is the class, 0 unless it is
  said.
- "blazepose": MediaPipe's pose detection of 224 x 224, whose box is the square around hips and height.

Of a segmenter: ``output``, the place of the mask's output; ``channel``, which of its channels is the person; ``values``,
"probability", "logit", or "score" where the largest channel counts; ``around``, by how many times the longer side of a box
the picture around it is larger.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gait.live.people import Person, person_of

OVERLAP = 0.45  # intersection over union above which two boxes are of one person
MOST_PEOPLE = 20
BLAZEPOSE_SIDE = 224
BLAZEPOSE_GRIDS = ((28, 2), (14, 2), (7, 6))  # cells a side, and anchors in each
BLAZEPOSE_AROUND = 2.5  # lengths from the hips to the top of the head: the square around somebody
KEYS = {
    "detector": {
        *("file", "range", "mean", "std", "colour", "form", "score", "output", "scores", "classes", "person", "corners"),
        "unit",
    },
    "segmenter": {"file", "range", "mean", "std", "colour", "output", "channel", "values", "around"},
}
FORMS = ("boxes", "yolo", "blazepose")
VALUES = ("probability", "logit", "score")
CORNERS = ("xyxy", "yxyx", "cxcywh")
ENDINGS = (".onnx", ".tflite")


class Networks:
    """A :class:`gait.live.people.Masks` of a segmenter and, if it is described, a detector.

    Args:
        description: the JSON file.

    Raises:
        ValueError: it or a network does not fit the contract; says what to change.
    """

    def __init__(self, description: Path, threads: int = 1) -> None:
        try:
            content = json.loads(description.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{description}: cannot be read as JSON ({error})") from None
        if not isinstance(content, dict) or "segmenter" not in content or set(content) - set(KEYS):
            raise ValueError(f"{description}: must have segmenter, may have detector, and nothing else")
        parts = {name: _Part(description, name, values, threads) for name, values in content.items()}
        self._segmenter = parts["segmenter"]
        self._detector = parts.get("detector")
        self._check(np.zeros((240, 320, 3), np.uint8))

    def learn(self, frames: Sequence[np.ndarray]) -> None:
        """Networks look at each picture by itself."""

    def people(self, frame: np.ndarray) -> list[Person]:
        """Everybody in a picture; see :class:`gait.live.people.Masks`."""
        if self._detector is None:
            return _apart(self._mask(frame))
        people = []
        for left, top, right, bottom in self._boxes(frame):
            square, corner = _around(frame, (left, top, right, bottom), self._segmenter.of("around", 1.25))
            mask = self._mask(square)
            # Other people in the square are not this one: the largest part counts.
            count, labels, figures, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8))
            if count == 1:
                continue
            mask[labels != 1 + figures[1:, cv2.CC_STAT_AREA].argmax()] = 0
            person = _within(mask, corner, frame.shape[:2])
            if person is not None:
                people.append(person)
        return people

    def _check(self, frame: np.ndarray) -> None:
        """Run both once, so that a network that does not fit is refused before a camera opens."""
        if self._detector is not None:
            self._boxes(frame)
        self._mask(frame)

    def _mask(self, frame: np.ndarray) -> np.ndarray:
        """The mask of a picture, uint8 of the same height and width."""
        part = self._segmenter
        outputs = part.run(part.input(cv2.resize(frame, part.size, interpolation=cv2.INTER_LINEAR)))
        raw = part.output(outputs, "output", 0)
        if raw.ndim == 2:
            raw = raw[..., None]
        elif raw.ndim == 3 and raw.shape[0] < min(raw.shape[1:]):
            raw = raw.transpose(1, 2, 0)
        channel = part.of("channel", 0)
        if raw.ndim != 3 or not 0 <= channel < raw.shape[2]:
            raise ValueError(
                f"{part.name}: output {part.of('output', 0)} is {list(raw.shape)}; a mask with channel {channel} is wanted"
            )
        kind = part.choice("values", VALUES)
        if kind == "score":
            shown = (raw.argmax(2) == channel).astype(np.float32)
        else:
            shown = raw[..., channel].astype(np.float32)
            shown = shown if kind == "probability" else 1 / (1 + np.exp(-np.clip(shown, -30, 30)))
        large = cv2.resize(shown, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.where(large > 0.5, np.uint8(255), np.uint8(0))

    def _boxes(self, frame: np.ndarray) -> list[tuple[float, float, float, float]]:
        """Boxes of people (left, top, right, bottom) in px of the picture, the surest first."""
        part = self._detector
        assert part is not None
        width, height = part.size
        scale = min(width / frame.shape[1], height / frame.shape[0])
        inner = cv2.resize(
            frame, (round(frame.shape[1] * scale), round(frame.shape[0] * scale)), interpolation=cv2.INTER_AREA
        )
        left, top = (width - inner.shape[1]) // 2, (height - inner.shape[0]) // 2
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        outputs = part.run(part.input(canvas))
        boxes, scores = _DECODED[part.choice("form", FORMS)](part, outputs)
        sure = scores >= part.of("score", 0.5)
        boxes, scores = boxes[sure], scores[sure]
        kept = _distinct(boxes, scores)
        return [tuple(((box - (left, top, left, top)) / scale).tolist()) for box in kept]


class _Part:
    """One network with its description."""

    def __init__(self, description: Path, name: str, values: Any, threads: int) -> None:
        self.name = f"{description}: {name}"
        if not isinstance(values, dict) or "file" not in values:
            raise ValueError(f"{self.name}: must have a file")
        if unknown := sorted(set(values) - KEYS[name]):
            raise ValueError(f"{self.name}: has no key {unknown[0]}; there are: {', '.join(sorted(KEYS[name]))}")
        self._values = values
        file = description.parent / str(values["file"])
        if not file.is_file():
            raise ValueError(f"{self.name}: {file}: no such file")
        if file.suffix not in ENDINGS:
            raise ValueError(f"{self.name}: {file}: must end in {' or '.join(ENDINGS)}")
        self.run, shape = (_onnx if file.suffix == ".onnx" else _litert)(file, threads)
        if (
            len(shape) != 4
            or 3 not in (shape[1], shape[3])
            or not all(isinstance(side, int) and side > 0 for side in shape[1:])
        ):
            raise ValueError(
                f"{self.name}: {file}: takes {shape}, and one picture of a fixed size with three channels is wanted"
            )
        self._first = shape[1] == 3  # whether channels come first
        height, width = shape[2:] if self._first else shape[1:3]
        self.size = int(width), int(height)

    def of(self, key: str, default: Any) -> Any:
        """The value of a key, of the kind that the default is.

        Raises:
            ValueError: it is of another kind.
        """
        value = self._values.get(key, default)
        kinds = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"{self.name}: {key} is {value!r}, and must be like {default!r}")
        return value

    def choice(self, key: str, among: Sequence[str]) -> str:
        """The value of a key that has one of some words, of which the first is meant where it is missing."""
        value = self._values.get(key, among[0])
        if value not in among:
            raise ValueError(f"{self.name}: {key} is {value!r}, and must be one of: {', '.join(among)}")
        return str(value)

    def given(self, key: str) -> int | None:
        """The value of a key that says which output, class or channel; None without it."""
        return None if key not in self._values else int(self.of(key, 0))

    def input(self, image: np.ndarray) -> np.ndarray:
        """The network's input of a picture of its size, uint8 [height, width, 3] (blue, green, red)."""
        if self.choice("colour", ("rgb", "bgr")) == "rgb":
            image = image[..., ::-1]
        low, high = self._numbers("range", [0.0, 1.0], 2)
        scaled: Any = image.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
        mean, std = (self._numbers(key, [default] * 3, 3) for key, default in (("mean", 0.0), ("std", 1.0)))
        scaled = (scaled - np.array(mean, np.float32)) / np.array(std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1) if self._first else scaled)[None]

    def output(self, outputs: list[np.ndarray], key: str, default: int) -> np.ndarray:
        """An output without its batch axis."""
        place = self.of(key, default)
        if not 0 <= place < len(outputs):
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise ValueError(f"{self.name}: {key} is {place}, and the outputs, from 0, are: {shapes}")
        values = outputs[place]
        return values[0] if values.ndim > 1 and values.shape[0] == 1 else values

    def _numbers(self, key: str, default: list[float], count: int) -> list[float]:
        values = self._values.get(key, default)
        if (
            not isinstance(values, list)
            or len(values) != count
            or not all(isinstance(value, (int, float)) for value in values)
        ):
            raise ValueError(f"{self.name}: {key} is {values!r}, and must be like {default}")
        return [float(value) for value in values]


def _of_boxes(part: _Part, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    boxes: Any = part.output(outputs, "output", 0)
    scores = part.output(outputs, "scores", 1).reshape(-1)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(boxes) != len(scores):
        raise ValueError(
            f"{part.name}: boxes are {list(boxes.shape)} and scores {list(scores.shape)}; [n, 4] and [n] are wanted"
        )
    if part.given("classes") is not None:
        mine = part.output(outputs, "classes", 2).reshape(-1).round() == part.of("person", 0)
        boxes, scores = boxes[mine], scores[mine]
    corners = part.choice("corners", CORNERS)
    if corners == "yxyx":
        boxes = boxes[:, [1, 0, 3, 2]]
    elif corners == "cxcywh":
        boxes = np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])
    if part.choice("unit", ("share", "pixel")) == "share":
        boxes = boxes * np.array([*part.size, *part.size], np.float32)
    return boxes, scores


def _of_yolo(part: _Part, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    raw, person = part.output(outputs, "output", 0), part.of("person", 0)
    if raw.ndim != 2 or not 0 <= person < raw.shape[0] - 4:
        raise ValueError(f"{part.name}: the output is {list(raw.shape)}; [4 + classes, n] with class {person} is wanted")
    centres, sizes = raw[:2].T, raw[2:4].T
    return np.hstack([centres - sizes / 2, centres + sizes / 2]), raw[4 + person]


def _of_blazepose(part: _Part, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """As MediaPipe's graph pose_detection has it: anchors of a fixed size, and key points of which two are used."""
    places = [
        ((x + 0.5) / side, (y + 0.5) / side)
        for side, count in BLAZEPOSE_GRIDS
        for y in range(side)
        for x in range(side)
        for _ in range(count)
    ]
    anchors = BLAZEPOSE_SIDE * np.array(places)
    raw, scores = part.output(outputs, "output", 0), part.output(outputs, "scores", 1).reshape(-1)
    if raw.shape != (len(anchors), 12) or len(scores) != len(anchors):
        raise ValueError(f"{part.name}: the outputs are {list(raw.shape)} and {list(scores.shape)}, which is no blazepose")
    hips, top = raw[:, 4:6] + anchors, raw[:, 6:8] + anchors
    half = BLAZEPOSE_AROUND / 2 * np.linalg.norm(top - hips, axis=1, keepdims=True)
    return np.hstack([hips - half, hips + half]), 1 / (1 + np.exp(-np.clip(scores, -30, 30)))


_DECODED = {"boxes": _of_boxes, "yolo": _of_yolo, "blazepose": _of_blazepose}


def _distinct(boxes: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """One box for each person: of those that overlap, the surest."""
    kept: list[np.ndarray] = []
    for place in np.argsort(-scores, kind="stable"):
        box = boxes[place]
        if len(kept) < MOST_PEOPLE and all(_overlap(box, other) < OVERLAP for other in kept):
            kept.append(box)
    return kept


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    corner, end = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(0, end - corner)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / both if both > 0 else 0.0


def _around(frame: np.ndarray, box: tuple[float, float, float, float], times: float) -> tuple[np.ndarray, tuple[int, int]]:
    """The square picture around a box, black where it is outside of the frame, and its corner's place."""
    left, top, right, bottom = box
    side = max(2, round(times * max(right - left, bottom - top)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    square = np.zeros((side, side, 3), np.uint8)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, frame.shape[1]), min(y + side, frame.shape[0])
    if x1 > x0 and y1 > y0:
        square[y0 - y : y1 - y, x0 - x : x1 - x] = frame[y0:y1, x0:x1]
    return square, (x, y)


def _within(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> Person | None:
    """The person of a mask that may reach beyond the picture."""
    x, y = corner
    rows, columns = size
    inner = mask[max(0, -y) : max(0, rows - y), max(0, -x) : max(0, columns - x)]
    return person_of(inner, max(0, x), max(0, y), size) if inner.size else None


def _apart(mask: np.ndarray) -> list[Person]:
    """The people of a mask, who do not touch."""
    count, labels, figures, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8))
    people = []
    for label in range(1, count):
        left, top, width, height, _ = figures[label].tolist()
        cut = labels[top : top + height, left : left + width] == label
        person = person_of(np.where(cut, np.uint8(255), np.uint8(0)), left, top, mask.shape[:2])
        if person is not None:
            people.append(person)
    return people


def _onnx(file: Path, threads: int) -> tuple[Callable[[np.ndarray], list[np.ndarray]], list[Any]]:
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(f"{file}: onnxruntime is not installed here; pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise ValueError(f"{file}: ONNX Runtime refuses it: {' '.join(str(error).split())}") from None
    source = session.get_inputs()[0]
    return lambda inputs: list(session.run(None, {source.name: inputs})), list(source.shape)


def _litert(file: Path, threads: int) -> tuple[Callable[[np.ndarray], list[np.ndarray]], list[Any]]:
    interpreter_of = _interpreter(file)
    try:
        interpreter = interpreter_of(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{file}: LiteRT refuses it: {' '.join(str(error).split())}") from None
    source, targets = interpreter.get_input_details()[0], interpreter.get_output_details()

    def run(inputs: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(source["index"], inputs.astype(source["dtype"]))
        interpreter.invoke()
        return [interpreter.get_tensor(target["index"]) for target in targets]

    return run, [int(side) for side in source["shape"]]


def _interpreter(file: Path) -> Any:
    """LiteRT by the package of that name, or as TensorFlow has it."""
    try:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    except ImportError:
        pass
    try:
        from tensorflow import lite

        return lite.Interpreter
    except ImportError:
        raise ValueError(f"{file}: LiteRT is not installed here; pip install ai-edge-litert") from None
