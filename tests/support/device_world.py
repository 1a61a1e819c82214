"""A finished pipeline up to `quantize`, small and real: a store, a partition and networks that ONNX Runtime runs.

The network of GaitSet's place is the gait-energy image, weighted: signature[row, column] = weight * mean over frames.
"""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from ruamel.yaml import YAML

from gait.data.partitions import partition_for
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gaitpress import engine, forms, inputs, outputs, params
from gaitpress import settings as made_with
from gaitpress.results.folders import Folders
from stages.benchmark import benchmark
from stages.build import build
from stages.probe import probe
from stages.recognise import recognise
from tests.support.toy import ROOT

CONDITIONS = ("nm-01", "nm-02", "nm-03", "nm-04", "nm-05", "bg-01", "cl-01")
SHAPE = (64, 44)
RATES = ("accuracy", "rank1_by_view")  # of a record, those that recognise measures


class World:
    """Folders as dvc.yaml has them, below ``where``."""

    def __init__(self, where: Path, percentiles: tuple[float, ...] = (0, 50)) -> None:
        self._stand_in(where)
        self.devices.write_text("local: {transport: local}\n")
        self.write_params({"models": ["gaitset"], "percentiles": list(percentiles), "precisions": ["fp32"]})
        self.write_store()
        for percentile in percentiles:
            self.write_network(percentile)
        probe("local", self.devices, self.facts)

    @classmethod
    def at(cls, where: Path) -> Self:
        """The world that was made in a folder before."""
        world = object.__new__(cls)
        world._stand_in(where)
        return world

    def _stand_in(self, where: Path) -> None:
        self.where = where
        self.devices = where / "devices.yaml"
        self.facts = where / "facts/local.json"
        self.records = Folders(where / "results")
        self.params = where / "params.yaml"

    def copy(self, where: Path) -> Self:
        """The same in another folder."""
        shutil.copytree(self.where, where, dirs_exist_ok=True)
        return type(self).at(where)

    def write_params(self, edits: dict[str, Any]) -> params.Params:
        """params.yaml of this repository with quick measurements and some edits at the top level or of percentiles."""
        source = self.params if self.params.exists() else ROOT / "params.yaml"
        data = YAML(typ="safe", pure=True).load(source.read_text(encoding="utf-8"))
        data["export"].update(max_batch=4)
        data["benchmark"].update(sweep=[1, 3], warmup_s=0.0, duration_s=0.02, min_queries=20, repeats=2, max_cov=1e6)
        edits = dict(edits)
        if "percentiles" in edits:
            data["prune"]["percentiles"] = edits.pop("percentiles")
        data.update(edits)
        YAML().dump(data, self.params)
        return self.settings

    @property
    def settings(self) -> params.Params:
        return params.load(self.params)

    def write_store(self) -> None:
        rng = np.random.default_rng(0)
        directory = self.where / "preprocessed/silhouette"
        directory.mkdir(parents=True)
        store = StoreWriter(directory, (64, 64), "uint8")
        for person in range(5):
            own = rng.integers(0, 256, (64, 64))
            for condition in CONDITIONS:
                for view in ("072", "090"):
                    noise = rng.integers(-40, 40, (6, 64, 64))
                    store.add(f"{person:03d}", condition, view, np.clip(own + noise, 0, 255).astype(np.uint8))
        people = [f"{person:03d}" for person in range(5)]
        settings = {"kind": "silhouette", "pixels": 64}
        store.close(
            modality="silhouette",
            settings=settings,
            dataset="walkers",
            evidence="synthetic",
            fps=25,
            identities=people,
            split={},
        )
        sides = partition_for(
            "gaitset",
            SequenceStore.open(directory),
            {"protocol": "casia-b", "train_subjects": 2, "without": []},
            "euclidean",
        )
        for path, side in zip((self.training, self.test), sides, strict=True):
            outputs.write_json(path, side.to_json())

    @property
    def training(self) -> Path:
        return self.where / "training/gaitset.json"

    @property
    def test(self) -> Path:
        return self.where / "test/gaitset.json"

    def quantized(self, percentile: float = 0) -> Path:
        return self.where / f"results/quantize/gaitset/p{percentile}-fp32"

    def engine(self, percentile: float = 0) -> Path:
        return self.where / f"results/build/local/gaitset/p{percentile}-fp32"

    def record(self, percentile: float = 0) -> Path:
        return self.records.benchmark / f"local/gaitset/p{percentile}-fp32.json"

    def rates(self, percentile: float = 0) -> Path:
        return self.records.recognise / f"local/gaitset/p{percentile}-fp32.json"

    def write_network(self, percentile: float = 0, weights: np.ndarray | None = None, op: str = "Mul") -> None:
        """A network in place of a trained one."""
        directory = self.quantized(percentile)
        directory.mkdir(parents=True, exist_ok=True)
        weights = np.ones(SHAPE, np.float32) if weights is None else weights.astype(np.float32)
        graph = helper.make_graph(
            [
                helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=0),
                helper.make_node(op, ["mean", "weights"], ["signature"]),
            ],
            "energy_image",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", "frames", *SHAPE])],
            [helper.make_tensor_value_info("signature", TensorProto.FLOAT, ["batch", *weights.shape])],
            [numpy_helper.from_array(weights, "weights")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        for file in (forms.CPU, forms.TENSORRT):
            onnx.save(model, directory / file)
        signature = {
            "input": {"name": "input", "shape": ["batch", "frames", *SHAPE]},
            "output": {"name": "signature", "shape": [1, *SHAPE]},
            "benchmark_shape": [1, 4, *SHAPE],
            "max_batch": 4,
            "inferences_per_video_second": 25 / 4,
            "params": 64 * 44,
            "macs": 64 * 44,
        }
        signature["forms"] = {file: {"input": signature["input"]} for file in (forms.CPU, forms.TENSORRT)}
        outputs.write_json(directory / "signature.json", signature)
        chosen = self.settings
        made_with.write(
            directory,
            {"data": inputs.facts(*inputs.open_training(self.training, self.where / "preprocessed"))},
            model=chosen.model["gaitset"].model_dump(mode="json"),
            origin={"init": None, "trained": True},
            prune={"percentile": percentile, **chosen.prune.model_dump(mode="json", exclude={"percentiles"})},
            finetune=chosen.finetune["gaitset"].model_dump(mode="json"),
            export=chosen.export.model_dump(mode="json"),
            quantize={"precision": "fp32"},
        )

    def build(self, percentile: float = 0) -> dict[str, Any]:
        """Run the stage build; returns build.json."""
        build("local", self.devices, self.facts, "fp32", self.quantized(percentile), self.engine(percentile), self.settings)
        return json.loads((self.engine(percentile) / "build.json").read_text())

    def measured(self, percentile: float = 0) -> engine.Engine:
        given = {"device": "local", "model": "gaitset", "percentile": percentile, "precision": "fp32"}
        where = {"devices": self.devices, "facts": self.facts}
        where |= {"engine": self.engine(percentile), "quantized": self.quantized(percentile)}
        return engine.named(Namespace(**given, **where))

    def benchmark(self, percentile: float = 0) -> dict[str, Any]:
        """Run the stage benchmark; returns the record."""
        preprocessed = self.where / "preprocessed"
        record = benchmark(self.measured(percentile), self.training, preprocessed, self.settings.benchmark)
        outputs.write_json(self.record(percentile), record)
        return record

    def recognise(self, percentile: float = 0) -> dict[str, Any]:
        """Run the stage recognise; returns the rates."""
        rates = recognise(self.measured(percentile), self.test, self.where / "preprocessed", 1)
        outputs.write_json(self.rates(percentile), rates)
        return rates

    def joined(self, percentile: float = 0) -> dict[str, Any]:
        """The record with the rates of its engine."""
        record, rates = (json.loads(path.read_text()) for path in (self.record(percentile), self.rates(percentile)))
        record["settings"]["test"] = rates["settings"]
        return record | {key: rates[key] for key in RATES}

    def keep(self, percentile: float, record: dict[str, Any]) -> None:
        """Write a record with rates in place of both files of a variant, whose precision the record says."""
        name = f"local/gaitset/p{percentile}-{record['variant']['precision']}.json"
        rates = {**json.loads(self.rates(percentile).read_text()), "variant": record["variant"]}
        outputs.write_json(self.records.recognise / name, {**rates, **{key: record[key] for key in RATES}})
        rest = {key: value for key, value in record.items() if key not in RATES}
        outputs.write_json(self.records.benchmark / name, rest)
