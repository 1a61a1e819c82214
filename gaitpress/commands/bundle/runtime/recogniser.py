"""Recognise people by their gait with the network of this folder. requirements.txt lists the packages that it needs.

recogniser = Recogniser.open(Path("."))
gallery = Gallery(recogniser.distance)
gallery.enrol("ada", recogniser.signature(silhouettes))
gallery.identify(recogniser.signature(other_silhouettes))  # [("ada", 0.31), ...], the nearest first
recogniser.threshold(1)  # a nearest person who is farther away than this is a stranger: 1 % of strangers are nearer
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gaitpress_runtime import flow, inputs, silhouettes

UNTESTED = "too few people were tested to tell strangers: the nearest person is named, whoever comes"


@dataclass(frozen=True)
class Recogniser:
    """The network and how its inputs are made; see :meth:`open`.

    Attributes:
        network: gives signatures, float32 [n, parts, channels], of its inputs.
        preprocessing: how silhouettes are aligned or optical flow is computed.
        shape: the shape of the network's input, such as [1, "frames", 64, 44].
        distance: the distance by which its accuracy was measured, "euclidean" or "cosine"; a :class:`Gallery` takes it.
        thresholds: by false accept rate in %, the distance below which a nearest person is accepted.
        enrolled: the number of enrolled people among whom the thresholds were found.
    """

    network: Callable[[np.ndarray], np.ndarray]
    preprocessing: dict[str, Any]
    shape: list[int | str]
    distance: str
    thresholds: dict[float, float] = field(default_factory=dict)
    enrolled: int | None = None

    @classmethod
    def open(cls, folder: Path, threads: int = 1, engine: bool = False, windows: bool = False) -> Recogniser:
        """Load the network and its settings from a folder.

        Args:
            folder: the folder of this bundle.
            threads: threads on a processor.
            engine: run the engine that was measured, which only its own device can, in place of model.onnx.
            windows: judge windows of walks among means of windows, not walks among walks; such thresholds are taken where
                they are known.

        Raises:
            OSError: a file is missing.
            ValueError: settings.json is not JSON, or this machine lacks the runtime that built the engine.
            RuntimeError: the runtime refuses the network or the engine.
        """
        try:
            settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{folder / 'settings.json'}: is not JSON ({error})") from None
        built = settings["engine"]
        if not engine:
            network = _onnx(folder / "model.onnx", threads)
        else:
            from gaitpress_runtime import engine as measured

            network = measured.opened(folder / built["file"], built["version"], threads)
        known = (windows and settings["windows"]) or settings["walks"]
        return cls(
            network,
            settings["preprocessing"],
            settings["signature"]["input"]["shape"],
            settings["distance"],
            {row["far"]: row["threshold"] for row in known["promised"]},
            known["enrolled"],
        )

    def threshold(self, far: float) -> float:
        """The distance below which a nearest person is accepted.

        Args:
            far: the false accept rate, in %: how many strangers are taken for somebody who is enrolled. It was measured
                among as many enrolled people as ``enrolled`` says; among more, more strangers are accepted.

        Raises:
            ValueError: no threshold was found for that rate.
        """
        if far not in self.thresholds:
            known = ", ".join(f"{rate:g}" for rate in self.thresholds) or "none: too few people were tested"
            raise ValueError(f"no threshold is known for a false accept rate of {far:g} %; there are: {known}")
        return self.thresholds[far]

    def limit(self, far: float | None) -> float:
        """The same for the rate ``far``, or without one for the known rate nearest 1 %; inf if none is known either.

        Raises:
            ValueError: no threshold was found for the rate that is asked for.
        """
        if far is None and not self.thresholds:
            return float("inf")
        return self.threshold(min(self.thresholds, key=lambda rate: abs(rate - 1)) if far is None else far)

    def signature(self, shown: Sequence[np.ndarray | None], video: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """The signature of one walk.

        Args:
            shown: silhouettes, uint8 [height, width], the person bright; None for a frame without one.
            video: grey frames, uint8 [height, width], one for each silhouette; only networks of optical flow need it.

        Returns:
            float32 [parts, channels], the mean of what the network gives for the walk's samples.

        Raises:
            ValueError: nobody can be seen, or the video is missing or too short.
        """
        return self._mean(self._samples(shown, video))

    def signature_of(self, aligned: np.ndarray) -> np.ndarray:
        """The same of silhouettes that are aligned already, uint8 [n, pixels, pixels]; not for networks of optical flow."""
        return self._mean(self._of_silhouettes(aligned))

    def _mean(self, samples: Iterator[np.ndarray]) -> np.ndarray:
        mean: np.ndarray = np.concatenate([self.network(sample) for sample in samples]).mean(0)
        return mean.astype(np.float32)

    def _samples(self, shown: Sequence[np.ndarray | None], video: Sequence[np.ndarray] | None) -> Iterator[np.ndarray]:
        """The network's inputs that together stand for a walk."""
        how = self.preprocessing
        if how["kind"] == "flow":
            if video is None or len(video) != len(shown):
                raise ValueError("this network needs optical flow: give the grey video, a frame for each silhouette")
            if any(frame is not None and frame.shape != film.shape for frame, film in zip(shown, video)):
                raise ValueError("the frames of the video and the silhouettes differ in size")
            if any(film.shape != video[0].shape for film in video):
                raise ValueError("the frames of the video differ in size")
            boxes = [None if frame is None else flow.person_box(frame) for frame in shown]
            stored = flow.samples(video, boxes, how["method"], how["frames"], how["stride"])
            if not len(stored):
                raise ValueError(f"no sample: more than {how['frames']} frames with a visible person are needed")
            yield from (sample[None] for sample in inputs.network_input(stored, "flow"))
            return
        aligned = silhouettes.align_all((frame for frame in shown if frame is not None), how["pixels"])
        if not len(aligned):
            raise ValueError("no frame shows a person")
        yield from self._of_silhouettes(aligned)

    def _of_silhouettes(self, aligned: np.ndarray) -> Iterator[np.ndarray]:
        prepared = inputs.network_input(aligned, "silhouette")
        frames = self.shape[1]
        if isinstance(frames, str):  # any number
            yield prepared[None]
            return
        for start in range(0, len(prepared), frames):
            yield prepared[None, np.arange(start, start + frames) % len(prepared)]


def _onnx(file: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Load a network in ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        raise ValueError("onnxruntime is not installed here; pip install onnxruntime, or run the engine") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    file.open("rb").close()  # whoever lacks it gets an OSError
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise RuntimeError(f"{file}: ONNX Runtime refuses it: {' '.join(str(error).split())}") from None
    name = session.get_inputs()[0].name

    def run(inputs: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = session.run(None, {name: inputs})[0]
        return outputs

    return run


@dataclass
class Gallery:
    """Enrolled walks: people and their signatures.

    Attributes:
        distance: between two walks. "euclidean": the mean over parts of the Euclidean distance of the signatures as they
            are; "cosine": 1 minus the mean over parts of their cosine.
    """

    distance: str
    names: list[str] = field(default_factory=list)
    signatures: list[np.ndarray] = field(default_factory=list)

    def enrol(self, name: str, signature: np.ndarray) -> None:
        """Add a walk of a person; several walks, in several clothes and views, make recognition better."""
        self.names.append(name)
        self.signatures.append(signature)

    def identify(self, signature: np.ndarray) -> list[tuple[str, float]]:
        """Every enrolled person with the distance of their nearest walk, the nearest person first.

        The distance is 0 for the same walk. Cosine distances are at most 2; Euclidean distances have the network's own unit.
        :meth:`Recogniser.threshold` says which distance is too far to be an enrolled person.

        Raises:
            ValueError: nobody is enrolled.
        """
        if not self.names:
            raise ValueError("nobody is enrolled")
        distances = _distances(np.stack(self.signatures).astype(np.float64), signature.astype(np.float64), self.distance)
        nearest: dict[str, float] = {}
        for place in np.argsort(distances, kind="stable"):
            nearest.setdefault(self.names[place], float(distances[place]))
        return list(nearest.items())


def _distances(enrolled: np.ndarray, signature: np.ndarray, distance: str) -> np.ndarray:
    """The distances, [walks], of enrolled signatures, [walks, parts, channels], from one, [parts, channels]."""
    if distance == "euclidean":
        apart: np.ndarray = np.linalg.norm(enrolled - signature, axis=-1).mean(-1)
        return apart
    cosines: np.ndarray = (_unit(enrolled) * _unit(signature)).sum(-1)
    return 1 - cosines.mean(-1)


def _unit(values: np.ndarray) -> np.ndarray:
    """Every part scaled to length 1; a part of length 0 stays 0."""
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    scaled: np.ndarray = values / np.where(lengths > 0, lengths, 1)
    return scaled
