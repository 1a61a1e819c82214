"""A project with many variants, as if all of it had run: every output, dvc.lock, DVC's cache, and times of all stages."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from gait.people import ByPerson
from gaitpress import outputs, params
from gaitpress import settings as made_with
from stages import needs
from stages.partition import protocol_code, training_code
from stages.runtime import code_on
from tests.support.many_records import VIEWS, rates_of, record
from tests.support.toy import ROOT, commit, copy_repository, run
from workflow.dvc.stages import Pipeline, Stage, read_yaml

MODELS = ("gaitset", "gaitpart", "gaitgl", "gln", "baseline", "gaitbase", "deepgaitv2", "cnn2d", "cnn3d", "cnn2plus1d")
DEVICES = ("local", "board-a", "board-b")
PRECISIONS = ("fp32", "int8")
EACH = len(MODELS) * len(DEVICES) * len(PRECISIONS)  # variants of a percentile
VARIANTS = 1500
PEOPLE = 50  # in the test, as in CASIA-B's
ROWS = 200  # of a training's history
ONNX = 20_000  # bytes of a network's file


@dataclass(frozen=True)
class Study:
    """A project in a folder of its own.

    Attributes:
        where: the folder.
        percentiles: its percentiles; each adds 60 variants.
    """

    where: Path
    percentiles: Sequence[int]

    @classmethod
    def make(cls, where: Path, variants: int = VARIANTS) -> Study:
        """Write a project of so many variants, rounded up to whole percentiles, into a new folder."""
        where.mkdir()
        study = cls(copy_repository(where), range(-(-variants // EACH)))
        study.choose(study.percentiles)
        for device in DEVICES[1:]:
            run(["python", "-m", "remote", "add", device, f"ssh://{device}.invalid"], where)
        with chdir(where):
            _write_outputs(where, params.load("params.yaml"))
        commit(where, "a large study")
        with chdir(where):
            _record_all()
        commit(where, "its results")
        return study

    @property
    def variants(self) -> int:
        return EACH * len(self.percentiles)

    @cached_property
    def pipeline(self) -> Pipeline:
        return Pipeline.read(self.where / "dvc.yaml", read_yaml(self.where / "params.yaml"))

    def choose(self, percentiles: Sequence[int]) -> None:
        """Write the axes into params.yaml."""
        yaml = YAML()
        settings = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        axes = {"devices": DEVICES, "models": MODELS, "precisions": PRECISIONS}
        settings |= {name: list(values) for name, values in axes.items()}
        settings["modalities"] = ["silhouette", "silhouette128", "flow"]
        settings["prune"]["percentiles"] = list(percentiles)
        with (self.where / "params.yaml").open("w", encoding="utf-8") as file:
            yaml.dump(settings, file)


def _write_outputs(where: Path, settings: params.Params) -> None:
    rng = random.Random(0)
    pipeline = Pipeline.read("dvc.yaml", read_yaml("params.yaml"))
    order = {name: place for place, name in enumerate(pipeline.stages)}
    stages = sorted(pipeline.stages.values(), key=lambda stage: order[stage.name])
    durations = []
    records: dict[tuple[Any, ...], dict[str, Any]] = {}
    for stage in stages:
        for item in stage.items():
            durations.append(f"{stage.address(item)},{rng.uniform(1, 60):.1f}\n")
            for out in stage.outs:
                path = where / out.format(**item)
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, stage, item, settings, rng, records)
    (where / "logs").mkdir(exist_ok=True)
    (where / "logs/durations.csv").write_text("".join(durations), encoding="utf-8")


def _write(
    path: Path,
    stage: Stage,
    item: Mapping[str, Any],
    settings: params.Params,
    rng: random.Random,
    records: dict[tuple[Any, ...], dict[str, Any]],
) -> None:
    if path.parts[-2] in ("code", "protocol", "needs", "runtime"):
        path.write_text(json.dumps(_named(path, settings)), encoding="utf-8")
    elif stage.name in ("benchmark", "recognise"):
        key = tuple(item.values())
        if key not in records:
            records[key] = _record(rng, item)
        measured = records[key]
        rates = rates_of(measured) if stage.name == "recognise" else None
        outputs.write_json(path, measured if rates is None else {**rates, "rank1_by_person": _by_person(key)})
    elif path.suffix:
        path.write_text(f"{stage.address(item)}\n", encoding="utf-8")
    else:
        path.mkdir()
        (path / "content").write_text(f"{stage.address(item)}\n", encoding="utf-8")
        if stage.name in ("train", "finetune"):
            loss = np.linspace(2, 0.1, ROWS)
            rows = [{"iteration": step + 1, "loss": float(value), "lr": 0.1} for step, value in enumerate(loss)]
            outputs.write_json(path / "history.json", rows)
            made_with.write(path, {}, model=settings.model[item["model"]].model_dump(mode="json"))
        if stage.name == "quantize":
            (path / "model.onnx").write_bytes(_network(item))


def _network(item: Mapping[str, Any]) -> bytes:
    return random.Random(f"{item['model']}{item['percentile']}{item['precision']}").randbytes(ONNX)


def _named(path: Path, settings: params.Params) -> dict[str, str]:
    """The content of a file that names code."""
    rules = settings.datasets[settings.dataset].partition
    if path.parts[-2] == "code":
        return training_code(settings.entry(path.stem), rules)
    if path.parts[-2] == "protocol":
        return protocol_code(rules)
    if path.parts[-2] == "needs":
        return needs.digests(Path("data/training", path.name), Path("data/code", path.name))
    from remote import inventory

    return code_on(inventory.find(Path("remote/devices.yaml"), path.stem), is_jetson=False)


def _record(rng: random.Random, item: Mapping[str, Any]) -> dict[str, Any]:
    made = record(rng, item["device"], item["model"], item["percentile"], item["precision"])
    made["signature"] |= {"file": "model.onnx"}
    return made


def _by_person(key: tuple[Any, ...]) -> dict[str, Any]:
    """Hits at random in CASIA-B's test: 50 people, three conditions, and eleven views against eleven."""
    rng = np.random.default_rng(abs(hash(key)) % 2**32)
    counted = np.zeros((PEOPLE, 3, len(VIEWS), len(VIEWS)), np.int64)
    counted[:] = 2 * (1 - np.eye(len(VIEWS), dtype=np.int64))
    return ByPerson.of([f"{n:03d}" for n in range(75, 75 + PEOPLE)], rng.binomial(counted, 0.9), counted).to_json()


def _record_all() -> None:
    """Let DVC hash all that the stages read and made, and write its cache and dvc.lock.

    The lock has the form that DVC gives it, by a faster writer of YAML: DVC's own takes minutes for so many stages.
    """
    from dvc_data.hashfile.transfer import transfer

    from workflow.dvc import private

    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.representer.ignore_aliases = lambda _: True
    with private.opened() as repo, private.lock_repo(repo), private.files_read_once():
        entries: dict[str, Any] = {}
        for stage in repo.index.stages:
            for file in stage.deps:
                if isinstance(file, private.ParamsDependency):
                    file.hash_info = file.get_hash()
                else:
                    file.meta, file.hash_info = file._get_hash_meta()
            for out in stage.outs:
                if out.use_cache:
                    made, out.meta, content = out._build(out.cache, out.fs_path, out.fs, out.hash_name, ignore=out.dvcignore)
                    out.hash_info = content.hash_info
                    transfer(made, out.cache, {out.hash_info}, shallow=False)
                else:
                    out.meta, out.hash_info = out._get_hash_meta()
            entries |= private.to_lockfile(stage)
    with Path("dvc.lock").open("w", encoding="utf-8") as file:
        yaml.dump({"schema": "2.0", "stages": json.loads(json.dumps(entries))}, file)
