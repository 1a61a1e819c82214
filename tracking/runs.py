"""A variant as a run of an experiment tracker: its name, settings, figures, curves, files and tags."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gaitpress import outputs
from gaitpress import settings as made_with
from gaitpress.results import digits, figures, words
from gaitpress.results.folders import Folders
from gaitpress.results.records import Condition, Row, of_condition
from gaitpress.results.work import Curve, curve
from remote.digest import sha256


@dataclass(frozen=True)
class Run:
    """A variant as MLflow logs it.

    Attributes:
        variant: the key that stays the same however often it is measured, such as "walkers/local/gaitset/p30-int8".
        content_key: hash of the record and, for a ``best`` that stands for another variant, of that choice; a new hash
            means a new run.
        name: the name in the list of runs.
        params, metrics, tags: the values that the tracker shows and filters by.
        relative, optimal: the metrics and the verdict that also depend on other variants' records, and so may change for the
            same measurement.
        artifacts: JSON files by name.
        files: files to keep beside these.
        views: rank-1 by view as the record has it, or None.
        curves: curves by the prefix of their metrics' names, such as "training".
        trainings: the last row of the history of each training that it comes from, by the name of that training's run.
        dataset: name, digest, protocol and counts of the data for its training and test.
        note: the variant in Markdown.
        failed: whether there is no measurement.
        start_ms, end_ms: when it was measured, in ms since 1970.
    """

    variant: str
    content_key: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    relative: Mapping[str, float]
    optimal: bool
    artifacts: Mapping[str, Any]
    files: tuple[Path, ...]
    views: Mapping[str, Any] | None
    curves: Mapping[str, Curve]
    trainings: Mapping[str, Mapping[str, float]]
    dataset: Mapping[str, Any]
    note: str
    failed: bool
    start_ms: int
    end_ms: int


def described(row: Row, folders: Folders) -> Run:
    """The run of a row that has a record; it leaves out files that are missing or belong to another result."""
    record = dict(row.record)
    dataset = record["variant"]["dataset"]
    params = _params(row)
    artifacts = {"record.json": record}
    if "signature" in record:
        artifacts["signature.json"] = record["signature"]
    # The variant that ``best`` stands for depends on other records too.
    content = json.dumps([params, record, *([row.choice] if row.choice else [])], sort_keys=True).encode()
    histories = _histories(row, folders)
    end_ms = int(1000 * datetime.fromisoformat(record["measured_at"]).timestamp())
    return Run(
        variant=f"{dataset}/{row.key}",
        content_key=hashlib.sha256(content).hexdigest()[:32],
        name=f"{row.name} @ {row.device}",
        params=params,
        metrics=_metrics(row),
        tags=_tags(row),
        relative=_known({figure.name: figure.of(row) for figure in figures.RELATIVE}),
        optimal=row.optimal,
        artifacts=artifacts,
        files=_files(row, folders),
        views=record.get("rank1_by_view"),
        curves={name: curve(row.model, name, history) for name, history in histories.items()},
        trainings={_trainings(row)[name]: history[-1] for name, history in histories.items() if history},
        dataset=_dataset(row),
        note=_note(row),
        failed=row.shown.status != "ok",
        start_ms=end_ms - int(1000 * record["seconds"]),
        end_ms=end_ms,
    )


def _params(row: Row) -> dict[str, str]:
    model, prune = row.settings["model"], row.settings["prune"]
    values = {
        "model": row.model,
        "percentile": row.percentile,
        "precision": row.precision,
        "device": row.device,
        "dataset": row.get("variant", "dataset"),
        # MLflow's comparison begins with the first three differing names in alphabetical order: these names come after
        # model, percentile and precision.
        **{f"training.{key}": model[key] for key in ("framework", "modality", "width", "seed")},
        **{f"prune.{key}": prune[key] for key in ("mode", "criterion", "scope", "round_to", "keep_min", "spare")},
        **{f"benchmark.{key}": value for key, value in row.settings["benchmark"].items()},
        "test.distance": row.get("accuracy", "distance"),
        "runtime": f"{row.get('engine', 'runtime')} {row.get('engine', 'version')}",
    }
    return {key: str(value) for key, value in values.items()}


def _metrics(row: Row) -> dict[str, float]:
    values = {figure.name: figure.of(row) for figure in figures.TRACKED}
    values |= {f"rank1_{count}": row.get("accuracy", "rank1", count) for count in ("people", "probes")}
    for part, later in (((), False), (("temporal",), True)):
        for measure in ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP", "knn7"):
            rates = row.get("accuracy", *part, measure) or {}
            values["_".join([*part, measure, "mean"])] = rates.get("mean")
            for name, condition_rates in rates.get("conditions", {}).items():
                values |= of_condition(Condition(_quoted(name), later), condition_rates, measure)
    for others in ("all_probes", "other_cameras"):
        for measure, rates in (row.get("accuracy", others) or {}).items():
            if isinstance(rates, Mapping):  # a CMC is a list
                values[f"{others}_{measure}_mean"] = rates["mean"]
    return _known(values)


def _known(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if value is not None}


def _quoted(name: str) -> str:
    """A condition's name in the letters that MLflow allows in a metric's name; no two names become the same."""
    return quote(name, safe="").replace("~", "%7E").replace("%", ":")


def _tags(row: Row) -> dict[str, str]:
    tags = {
        "model": row.model,
        "percentile": str(row.percentile),
        "precision": row.precision,
        "device": row.device,
        "dataset": row.get("variant", "dataset"),
        "evidence": row.get("evidence"),
        "data": row.get("data"),
        "status": row.status,
        "valid": str(row.valid).lower(),
        "dvc_stage": row.stage,
    }
    if distance := row.get("accuracy", "distance"):
        tags["distance"] = distance
    if row.reasons:
        tags["reason"] = "; ".join(row.reasons)
    if row.same_as:
        tags["same_as"] = row.same_as.precision
    return tags


def _files(row: Row, folders: Folders) -> tuple[Path, ...]:
    onnx = folders.quantize / row.folder / str(row.get("signature", "file"))
    return (onnx,) if onnx.is_file() and sha256(onnx) == row.get("engine", "onnx_sha256") else ()


def _histories(row: Row, folders: Folders) -> dict[str, list[dict[str, float]]]:
    """The rows of training and fine-tuning, as far as they are of this very variant."""
    return {
        name: outputs.read_json(place / "history.json")
        for name, training in _trainings(row).items()
        if ((place := folders.results / training) / "history.json").exists() and made_with.within(place, row.settings)
    }


def _trainings(row: Row) -> dict[str, str]:
    """The names of the runs of a variant's trainings, which are the folders of their results too."""
    return {"training": f"train/{row.model}", "finetuning": f"finetune/{row.pruned}"}


def _dataset(row: Row) -> dict[str, Any]:
    data, test = row.settings["data"], row.settings.get("test", {})
    facts = {key: data[key] for key in ("digest", "modality", "evidence")}
    facts |= {key: test[key] for key in ("protocol", "distance") if key in test}
    return {"name": data["dataset"], **facts, "sequences": {**data["sequences"], **test.get("sequences", {})}}


def _note(row: Row) -> str:
    """The main facts of the run in Markdown."""
    lines = [f"**{row.name}** on {row.device}: {row.verdict}", ""]
    if row.get("latency_ms"):
        lines += [
            "| mean rank-1 | latency p50 | a second of video | energy | engine |",
            "|---|---|---|---|---|",
            f"| {figures.RANK1.text(row)} % [{digits.interval(*row.rank1_interval, 'percent')}] "
            f"| {figures.LATENCY.text(row)} ms "
            f"| {figures.TIME.text(row)} ms "
            f"| {f'{figures.ENERGY.text(row)} mJ' if figures.ENERGY.of(row) is not None else 'unknown'} "
            f"| {figures.SIZE.text(row)} MB |",
            "",
        ]
    lines += [f"- {reason}" for reason in row.reasons]
    if row.get("accuracy"):
        lines.append(f"- rank-1 by {words.distance([row])}")
    lines.append(f"- {words.data([row])}, {words.place([row])}")
    return "\n".join(lines)
