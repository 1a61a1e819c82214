"""The records of the variants that params.yaml lists, and how these variants compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gaitpress import outputs
from gaitpress.errors import StageError
from gaitpress.params import Params
from gaitpress.results.figures import COSTS, LATENCY, RANK1
from gaitpress.results.folders import Folders
from gaitpress.results.losses import Loss, loss_of
from gaitpress.results.pareto import front
from gaitpress.variant import Variant

if TYPE_CHECKING:
    from gait.people import ByPerson

K = TypeVar("K", bound=Hashable)
STUDY = "study.json"  # in the variant's folder of studies


class Condition(NamedTuple):
    """A walking condition.

    Attributes:
        name: as the dataset has it, such as "nm".
        later: whether TUM-GAID recorded these walks months later.
    """

    name: str
    later: bool = False

    @property
    def title(self) -> str:
        """The title of its column, such as "NM"."""
        return self.name.upper() + " LATER" * self.later


@dataclass(frozen=True)
class Row(Variant):
    """A variant and its record.

    Attributes:
        path: the file of its benchmark record, which may be missing.
        record: that record, with the rates of the same engine; a missing record has a stand-in with ``status: missing``.
        by_person: the hits of each test person, as recognise wrote them; not in ``record``, which is shipped and logged.
            Empty if the record was made before they were kept, None if there is none.
        study: how many people the device serves with this engine, as ``serve-study`` measured it; None if nobody did.
        watched: how live recognition went there with this engine, as ``watch-study`` measured it; None if nobody did.
        dense: the row of its dense network: the same model's at percentile 0 in fp32 on this device; None if its rank-1 is
            not known.
        speedup: how many times faster than the same model's unpruned fp32 on this device; None if unknown.
        baseline_valid: whether that baseline's times are valid.
        fronts: the keys of COSTS by which it is Pareto-optimal: no other valid variant on this device beats it in both that
            cost and rank-1.
        own_fronts: the same among the variants of its model.
        drawbacks: why a lower precision is not worth it, whatever its figures: slower than fp32, or too much less accurate.
        same_as: for ``best`` on a device whose runtime mixes no precisions, the measured variant that it stands for. The two
            share an engine, which counts once. None for all other rows, and where no variant can be named.
        choice: for such a ``best``, which variant that is and why, or why none can be named; "" for all other rows.
    """

    path: Path
    record: Mapping[str, Any]
    by_person: Mapping[str, Any] | None = None
    study: Mapping[str, Any] | None = None
    watched: Mapping[str, Any] | None = None
    dense: Row | None = None
    speedup: float | None = None
    baseline_valid: bool = True
    fronts: frozenset[str] = frozenset()
    own_fronts: frozenset[str] = frozenset()
    drawbacks: tuple[str, ...] = ()
    same_as: Row | None = None
    choice: str = ""

    @property
    def stage(self) -> str:
        """The address of its benchmark on DVC's command line, such as "benchmark@local-gaitset-30-int8"."""
        return self.address("benchmark")

    @property
    def status(self) -> str:
        """ok, failed, skipped or missing."""
        return self.record["status"]

    @property
    def valid(self) -> bool:
        return self.status == "ok" and bool(self.record["valid"])

    @property
    def eligible(self) -> bool:
        """Whether it may be on a front and `select` may choose it."""
        return self.valid and not self.drawbacks

    @property
    def shown(self) -> Row:
        """The row whose figures stand in its line of a table: itself or, for ``best``, the variant that it stands for."""
        return self.same_as or self

    @property
    def reasons(self) -> list[str]:
        """Why the variant failed, was skipped, is missing, has times that should not be used, or is not worth it."""
        if self.same_as:
            return [self.choice]
        if self.status != "ok":
            return [self.record["reason"], *([self.choice] if self.choice else [])]
        return [*self.record["invalid_reasons"], *self.drawbacks]

    @property
    def verdict(self) -> str:
        """Pareto-optimal, valid, rejected, invalid, failed, skipped or missing; or the precision it stands for: "= int8"."""
        if self.same_as:
            return f"= {self.same_as.precision}"
        if self.status != "ok":
            return self.status
        if not self.eligible:
            return "rejected" if self.valid else "invalid"
        return "Pareto-optimal" if self.optimal else "valid"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that it was made and measured with, by section; params.yaml may have others by now.

        Raises:
            StageError: its record does not say.
        """
        settings = self.get("settings")
        if settings is None:
            raise StageError(f"{self.path}: does not say what it was made with; run `dvc repro {self.stage}`")
        return dict(settings)

    @property
    def optimal(self) -> bool:
        """Whether it is on its device's front of rank-1 against time, to which verdicts refer."""
        return "time" in self.fronts

    @property
    def plotted(self) -> bool:
        """Whether it has a time and an accuracy to show."""
        return self.has("time")

    def has(self, cost: str) -> bool:
        """Whether it has an accuracy and this cost, a key of COSTS, to show."""
        values = COSTS[cost].of(self), self.rank1
        return self.status == "ok" and all(value is not None and math.isfinite(value) for value in values)

    @property
    def rank1(self) -> Any:
        """Mean rank-1 of the engine, in %; None if it is not known."""
        return RANK1.of(self)

    @property
    def rank1_interval(self) -> tuple[float | None, float | None]:
        """The 95 % interval of the mean rank-1, in %."""
        return ends(self.get("accuracy", "rank1"))

    def promise(self, far: float) -> Mapping[str, Any]:
        """What is promised at a false accept rate in %, in the form of :mod:`gait.evaluation.open_set`; empty if nothing."""
        promised = self.get("accuracy", "open_set", "promised") or ()
        return next((promise for promise in promised if promise["far"] == far), {})

    @property
    def deployed_open_set(self) -> Mapping[str, Any]:
        """How a camera that enrols and identifies tells strangers: what :mod:`gait.evaluation.open_set` says, if known."""
        return self.get("accuracy", "open_set_all_views") or self.get("accuracy", "open_set") or {}

    @cached_property
    def hits_of_people(self) -> ByPerson:
        """The hits of each test person, where the record has them.

        Raises:
            StageError: they are damaged.
        """
        from gait.errors import DataError
        from gait.people import ByPerson

        try:
            return ByPerson.from_json(self.by_person or {})
        except DataError as error:
            again = f"`dvc repro -f -s {self.address('recognise')}`"
            raise StageError(f"the rates of {self.key}: {error}; measure them again: {again}") from None

    @cached_property
    def loss(self) -> Loss | None:
        """How far its mean rank-1 is below that of its dense network; None if it is not known."""
        return loss_of(self, self.dense)

    @property
    def conditions(self) -> list[Condition]:
        """The walking conditions whose rank-1 the record has."""
        now, later = (self.get("accuracy", *path, "rank1", "conditions") or {} for path in ((), ("temporal",)))
        return [*(Condition(name) for name in now), *(Condition(name, later=True) for name in later)]

    def rank1_of(self, condition: Condition) -> Mapping[str, Any]:
        """Rank-1 in a condition: ``rate`` in %, ``interval``, ``people`` and ``probes``; empty if it is not known."""
        path = ("temporal",) if condition.later else ()
        return self.get("accuracy", *path, "rank1", "conditions", condition.name) or {}

    @property
    def most_at_once(self) -> tuple[float, int] | None:
        """The most inferences a second of all timed batches, and the size of that batch; None if no batch was timed."""
        timed = [(entry["inferences_per_s"], entry["batch"]) for entry in self.get("sweep") or () if entry["reason"] is None]
        return max(timed, default=None)

    def get(self, *keys: str) -> Any:
        """A value of the record by its path, such as ``get("latency_ms", "p50")``; None if it is not there."""
        value: Any = self.record
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def ends(rates: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    """The ends of the interval of these rates; None, None where they have none."""
    low, high = (rates or {}).get("interval") or (None, None)
    return low, high


def of_condition(condition: Condition, rates: Mapping[str, Any], measure: str = "rank1") -> dict[str, Any]:
    """The figures of a condition by flat names, such as "rank1/nm"; only the names of a condition's figures have a slash."""
    low, high = ends(rates)
    figures = {measure: rates.get("rate"), f"{measure}_low": low, f"{measure}_high": high}
    figures |= {"people": rates.get("people"), "probes": rates.get("probes")} if measure == "rank1" else {}
    return {f"{'temporal_' * condition.later}{figure}/{condition.name}": value for figure, value in figures.items()}


def load(folders: Folders, settings: Params) -> list[Row]:
    """The rows of all variants that params.yaml lists, in its order; it ignores the records of other variants.

    Raises:
        StageError: no record exists, or one is damaged.
    """
    rows = [
        _row(folders, Variant(device, model, percentile, precision), settings.dataset)
        for device in settings.devices
        for model in settings.models
        for percentile in settings.prune.percentiles
        for precision in settings.precisions
    ]
    if all(row.status == "missing" for row in rows):
        raise StageError(f"{folders.benchmark}: holds no record of the variants in params.yaml; run `dvc repro`")
    compared = list(_compared(_with_drawbacks(rows, settings.report.max_loss)))
    return list(_with_choices(compared, settings.report.max_loss))


def _row(folders: Folders, variant: Variant, dataset: str) -> Row:
    path = folders.benchmark / f"{variant.key}.json"
    row = Row(**asdict(variant), path=path, record={})
    if not path.exists():
        return replace(row, record=_missing(f"not measured yet: `dvc repro {row.stage}`"))
    row = replace(row, record=_read(path, variant, "benchmark", dataset))
    study = _of_engine(folders.serve / variant.key / STUDY, row.get("engine"))
    if study and all(cell["people"] is None for cell in study["cells"]):
        study = None  # no cell of it could be measured
    row = replace(row, study=study, watched=_of_engine(folders.watch / f"{variant.key}.json", row.get("engine")))
    return _with_rates(row, folders.recognise / f"{variant.key}.json", variant, dataset)


def _of_engine(path: Path, engine: Any) -> Mapping[str, Any] | None:
    """What a command measured of the engine that was timed; None if there is nothing, or it is of a former engine."""
    measured = outputs.read_json(path) if path.exists() else {}
    return measured if measured.get("engine") == engine else None


def _with_rates(row: Row, path: Path, variant: Variant, dataset: str) -> Row:
    """The row of a benchmark record with the rates of the engine that it measured."""
    record = dict(row.record)
    none = {"accuracy": None, "rank1_by_view": None}
    if record["status"] != "ok":
        return replace(row, record=record | none)
    again = f"`dvc repro {variant.address('recognise')}`"
    if not path.exists():
        reasons = [*record["invalid_reasons"], f"its accuracy is not measured yet: {again}"]
        return replace(row, record=record | none | {"valid": False, "invalid_reasons": reasons})
    recognised = _read(path, variant, "recognise", dataset)
    if recognised["engine"] != record["engine"]:
        raise StageError(f"{path}: is of another engine than was timed; run {again}")
    if recognised["status"] != "ok":
        failed = {"status": recognised["status"], "reason": recognised["reason"], "valid": False}
        failed["invalid_reasons"] = [f"{recognised['status']}: {recognised['reason']}"]
        return replace(row, record=record | none | failed)
    if "settings" in record:
        record["settings"]["test"] = recognised["settings"]
    rates = {key: recognised[key] for key in none}
    return replace(row, record=record | rates, by_person=recognised.get("rank1_by_person", {}))


def _read(path: Path, variant: Variant, stage: str, dataset: str) -> dict[str, Any]:
    record = outputs.read_json(path)
    expected = {**asdict(variant), "dataset": dataset}
    if not isinstance(record, dict) or record.get("variant") != expected or "status" not in record:
        address = variant.address(stage)
        raise StageError(f"{path}: is not the record of {expected}; measure it again: `dvc repro -f -s {address}`")
    return record


def _missing(reason: str) -> dict[str, Any]:
    return {"status": "missing", "reason": reason, "valid": False, "invalid_reasons": [reason]}


def _with_drawbacks(rows: Sequence[Row], max_loss: float) -> list[Row]:
    """The rows, each lower precision with its drawbacks against fp32 of the same network on the same device.

    Invalid times do not affect an accuracy, so accuracies are always compared, and times only where both are valid.
    """
    full = {_network(row): row for row in rows if row.precision == "fp32" and row.status == "ok"}
    compared = []
    for row in rows:
        fp32 = full.get(_network(row))
        if fp32 and row.precision != "fp32" and row.status == "ok":
            row = replace(row, drawbacks=_drawbacks(row, fp32, max_loss))
        compared.append(row)
    return compared


def _network(row: Row) -> tuple[str, str, int | float]:
    """The key that all precisions of a network on a device share."""
    return row.device, row.model, row.percentile


def _drawbacks(row: Row, fp32: Row, max_loss: float) -> tuple[str, ...]:
    drawbacks = []
    latency, fp32_latency = LATENCY.of(row), LATENCY.of(fp32)
    if row.valid and fp32.valid and latency and fp32_latency and latency > fp32_latency:
        drawbacks.append(f"slower than fp32: {latency:.4g}, not {fp32_latency:.4g} ms")
    if row.rank1 is not None and fp32.rank1 is not None and fp32.rank1 - row.rank1 > max_loss:
        drawbacks.append(_loss(row, fp32, max_loss))
    return tuple(drawbacks)


def _loss(row: Row, fp32: Row, max_loss: float) -> str:
    loss = f"mean rank-1 is {fp32.rank1 - row.rank1:.1f} points below that of fp32"
    return f"{loss}, more than report.max_loss = {max_loss:g}"


def _with_choices(rows: Sequence[Row], max_loss: float) -> Iterator[Row]:
    """The rows, each skipped ``best`` with the measured precision of its network that it stands for on its device.

    A device skips ``best`` where its runtime mixes no precisions; elsewhere ``best`` is measured like any other engine.
    """
    networks = _grouped([row for row in rows if row.precision != "best"], _network)
    for row in rows:
        if row.precision == "best" and row.status == "skipped":
            same_as, choice = _fastest(networks.get(_network(row), []), max_loss)
            row = replace(row, same_as=same_as, choice=choice)
        yield row


def _fastest(rows: Sequence[Row], max_loss: float) -> tuple[Row | None, str]:
    """The fastest of a network's precisions that loses at most ``max_loss``, and the reason; or None and the reason."""
    fp32 = next((row for row in rows if row.precision == "fp32"), None)
    unfit = {row.precision: fault for row in rows if (fault := _unfit(row, fp32, max_loss))}
    left_out = "".join(f"; {precision} is left out: {fault}" for precision, fault in unfit.items())
    if not (fit := [row for row in rows if row.precision not in unfit]):
        return None, f"none of the other precisions can be named as the best{left_out}"
    fastest = min(fit, key=COSTS["time"].of)
    only = sum(row.status == "ok" for row in rows) == 1
    return fastest, f"best = {fastest.precision} (the {'only one' if only else 'fastest'} measured){left_out}"


def _unfit(row: Row, fp32: Row | None, max_loss: float) -> str | None:
    """Why a precision cannot be the best, whatever the others are; None if it can. An unknown loss counts as too much."""
    if row.status != "ok":
        return f"{row.status}: {row.record['reason']}"
    if not row.valid:
        return f"it is not valid ({'; '.join(row.record['invalid_reasons'])})"
    if not row.has("time"):
        return "its time or its accuracy is unknown"
    if fp32 is None or fp32.rank1 is None:
        why = "is not among `precisions`" if fp32 is None else "has no accuracy"
        return f"how much it loses is unknown, for fp32 {why}"
    return _loss(row, fp32, max_loss) if fp32.rank1 - row.rank1 > max_loss else None


def _compared(rows: Sequence[Row]) -> Iterator[Row]:
    baselines = {
        (row.device, row.model): row for row in rows if row.percentile == 0 and row.precision == "fp32" and LATENCY.of(row)
    }
    denses = {
        (row.device, row.model): row
        for row in rows
        if row.percentile == 0 and row.precision == "fp32" and row.rank1 is not None
    }
    fronts = _members(by_device(rows).values())
    own_fronts = _members(_grouped(rows, lambda row: (row.device, row.model)).values())
    for row in rows:
        baseline = baselines.get((row.device, row.model))
        latency = LATENCY.of(row)
        yield replace(
            row,
            dense=denses.get((row.device, row.model)),
            speedup=round(LATENCY.of(baseline) / latency, 4) if baseline and latency else None,
            baseline_valid=baseline is None or baseline.valid,
            fronts=frozenset(cost for cost in COSTS if id(row) in fronts[cost]),
            own_fronts=frozenset(cost for cost in COSTS if id(row) in own_fronts[cost]),
        )


def _members(groups: Iterable[Sequence[Row]]) -> dict[str, set[int]]:
    """By cost, the ids of the rows that are on their group's front."""
    groups = list(groups)
    return {cost: {id(row) for group in groups for row in _front(group, cost)} for cost in COSTS}


def _front(rows: Sequence[Row], cost: str) -> list[Row]:
    """The Pareto-optimal rows; only eligible rows can be."""
    candidates = [row for row in rows if row.eligible and row.has(cost)]
    points = [(COSTS[cost].of(row), row.rank1) for row in candidates]
    return [candidates[position] for position in front(points)]


def by_device(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows by device, in their order."""
    return _grouped(rows, lambda row: row.device)


def _grouped(rows: Sequence[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    groups: dict[K, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
