"""The model card: what a network is, what it was made from, how good and fast it is, and where it should not be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gaitpress.results import digits, words
from gaitpress.results.figures import ENERGY, LATENCY, LATENCY_HIGH, LATENCY_LOW, MACS, PARAMS, TIME
from gaitpress.results.records import Row, ends
from remote import runtimes

DISTANCES = {
    "euclidean": "The distance of two walks is the mean over parts of the Euclidean distance of these, not scaled. "
    "Its unit is the network's own: a threshold holds for this network alone.",
    "cosine": "The distance of two walks is 1 minus the mean over parts of their cosine: 0 to 2, however long they are.",
}


def card(row: Row, build: Mapping[str, Any], of_windows: Mapping[str, Any] | None) -> str:
    """The card of a measured variant, in Markdown."""
    parts = [
        f"# {row.name}: gait recognition on {row.device}",
        f"{words.data([row]).capitalize()}; {words.place([row])}.",
        _use(row),
        _data(row),
        _training(row),
        _accuracy(row),
        _strangers(row, of_windows),
        _benchmark(row, build),
        _limits(row),
    ]
    return "\n\n".join(parts) + "\n"


def _use(row: Row) -> str:
    signature = row.get("signature")
    return (
        "## Use\n\n"
        f"Input `{signature['input']['name']}` {signature['input']['shape']}, output `{signature['output']['name']}` "
        f"{signature['output']['shape']}: a signature, [1, parts, channels]. Those of a walk's samples are averaged. "
        f"{DISTANCES[row.get('accuracy', 'distance')]} "
        "`identify.py` does all that."
    )


def _data(row: Row) -> str:
    data, test = row.settings["data"], row.settings["test"]
    sequences, people = test["sequences"], test["people"]
    return (
        "## Data\n\n"
        f"{data['dataset']} ({data['evidence']}), modality {data['modality']}, {data['fps']:g} frames a second; digest "
        f"`{data['digest']}`. "
        f"{_origin(row)} Tested by protocol {test['protocol']} on {sequences['probe']} walks of {people['probe']} "
        f"{'people' if row.settings['origin']['init'] else 'other people'}, who are looked for among "
        f"{sequences['gallery']} enrolled walks. "
        f"Preprocessing: `{json.dumps(data['preprocess'], sort_keys=True)}`."
    )


def _origin(row: Row) -> str:
    """The walks that the weights come from, as far as they are known."""
    data, origin, tuned = (row.settings[key] for key in ("data", "origin", "finetune"))
    walks = f"{data['sequences']['train']} walks of {data['people']['train']} people"
    trained = origin["trained"] or bool(tuned.get("iterations") or tuned.get("epochs"))
    if (init := origin["init"]) is None:
        return f"Trained on {walks}." if trained else "Not trained: its weights are random."
    source = f"`{init['path']}` (SHA-256 `{init['sha256']}`)"
    if trained:
        begun = f"Its weights started as those of {source} and were trained further on {walks}."
    else:
        begun = f"Its weights are those of {source}; they were not trained here."
    return (
        f"{begun} On whose walks and with which settings that file was trained is not known here, nor whether the people of "
        "the test were among them."
    )


def _training(row: Row) -> str:
    described = {key: _without_none(row.settings[key]) for key in ("model", "prune", "finetune", "export", "quantize")}
    params, macs = PARAMS.of(row), MACS.of(row)
    return (
        "## Training and compression\n\n"
        f"{params:,} parameters, {macs / 1e6:,.1f} million multiply-adds for {row.get('signature', 'benchmark_shape')}. "
        f"Settings, as params.yaml had them:\n\n```json\n{json.dumps(described, indent=1, sort_keys=True)}\n```"
    )


def _without_none(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}


def _accuracy(row: Row) -> str:
    lines = [
        "## Accuracy",
        "",
        f"Of the engine itself: rank-1 in %, {words.rank1([row])}.",
        "",
        "| | rank-1 | 95 % interval | people | probes |",
        "|---|---|---|---|---|",
    ]
    whole = row.get("accuracy", "rank1") or {}
    rates = [("mean", whole.get("mean"), whole)]
    rates += [
        (condition.title, figures.get("rate"), figures)
        for condition in words.conditions([row])
        for figures in [row.rank1_of(condition)]
    ]
    for title, rate, figures in rates:
        interval = digits.interval(*ends(figures), "percent")
        lines.append(
            f"| {title} | {digits.percent(rate)} | {interval} | {figures.get('people')} | {figures.get('probes')} |"
        )
    return "\n".join(lines)


def _strangers(row: Row, of_windows: Mapping[str, Any] | None) -> str:
    rates = row.deployed_open_set
    if not rates.get("promised"):
        return (
            "## Strangers\n\nToo few people were tested to say how well people who are not enrolled are told from those who "
            "are: `identify.py` names the nearest, whoever comes."
        )
    views = ", whose walks in the view of the camera count too" if row.get("accuracy", "open_set_all_views") else ""
    lines = ["## Strangers", "", *_promises(rates, "walks", views)]
    if of_windows and of_windows["promised"]:
        frames = row.get("signature", "benchmark_shape")[1]
        lines += ["", f"`watch.py` judges windows of {frames} silhouettes by thresholds of their own:", ""]
        lines += _promises(of_windows, "windows", ", each by means of windows")
    return "\n".join(lines)


def _promises(rates: Mapping[str, Any], what: str, how: str) -> list[str]:
    """A table of the rates of :func:`gait.evaluation.open_set.rates`, of walks or windows."""
    trials = rates["trials"]
    lines = [
        f"Among {rates['enrolled']} enrolled people{how}; {trials['enrolled']} {what} of enrolled people and "
        f"{trials['strangers']} of people taken out of the gallery. The threshold of each half of the people was "
        f"tested on the other half; equal error rate {rates['eer']:.1f} %. Among more people, more strangers are accepted.",
        "",
        "| strangers accepted, promised % | found [95 %] | enrolled people recognised, % [95 %] | nearer than |",
        "|---|---|---|---|",
    ]
    for promise in rates["promised"]:
        accepted, recognised = promise["false_accepts"], promise["tar"]
        lines.append(
            f"| {promise['far']:g} | {accepted['rate']:.2f} [{digits.interval(*ends(accepted), 'percent')}] | "
            f"{digits.percent(recognised['rate'])} [{digits.interval(*ends(recognised), 'percent')}] | "
            f"{promise['threshold']:.5g} |"
        )
    return lines


def _benchmark(row: Row, build: Mapping[str, Any]) -> str:
    figures = {
        "device": words.place([row]),
        "runtime": words.runtime([row]),
        "latency, median of a query": f"{LATENCY.text(row)} ms "
        f"[{digits.interval(LATENCY_LOW.of(row), LATENCY_HIGH.of(row))}]",
        TIME.title: f"{TIME.text(row)} ms",
        "energy of an inference": f"unknown: {row.get('energy_reason')}"
        if ENERGY.of(row) is None
        else f"{ENERGY.text(row)} mJ",
        "size of the engine": f"{digits.mega(build['bytes'])} MB",
        "times": "valid" if row.valid else f"NOT VALID: {'; '.join(row.get('invalid_reasons'))}",
        "measured": row.get("measured_at"),
    }
    lines = [f"| {name} | {value} |" for name, value in figures.items()]
    return "\n".join(["## Benchmark", "", "`record.json` has all of it.", "", "| | |", "|---|---|", *lines])


def _limits(row: Row) -> str:
    limits = [
        "Rank-1 is measured among enrolled people only. Thresholds for strangers hold for galleries and views like those of "
        "the data above; find them anew on data of your own.",
        "It holds for the views, clothes, frame rate and silhouettes of the data above. Other ways to segment people give "
        "other silhouettes; measure before you rely on it.",
        f"The engine under `engine/` is for this device and runtime alone ({words.runtime([row])}); `model.onnx` runs "
        "anywhere, at other speeds.",
        "Gait is biometric data: recognising people needs their consent or another legal basis. Without consent this may "
        "not be used to identify people in public places, to watch employees, or to decide about anybody; in the European "
        "Union the GDPR (article 9) and the AI Act (article 5) forbid or restrict such uses.",
        "`watch.py` stores signatures of those alone who were enrolled with `--enrol`, in one file; `--list`, "
        "`--export NAME` and `--forget NAME` show, hand out and delete what is stored of a person.",
    ]
    if runtimes.part(row.get("engine", "runtime"), "bundle").SHIPPED.engine_first:
        limits.append(
            "The accuracy is that of the engine, which `identify.py --engine` runs. Without that option "
            "it runs `model.onnx` on a processor, which may differ a little."
        )
    if row.get("data") == "synthetic":
        limits.insert(0, "**The people of its data are synthetic. The accuracy says nothing about real people.**")
    if row.get("evidence") == "simulated":
        limits.insert(0, "**The device is simulated. The times are those of no hardware.**")
    if row.settings["origin"]["init"]:
        limits.insert(
            0, "Weights came from a file of unknown training; if it saw the test people, the accuracy flatters it."
        )
    limits[:0] = [f"**Not worth it: {drawback}.**" for drawback in row.drawbacks]
    if not row.valid:
        limits.insert(0, "**The times are not valid; see the benchmark.**")
    return "\n".join(["## Limits", "", *(f"- {limit}" for limit in limits)])
