"""The thresholds of windows that a bundle finds for watch.py, against a plain reading of what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.export import INPUT, OUTPUT
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.prepared.sets import TestSet
from gaitpress import forms, outputs
from gaitpress.commands.bundle import windows
from gaitpress.commands.bundle.places import Places
from gaitpress.commands.bundle.windows import strangers
from gaitpress.results.records import Row

PEOPLE, PIXELS, LENGTH = 40, 8, 6
WALKS = ("nm-01", "nm-02", "nm-05", "nm-06", "bg-01")
ENROLLED = WALKS[:2]


def write_network(path: Path) -> None:
    """A network whose signature is the mean of a walk's frames: a part for each row."""
    shape = [1, "frames", PIXELS, PIXELS]
    nodes = [
        helper.make_node("ReduceMean", [INPUT], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Identity", ["mean"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, PIXELS, PIXELS])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture
def shipped(tmp_path: Path) -> tuple[Row, Places, SequenceStore]:
    """A variant, its places, and the store of its data: walks of 8 to 16 frames that change from frame to frame."""
    rng = np.random.default_rng(0)
    modality = tmp_path / "data/preprocessed/silhouette"
    modality.mkdir(parents=True)
    writer = StoreWriter(modality, (PIXELS, PIXELS), "uint8")
    for person in range(PEOPLE):
        own = rng.integers(60, 190, (PIXELS, PIXELS))
        for walk in WALKS:
            frames = own + rng.integers(-60, 60, (rng.integers(8, 17), PIXELS, PIXELS))
            writer.add(f"{person:03d}", walk, "090", frames.astype(np.uint8))
    settings = {"kind": "silhouette", "pixels": PIXELS}
    writer.close(
        modality="silhouette", settings=settings, dataset="made", evidence="synthetic", fps=25, identities=[], split={}
    )
    store = SequenceStore.open(modality)
    gallery, probe = (
        [at for at, walk in enumerate(store.sequences) if (walk.condition in ENROLLED) == side] for side in (True, False)
    )
    (tmp_path / "data/test").mkdir()
    test = TestSet("gaitset", "silhouette", store.digest, "made", "synthetic", "casia-b", "euclidean", gallery, probe)
    outputs.write_json(tmp_path / "data/test/gaitset.json", test.to_json())
    (tmp_path / "quantized").mkdir()
    write_network(tmp_path / "quantized" / forms.CPU)
    record = {
        "signature": {"benchmark_shape": [1, LENGTH, PIXELS, PIXELS]},
        "settings": {"data": {"digest": store.digest}},
    }
    row = Row("local", "gaitset", 0, "fp32", tmp_path / "record.json", record)
    return row, Places(tmp_path / "engine", tmp_path / "quantized", tmp_path / "data"), store


def test_windows_are_looked_for_among_means_of_windows(shipped: tuple[Row, Places, SequenceStore]) -> None:
    row, places, store = shipped
    figures = strangers(row, places)
    assert figures is not None

    def means_of(position: int) -> list[np.ndarray]:
        frames = store.frames(store.sequences[position]).astype(np.float64) / 255
        starts = [start for start in (0, 3, 6) if start + LENGTH <= len(frames)]
        return [frames[start : start + LENGTH].mean(0) for start in starts]

    means, owners = [], []
    asked, whose = [], []
    for at, walk in enumerate(store.sequences):
        if walk.condition in ENROLLED:
            means.append(np.mean(means_of(at), 0))
            owners.append(walk.identity)
        else:
            asked += means_of(at)
            whose += len(means_of(at)) * [walk.identity]
    distances = np.linalg.norm(np.stack(asked)[:, None] - np.stack(means), axis=-1).mean(-1)
    wrong = np.sort(np.where(np.array(whose)[:, None] != np.array(owners), distances, np.inf).min(1))
    assert figures["enrolled"] == PEOPLE
    assert figures["trials"] == {"enrolled": len(wrong), "strangers": len(wrong)}
    assert [promise["far"] for promise in figures["promised"]] == [10, 1]
    for promise in figures["promised"]:
        assert promise["threshold"] == pytest.approx(wrong[int(len(wrong) * promise["far"] / 100)], rel=1e-5)
    assert "det" not in figures


@pytest.mark.parametrize(
    "change",
    [
        lambda row: replace(row, record={**row.record, "settings": {"data": {"digest": "of other data"}}}),
        lambda row: replace(row, record={**row.record, "signature": {"benchmark_shape": [1, 17, PIXELS, PIXELS]}}),
        lambda row: replace(row, model="gaitpart"),
    ],
    ids=["other data", "walks shorter than a window", "no test set"],
)
def test_without_such_windows_nothing_is_reported(
    shipped: tuple[Row, Places, SequenceStore], change: Callable[[Row], Row]
) -> None:
    row, places, _ = shipped
    assert strangers(change(row), places) is None


def test_of_many_walks_some_of_everybody_are_looked_at(
    shipped: tuple[Row, Places, SequenceStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    row, places, _ = shipped
    monkeypatch.setattr(windows, "LOOKED_AT", PEOPLE)
    figures = strangers(row, places)
    assert figures is not None
    assert figures["enrolled"] == PEOPLE
    assert PEOPLE <= figures["trials"]["strangers"] <= 3 * PEOPLE
