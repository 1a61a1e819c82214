"""What MLflow's pages show of an experiment of ours: the current runs, useful columns and charts of the trade-off.

MLflow keeps a view that somebody shares as a tag of the experiment, and an address names its key. Names and values here are
those of its pages (3.17): searchFilter to datasetsFilter choose the runs, the others what is shown of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gaitpress.params import Params
from gaitpress.results.figures import ENERGY, LATENCY, RANK1, SIZE, SPEEDUP, TIME
from tracking.server import CURRENT, RUNS_PAGE

SECTION = "Trade-off"
# The sections that MLflow makes of all metrics by the part of their names before a slash; the last has those without one.
OTHER_SECTIONS = ("finetuning", "training", "Model metrics")
COLUMNS = {
    "metrics": tuple(figure.name for figure in (RANK1, TIME, LATENCY, SPEEDUP, ENERGY, SIZE)),
    "params": ("model", "percentile", "precision", "device"),
    "tags": ("pareto_optimal", "valid", "evidence", "data"),
}


def state(settings: Params) -> dict[str, Any]:
    """The view of the runs that params.yaml describes, as MLflow's pages write it themselves."""
    lists: dict[str, Sequence[Any]] = {
        "model": settings.models,
        "percentile": settings.prune.percentiles,
        "precision": settings.precisions,
        "device": settings.devices,
    }
    varied = [name for name, values in lists.items() if len(values) > 1]
    return {
        "searchFilter": CURRENT,
        "orderByKey": _column("metrics", RANK1.name),
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [_column(kind, name) for kind, names in COLUMNS.items() for name in names],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts(varied),
        "compareRunSections": _sections(),
        "isAccordionReordered": True,  # or the sections are sorted by name
        "hideEmptyCharts": True,
    }


def key(shared: Mapping[str, Any]) -> str:
    """What names a view in addresses: another view has another key, so an address always shows the same."""
    return f"gaitpress-{hashlib.sha256(_text(shared).encode()).hexdigest()[:8]}"


def tag(shared: Mapping[str, Any]) -> tuple[str, str]:
    """Name and value of the experiment's tag by which MLflow knows a view."""
    return f"mlflow.sharedViewState.{key(shared)}", _text(shared)


def address(base: str, experiment_id: str, shared: Mapping[str, Any] | None = None, charts: bool = False) -> str:
    """Where an interface shows the runs of an experiment: in a view or as the reader left them, as charts or as a table."""
    options = {}
    if charts:
        options["compareRunsMode"] = "CHART"
    if shared is not None:
        options["viewStateShareKey"] = key(shared)
    return "&".join([f"{base.rstrip('/')}/{RUNS_PAGE.format(experiment_id)}", *(f"{k}={v}" for k, v in options.items())])


def _text(shared: Mapping[str, Any]) -> str:
    return json.dumps(shared, sort_keys=True, separators=(",", ":"))


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _charts(varied: Sequence[str]) -> list[dict[str, Any]]:
    """One line a run through all that varies, time and rank-1; then rank-1 against time, the percentile and the size."""
    metrics = [TIME.name, RANK1.name]
    parallel = {"type": "PARALLEL", "selectedParams": list(varied), "selectedMetrics": metrics, "showAllRuns": False}
    against = [_scatter("METRIC", TIME.name), _scatter("PARAM", "percentile"), _scatter("METRIC", SIZE.name)]
    common = {"metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    return [{"uuid": f"chart-{number}", **common, **chart} for number, chart in enumerate([parallel, *against])]


def _scatter(kind: str, name: str) -> dict[str, Any]:
    return {
        "type": "SCATTER",
        "xaxis": {"key": name, "type": kind, **({"dataAccessKey": name} if kind == "METRIC" else {})},
        "yaxis": {"key": RANK1.name, "type": "METRIC", "dataAccessKey": RANK1.name},
        "runsCountToCompare": 100,
    }


def _sections() -> list[dict[str, Any]]:
    """Ours, and below it those of all metrics, closed."""
    common = {"isReordered": False, "deleted": False, "isGenerated": False}
    ours = {"uuid": SECTION, "name": SECTION, "display": True, "columns": 2, "cardHeight": 400, **common}
    return [ours, *({"uuid": name, "name": name, "display": False, **common} for name in OTHER_SECTIONS)]
