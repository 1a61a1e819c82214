"""The figures of a variant, each once: its name, its place in the record, its unit, which way is better, how it is written.

The table on the terminal, the page, its charts, the pictures, LaTeX, CSV, DVC's metrics, MLflow, ``select`` and the card of
a bundle take them from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gaitpress.results import digits

if TYPE_CHECKING:
    from gaitpress.results.records import Row


@dataclass(frozen=True)
class Figure:
    """A number that is known of a variant.

    Attributes:
        name: in variants.csv, in DVC's metrics and in MLflow.
        path: where it stands in the record.
        title: what it is, for people.
        unit: in which people are shown it.
        scale: how many of the record's units that is.
        better: which way is; None where neither is.
        written: how its value is written, in that unit.
        computed: how it follows from the row, where no place of the record has it.
    """

    name: str
    path: tuple[str, ...] = ()
    title: str = ""
    unit: str = ""
    scale: float = 1.0
    better: Literal["less", "more"] | None = None
    written: Callable[[float | None], str] = digits.significant
    computed: Callable[[Row], Any] | None = None

    def of(self, row: Row) -> Any:
        """Its value, in the record's unit; None if it is not known."""
        return self.computed(row) if self.computed else row.get(*self.path)

    def scaled(self, row: Row) -> float | None:
        """Its value in the unit that people are shown."""
        value = self.of(row)
        return None if value is None else value / self.scale

    def text(self, row: Row) -> str:
        """Its value as people are shown it, without the unit; a dash if it is not known."""
        return self.written(self.scaled(row))

    def limit(self, value: float) -> str:
        """A value, in the record's unit, in which limits and their breaches are written."""
        unit = "point" if self.unit == "points" and value == 1 else self.unit
        return f"{value / self.scale:.4g} {unit}".rstrip()

    @property
    def labelled(self) -> str:
        """Title and unit, as on an axis."""
        return f"{self.title} ({self.unit})"


def _energy_per_video_second(row: Row) -> float | None:
    one, rate = ENERGY.of(row), row.get("signature", "inferences_per_video_second")
    return None if one is None or rate is None else round(one * rate, 5)


def _of_loss(name: str, part: str, **words: Any) -> Figure:
    """A figure of a part of a variant's loss, such as its upper end; None where the loss is not known."""
    return Figure(name, unit="points", written=digits.points, computed=lambda row: getattr(row.loss, part, None), **words)


RANK1 = Figure("rank1_mean", ("accuracy", "rank1", "mean"), "mean rank-1", "%", better="more", written=digits.percent)
RANK1_LOW = Figure("rank1_mean_low", unit="%", written=digits.percent, computed=lambda row: row.rank1_interval[0])
RANK1_HIGH = Figure("rank1_mean_high", unit="%", written=digits.percent, computed=lambda row: row.rank1_interval[1])
# Against the dense network: the same model's at percentile 0 in fp32 on the same device.
LOSS = _of_loss("rank1_loss", "points", title="loss against dense", better="less")
LOSS_LOW = _of_loss("rank1_loss_low", "low")
LOSS_HIGH = _of_loss("rank1_loss_high", "high", title="upper end of the loss against dense", better="less")
MAP = Figure("mean_average_precision", ("accuracy", "mAP", "mean"), "mAP", "%", better="more", written=digits.percent)
MINP = Figure("mean_inverse_penalty", ("accuracy", "mINP", "mean"), "mINP", "%", better="more", written=digits.percent)
EER = Figure(
    "equal_error_rate", ("accuracy", "open_set", "eer"), "equal error rate", "%", better="less", written=digits.percent
)
TAR = Figure(
    "tar_at_far_1",
    title="TAR at FAR 1 %",
    unit="%",
    better="more",
    written=digits.percent,
    computed=lambda row: row.promise(1).get("tar", {}).get("rate"),
)
PEOPLE = Figure("people", ("accuracy", "rank1", "people"), "people tested")
PROBES = Figure("probes", ("accuracy", "rank1", "probes"), "probes")
LATENCY = Figure("latency_p50_ms", ("latency_ms", "p50"), "latency", "ms", better="less")
LATENCY_LOW = Figure("latency_p50_low_ms", ("latency_ms", "p50_low"), unit="ms")
LATENCY_HIGH = Figure("latency_p50_high_ms", ("latency_ms", "p50_high"), unit="ms")
LATENCY_P90 = Figure("latency_p90_ms", ("latency_ms", "p90"), "latency, 90th percentile", "ms", better="less")
LATENCY_P99 = Figure("latency_p99_ms", ("latency_ms", "p99"), "latency, 99th percentile", "ms", better="less")
LATENCY_MEAN = Figure("latency_mean_ms", ("latency_ms", "mean"), "latency, mean", "ms", better="less")
LATENCY_COV = Figure("latency_cov", ("latency_ms", "cov"), "coefficient of variation of the latency", better="less")
THROUGHPUT = Figure("throughput_per_s", ("throughput_per_s",), "inferences a second", better="more")
MOST = Figure("most_per_s", title="inferences a second, best batch", computed=lambda row: (row.most_at_once or (None,))[0])
MOST_BATCH = Figure("most_per_s_batch", title="that batch", computed=lambda row: (row.most_at_once or (0, None))[1])
TIME = Figure("ms_per_video_second", ("ms_per_video_second",), "computing time a second of video", "ms", better="less")
ENERGY = Figure("energy_mj_per_inference", ("energy_mj_per_inference",), "energy", "mJ", better="less")
ENERGY_PER_VIDEO_SECOND = Figure(
    "energy_mj_per_video_second",
    title="energy a second of video",
    unit="mJ",
    better="less",
    computed=_energy_per_video_second,
)
SPEEDUP = Figure("speedup", title="speed-up", better="more", written=digits.times, computed=lambda row: row.speedup)
SIZE = Figure("engine_bytes", ("size", "engine_bytes"), "size of the engine", "MB", 1e6, better="less")
ONNX_SIZE = Figure("onnx_bytes", ("size", "onnx_bytes"), "size of the network", "MB", 1e6, better="less")
PARAMS = Figure("params", ("size", "params"), "weights", "million", 1e6, better="less")
MACS = Figure("macs", ("size", "macs"), "multiply-adds", "million", 1e6, better="less")

# What a rank-1 costs: the fronts, the page's charts.
COSTS = {"time": TIME, "energy": ENERGY_PER_VIDEO_SECOND, "size": SIZE}
# Of variants.csv: how well an engine recognises, and what it takes.
RATES = (RANK1, RANK1_LOW, RANK1_HIGH, LOSS, LOSS_LOW, LOSS_HIGH, MAP, MINP, TAR, EER, PEOPLE, PROBES)
MEASURED = (
    *(LATENCY, LATENCY_LOW, LATENCY_HIGH, LATENCY_P90, LATENCY_P99, LATENCY_MEAN, LATENCY_COV),
    *(THROUGHPUT, MOST, MOST_BATCH, TIME, ENERGY, SPEEDUP, SIZE, ONNX_SIZE, PARAMS, MACS),
)
# Of a run in MLflow, whose comparison begins with the first.
TRACKED = (
    *(RANK1, RANK1_LOW, RANK1_HIGH, TIME, LATENCY, LATENCY_LOW, LATENCY_HIGH, LATENCY_P90, LATENCY_P99, LATENCY_COV),
    *(THROUGHPUT, ENERGY, SIZE, ONNX_SIZE, PARAMS, MACS, MAP, MINP, TAR, EER),
)
# The same, of figures that follow from other runs too: they change for a run that is logged already.
RELATIVE = (SPEEDUP, LOSS, LOSS_LOW, LOSS_HIGH)
MAIN = (RANK1, LATENCY, ENERGY, SIZE)  # in DVC's metrics
