"""The report as one self-contained page: it holds all it needs, and its own rules forbid it to load anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaitpress.errors import StageError
from gaitpress.params import Params
from gaitpress.results import digits, figures, words
from gaitpress.results.figures import COSTS, Figure
from gaitpress.results.folders import Folders
from gaitpress.results.layer_times import LayerTimes, by_layer
from gaitpress.results.machines import machines
from gaitpress.results.records import Condition, Row, by_device, ends
from gaitpress.results.work import POINTS, Curve, curves, pruning
from report import answers, charts, live
from report.points import error_curve

HERE = Path(__file__).parent
BEST_SHOWN, OPEN_SHOWN = 12, 24  # variants of the front, and of a table that is open at first
# The figures of the table of variants after its rates, by their titles.
SHOWN = {
    figures.LATENCY: "latency ms p50 [95 %]",
    figures.TIME: "ms a second of video",
    figures.ENERGY: "mJ an inference",
    figures.SPEEDUP: "speed-up",
    figures.SIZE: "engine MB",
    figures.PARAMS: "weights million",
    figures.MACS: "MACs million",
}

# The heat maps of a study, by the figure of its cells.
SERVED: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "people": ("people served", lambda value: digits.DASH if value is None else f"{value:.0f}"),
    "energy_mj_per_inference": ("mJ an inference", digits.significant),
}


@dataclass(frozen=True)
class Cell:
    """A cell of the table of variants. ``text`` is what it shows, ``value`` what its column sorts by ("" if unknown)."""

    text: str
    value: Any
    kind: str = "number"
    small: str = ""
    flags: list[str] = field(default_factory=list)


def render(rows: Sequence[Row], folders: Folders, out: Path, settings: Params) -> str:
    """The page as HTML.

    Args:
        rows: the variants.
        folders: where the stages wrote.
        out: the directory of the page, to which links are relative.
        settings: params.yaml.

    Raises:
        StageError: the installed Snakemake lacks Vega, which draws the charts.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    trainings = curves(folders, settings)
    conditions = words.conditions(rows)
    by_view = [row for row in rows if row.get("rank1_by_view")]
    retrieval = _retrieval(rows)
    pruned = pruning(folders, settings)
    layers_of = {name: [layer["layer"] for layer in content.get("table", [])] for name, content in pruned.items()}
    data = {
        "variants": _variants(rows, settings),
        "charts": _charts(rows, trainings),
        "by_view": _by_view(by_view, conditions),
    }
    return environment.from_string((HERE / "page.html").read_text(encoding="utf-8")).render(
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        vega=Markup(_vega()),
        data_of={name: Markup(_json(value)) for name, value in data.items()},
        devices=[_device(device, listed) for device, listed in by_device(rows).items()],
        machines=machines(rows),
        budget=answers.budget(settings.select),
        answers=answers.by_device(rows, settings.select),
        rows=rows,
        filters=_filters(rows),
        costs={cost: cost for cost in COSTS} | {"size": figures.SIZE.title},
        best_shown=BEST_SHOWN,
        columns=_columns(rows, conditions),
        cells=lambda row: _cells(row, conditions, retrieval),
        text_of=lambda row: " ".join(charts.description(row)).lower(),
        dataset=settings.dataset,
        data=words.data(rows),
        synthetic=any(row.get("data") == "synthetic" for row in rows),
        on_host=any(row.get("evidence") == "host" for row in rows),
        simulated=any(row.get("evidence") == "simulated" for row in rows),
        measured_at=words.measured_at(rows),
        protocol=_protocol(rows),
        averaged_percentile=any(
            row.get("settings", "prune", "mode") == "published" or row.get("settings", "prune", "scope") == "global"
            for row in rows
        ),
        retrieval=retrieval,
        layer_times=_layer_times(rows, layers_of),
        studies=[_study(row, row.study) for row in rows if row.study and not row.same_as],
        watched=live.tables(rows),
        open_set=_open_set(rows),
        open_shown=OPEN_SHOWN,
        lines=charts.LINES,
        cross_view=any(row.get("rank1_by_view") for row in rows),
        shares=lambda rates: digits.interval(*ends(rates), "percent"),
        rank1=words.rank1(rows),
        counts=words.counts(rows),
        by_view=by_view,
        pruning={name: {"table": [], "totals": {}, "warnings": []} | layers for name, layers in pruned.items()},
        curves={model: list(_metrics(curves_of)) for model, curves_of in _by_model(trainings).items()},
        averaged=POINTS if any(training.rows > POINTS for training in trainings) else None,
        links=lambda row: _links(row, folders, out),
        digits=digits,
        figures=figures,
        words=words,
    )


def _vega() -> str:
    """Vega's code, which Snakemake brings for its own reports."""
    from snakemake.assets import Assets

    try:
        return Assets.get_content("vega/vega.js")
    except (KeyError, OSError) as error:
        raise StageError(
            f"the installed Snakemake has no Vega, which draws the charts ({error}); install requirements.lock"
        ) from None


def _json(value: Any) -> str:
    """JSON that can stand in a page: nothing in it can end the script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _variants(rows: Sequence[Row], settings: Params) -> list[dict[str, Any]]:
    outstanding = {row.key for row in rows if row.optimal or (row.dense and row.key == row.dense.key)}
    for listed in by_device(rows).values():
        outstanding |= {row.key for row in answers.fastest(listed, settings.select)}
    return [{**point, "number": number} for number, point in enumerate(charts.points(rows, outstanding), start=1)]


def _charts(rows: Sequence[Row], trainings: Sequence[Curve]) -> dict[str, Any]:
    """Vega's specifications by name; None where there is nothing to draw."""
    specifications: dict[str, Any] = {}
    for device, listed in by_device([row for row in rows if not row.same_as]).items():
        specifications |= {f"pareto/{device}/{cost}": charts.pareto(listed, cost) for cost in COSTS}
        specifications[f"staircase/{device}"] = charts.staircase(listed)
        specifications[f"det/{device}"] = charts.det(listed)
    for model, curves_of in _by_model(trainings).items():
        specifications |= {f"curves/{model}/{metric}": charts.curves(curves_of, metric) for metric in _metrics(curves_of)}
    return specifications


def _by_model(trainings: Sequence[Curve]) -> dict[str, list[Curve]]:
    models = dict.fromkeys(training.model for training in trainings)
    return {model: [training for training in trainings if training.model == model] for model in models}


def _metrics(trainings: Sequence[Curve]) -> dict[str, None]:
    """The metrics of these trainings, the loss first."""
    return dict.fromkeys(
        sorted((metric for training in trainings for metric in training.metrics), key=lambda metric: metric != "loss")
    )


def _by_view(rows: Sequence[Row], conditions: Sequence[Condition]) -> dict[str, Any]:
    now = [condition for condition in conditions if not condition.later]
    titles = {
        condition.name: f"{condition.title}: {words.meaning(condition)}" for condition in now if words.meaning(condition)
    }
    order = [condition.name for condition in now]
    return {"tables": {row.key: row.get("rank1_by_view") for row in rows}, "order": order, "titles": titles}


def _device(device: str, listed: Sequence[Row]) -> dict[str, Any]:
    measured = [row for row in listed if not row.same_as]  # a ``best`` that stands for another variant does not count twice
    return {
        "name": device,
        "rows": measured,
        "optimal": sorted((row for row in measured if row.optimal), key=figures.TIME.of),
        "place": words.place(measured),
        "runtime": words.runtime(measured),
        "doubtful": any(row.get("evidence") in ("host", "simulated") for row in measured),
        "unsure": sorted({row.model for row in measured if row.speedup and not row.baseline_valid}),
        "missing_energy": _missing_energy(measured),
        "unlabelled": sum(not row.plotted for row in measured),
    }


def _missing_energy(rows: Sequence[Row]) -> str:
    """How many variants were measured without their energy, and why; "" if none."""
    reasons = [row.get("energy_reason") for row in rows if row.status == "ok" and figures.ENERGY.of(row) is None]
    known = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
    return f"{len(reasons)} of {len(rows)} variants: {known or 'no reason given'}" if reasons else ""


def _filters(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The properties by which the page filters variants, and the values of each."""
    keys = ("device", "model", "percentile", "precision", "verdict")
    return {key: list(dict.fromkeys(getattr(row, key) for row in rows)) for key in keys}


def _columns(rows: Sequence[Row], conditions: Sequence[Condition]) -> list[tuple[str, str]]:
    """The column titles of the table of variants, each with "text" or "number"."""
    numbers = ["mean rank-1 % [95 %]", "loss points [95 %]", *(condition.title for condition in conditions)]
    numbers += [*(figure.labelled for figure in _retrieval(rows)), *SHOWN.values()]
    return [("variant", "text"), ("device", "text"), ("verdict", "text"), *((title, "number") for title in numbers)]


def _retrieval(rows: Sequence[Row]) -> list[Figure]:
    """The measures of retrieval that a record has: those of protocols whose gallery is one list."""
    return [figure for figure in (figures.MAP, figures.MINP) if any(figure.of(row.shown) is not None for row in rows)]


def _cells(row: Row, conditions: Sequence[Condition], retrieval: Sequence[Figure]) -> list[Cell]:
    def number(text: str, value: Any, small: str = "") -> Cell:
        return Cell(text, "" if value is None else value, small=small if value is not None else "")

    def cell(figure: Figure, small: str = "") -> Cell:
        return number(figure.text(shown), figure.of(shown), small)

    def rate(value: float | None) -> Cell:
        return number(digits.percent(value), value)

    shown = row.shown
    latencies = (figure.of(shown) for figure in (figures.LATENCY_LOW, figures.LATENCY_HIGH))
    intervals = {figures.LATENCY: digits.interval(*latencies)}
    # A number before the letters, so that p5 is sorted before p30.
    name = f"{row.model} {row.percentile:08.3f} {row.precision}"
    flags = [row.verdict] + (["simulated"] if row.get("evidence") == "simulated" else [])
    return [
        Cell(row.name, name, "text"),
        Cell(row.device, row.device, "text"),
        Cell("", row.verdict, "text", small=_evidence(row), flags=flags),
        cell(figures.RANK1, digits.interval(*shown.rank1_interval, "percent")),
        cell(figures.LOSS, digits.interval(figures.LOSS_LOW.of(shown), figures.LOSS_HIGH.of(shown), "points")),
        *(rate(shown.rank1_of(condition).get("rate")) for condition in conditions),
        *(cell(figure) for figure in retrieval),
        *(cell(figure, intervals.get(figure, "")) for figure in SHOWN),
    ]


def _evidence(row: Row) -> str:
    return f"{words.EVIDENCE[row.get('evidence')]}, {row.get('data')}" if row.get("evidence") else ""


def _layer_times(rows: Sequence[Row], layers_of: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """A table for each device and model: a line for each layer, a column for each variant whose nodes were timed."""
    timed: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.get("nodes") and not row.same_as and layers_of.get(row.pruned):
            timed.setdefault((row.device, row.model), []).append(row)
    tables = []
    for (device, model), columns in timed.items():
        times = [by_layer(row.get("nodes"), layers_of[row.pruned]) for row in columns]
        names = dict.fromkeys(name for row in columns for name in layers_of[row.pruned])
        lines = [(name, [_of_all(part.layers.get(name), part) for part in times]) for name in names]
        lines = [(name, cells) for name, cells in lines if any(cell["share"] for cell in cells)]
        lines.append(("all else", [_of_all(part.rest, part) | {"words": part.rest_in_words()} for part in times]))
        lines.append(("sum", [_of_all(part.total, part) | {"share": 0} for part in times]))
        tables.append({"device": device, "model": model, "columns": columns, "lines": lines})
    return tables


def _of_all(ms: float | None, times: LayerTimes) -> dict[str, Any]:
    """A cell of the table of layers: its time, and its share of the engine's."""
    share = (ms or 0) / times.total if times.total else 0
    return {"text": digits.significant(ms), "share": round(share, 3), "words": f"{share:.0%} of the engine's time"}


def _study(row: Row, study: Mapping[str, Any]) -> dict[str, Any]:
    """The heat maps of a study of people served: lines of cells, each with its text and its share of the greatest value."""
    cells = {(cell["streams"], cell["batch"]): cell for cell in study["cells"]}
    maps = []
    for key, (title, written) in SERVED.items():
        values = [cell.get(key) for cell in study["cells"] if cell.get(key) is not None]
        if not values:
            continue
        lines = [
            [_shaded(cells[streams, batch], key, written, max(values)) for batch in study["batches"]]
            for streams in study["streams"]
        ]
        maps.append({"title": title, "lines": list(zip(study["streams"], lines, strict=True))})
    return {"row": row, "study": study, "maps": maps}


def _shaded(cell: Mapping[str, Any], key: str, written: Callable[[float | None], str], most: float) -> dict[str, Any]:
    value = cell.get(key)
    if value is None:
        return {"text": digits.DASH, "share": 0, "words": cell.get("reason") or "not measured"}
    latency = f"99 % within {digits.significant(cell['p99_ms'])} ms; " if cell.get("p99_ms") is not None else ""
    words_of = f"{latency}at most {digits.significant(cell['throughput_per_s'])} inferences/s"
    return {"text": written(value), "share": round(value / (most or 1), 3), "words": words_of}


def _open_set(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The variants that were tested with strangers, the false accept rates that something is promised of, and the curves."""
    tested = [row for row in rows if row.get("accuracy", "open_set") and not row.same_as]
    rates = {promise["far"] for row in tested for promise in row.get("accuracy", "open_set", "promised")}
    curves_of = [_error_curves(device, listed) for device, listed in by_device(tested).items()]
    drawn = [chart for chart in curves_of if chart]
    return {"rows": tested, "rates": sorted(rates, reverse=True), "curves": drawn} if tested else None


def _error_curves(device: str, rows: Sequence[Row]) -> dict[str, Any] | None:
    """What the page says of the error curves of a device's variants; None if no record has one."""
    curve_of = {row.key: errors for row in rows if (errors := error_curve(row))}
    if not curve_of:
        return None
    tried = [row.get("accuracy", "open_set", "trials") for row in rows if row.key in curve_of]
    behind = {}
    for kind in ("strangers", "enrolled"):
        fewest, most = (end(trials[kind] for trials in tried) for end in (min, max))
        counts = dict.fromkeys((f"{fewest:,}", f"{most:,}"))
        shares = dict.fromkeys(f"{100 / count:.2g}" for count in (most, fewest))
        behind[kind] = {"count": digits.DASH.join(counts), "share": digits.DASH.join(shares)}
    without = sum(not errors.far for errors in curve_of.values())
    return {"device": device, "behind": behind, "variants": len(curve_of), "without": without}


def _protocol(rows: Sequence[Row]) -> dict[str, Any]:
    """The protocol of the newest record with a time."""
    measured = [row for row in rows if row.get("protocol") and row.get("latency_ms")]
    return dict(max(measured, key=lambda row: row.get("measured_at") or "").get("protocol")) if measured else {}


def _links(row: Row, folders: Folders, out: Path) -> list[tuple[str, str]]:
    """The files that the stages wrote for a variant: (stage, address relative to the page)."""
    files = {
        "train": folders.train / row.model / "metrics.json",
        "prune": folders.prune / row.pruned / "metrics.json",
        "finetune": folders.finetune / row.pruned / "metrics.json",
        "export": folders.export / row.pruned / "metrics.json",
        "quantize": folders.quantize / row.folder / "metrics.json",
        "build": folders.build / row.key / "build.json",
        "benchmark": row.path,
        "recognise": folders.recognise / f"{row.key}.json",
    }
    return [(stage, Path(os.path.relpath(file, out)).as_posix()) for stage, file in files.items()]
