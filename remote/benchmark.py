"""Turn the times of single queries into a measurement that says whether to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BOOTSTRAPS = 500
P99_FROM = 1000  # fewer samples hold no 99th percentile worth the name
MAX_DRIFT = 0.10
MOST_REPEATS = 3  # times as many as were asked for, on a machine whose speed wavers
# Cores that others may keep busy during a measurement: half a one, or a share of all.
OTHERS, OTHERS_SHARE = 0.5, 0.1
TIMES_ALONE = {"reason": "not measured: only times were asked for"}  # in place of energy and nodes


@dataclass(frozen=True)
class BenchmarkSettings:
    """How to measure.

    Attributes:
        batch: inferences a query.
        threads: threads of the runtime.
        warmup_s: the shortest warm-up of a repeat, in seconds.
        duration_s: shortest timed part of a repeat, in seconds.
        min_queries: least number of timed queries of all repeats together.
        repeats: number of processes, one after the other.
        max_cov: coefficient of variation above which a measurement counts as unstable.
        session: the number of the measuring session; a new number measures again.
        sweep: other numbers of inferences a query, with a short result for each.
    """

    batch: int
    threads: int
    warmup_s: float
    duration_s: float
    min_queries: int
    repeats: int
    max_cov: float
    session: int
    sweep: Sequence[int] = ()

    def as_protocol(self) -> dict[str, Any]:
        """The settings as the protocol of a record has them, in JSON's types."""
        return {**asdict(self), "sweep": list(self.sweep)}


@dataclass(frozen=True)
class Load:
    """How people ask, and how a device answers them.

    Attributes:
        batch: the most questions that are answered together.
        streams: batches that are answered at once.
        threads: of each stream.
        rate: questions a second of each person.
        limit_ms: of the 99th percentile of the latency, from question to answer.
        wait_ms: how long the first question of a batch may wait for others.
        duration_s: the shortest trial, in seconds.
    """

    batch: int
    streams: int
    threads: int
    rate: float
    limit_ms: float
    wait_ms: float
    duration_s: float


@dataclass(frozen=True)
class Timing:
    """A measurement of one engine.

    Attributes:
        latency_ms: times of a query: p50, p90, p99 (None below 1000 samples), mean, min, max, cov (standard deviation by
            mean), p50_low and p50_high (95 % bootstrap over repeats and samples), queries.
        throughput_per_s: inferences a second, one query after the other.
        invalid_reasons: why the times are invalid; empty if they are valid.
        conditions: the machine's state before and after.
        repeats: a summary of each process.
        protocol: how the measurement was done.
        energy: gross_mj and idle_subtracted_mj an inference with their scope, or None.
        energy_reason: why there is no energy figure, or None.
        nodes: ``nodes``: name, operator (``op``) and time a query (``ms``) of each node of the engine, in the order in which
            they run, from a run of its own, for looking at nodes costs time; or ``reason``: why there are none.
        sweep: for each batch of the settings' sweep, the result of :func:`swept` or :func:`not_swept`.
    """

    latency_ms: Mapping[str, Any]
    throughput_per_s: float
    invalid_reasons: Sequence[str]
    conditions: Mapping[str, Any]
    repeats: Sequence[Mapping[str, Any]]
    protocol: Mapping[str, Any]
    energy: Mapping[str, Any] | None
    energy_reason: str | None
    nodes: Mapping[str, Any]
    sweep: Sequence[Mapping[str, Any]]


def swept(batch: int, samples_ms: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """The result of a batch: the median of its queries in ms, and inferences a second."""
    times = np.asarray(samples_ms, np.float64)
    return {
        "batch": batch,
        "latency_ms": _round(np.median(times)),
        "inferences_per_s": _round(1000 * batch / times.mean()),
        "cov": _round(times.std() / times.mean()),
        "queries": len(times),
        "reason": None,
    }


def not_swept(batch: int, reason: str) -> dict[str, Any]:
    """The result of a batch that did not run."""
    return {"batch": batch, **dict.fromkeys(("latency_ms", "inferences_per_s", "cov")), "queries": 0, "reason": reason}


def latency(repeats: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Statistics of query times in ms, one sequence of samples a repeat."""
    pooled = np.concatenate([np.asarray(samples, np.float64) for samples in repeats])
    low, high = median_interval(repeats)
    return {
        "p50": _round(np.percentile(pooled, 50)),
        "p90": _round(np.percentile(pooled, 90)),
        "p99": _round(np.percentile(pooled, 99)) if len(pooled) >= P99_FROM else None,
        "mean": _round(pooled.mean()),
        "min": _round(pooled.min()),
        "max": _round(pooled.max()),
        "cov": _round(pooled.std() / pooled.mean()),
        "p50_low": _round(low),
        "p50_high": _round(high),
        "queries": len(pooled),
    }


def median_interval(repeats: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the pooled median: it draws repeats with replacement, then samples within each repeat.

    Times of one process resemble each other more than times of two, so resampling the pool alone would be too sure.
    """
    rng = np.random.default_rng(seed)
    samples = [np.asarray(repeat, np.float64) for repeat in repeats]
    medians = [
        np.median(
            np.concatenate([rng.choice(samples[i], len(samples[i])) for i in rng.integers(0, len(samples), len(samples))])
        )
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def drift(repeats: Sequence[Mapping[str, Any]]) -> float:
    """The share by which the slowest reference time of all repeats exceeds the fastest; 0 where there are none."""
    times = [repeat[key] for repeat in repeats for key in ("reference_ms_before", "reference_ms_after") if key in repeat]
    return max(times) / min(times) - 1 if times else 0.0


def calmest(repeats: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """The repeats whose slower reference time is the least, in the order in which they ran.

    Only the machine decides, never the network's own times: so a machine with a slow and a fast state is measured in the
    fast one, and a network that is slow by itself stays so.
    """
    slower = [max(repeat["reference_ms_before"], repeat["reference_ms_after"]) for repeat in repeats]
    return [repeats[place] for place in sorted(np.argsort(slower, kind="stable")[:count])]


def wanted(repeats: Sequence[Mapping[str, Any]], count: int) -> bool:
    """Whether a further repeat is wanted: there are fewer than ``count``, or the machine was not as fast in so many."""
    if len(repeats) < count:
        return True
    return len(repeats) < MOST_REPEATS * count and drift(calmest(repeats, count)) > MAX_DRIFT


def judge(statistics: Mapping[str, Any], reference_drift: float, max_cov: float) -> list[str]:
    """The reasons why a measurement is invalid; empty if it is valid."""
    reasons = []
    if statistics["cov"] > max_cov:
        reasons.append(f"unstable: coefficient of variation {statistics['cov']:.3g} is above {max_cov:g}")
    if reference_drift > MAX_DRIFT:
        reasons.append(
            f"drift: the fixed reference computation varied by {100 * reference_drift:.0f} % during the measurement "
            f"(limit {100 * MAX_DRIFT:.0f} %)"
        )
    return reasons


def disturbed(repeats: Sequence[Mapping[str, Any]], cores: int) -> list[str]:
    """The reasons by which the repeats themselves say that the machine was not at rest; empty if it was.

    Args:
        repeats: the agent's answers, one a process, or their summaries; TensorRT's say nothing of either.
        cores: of the machine.
    """
    reasons = []
    others = [repeat["others"] for repeat in repeats if repeat.get("others") is not None]
    limit = max(OTHERS, OTHERS_SHARE * cores)
    if others and max(others) > limit:
        reasons.append(
            f"busy: other programs took {max(others):.1f} of {cores} cores during the measurement (limit {limit:g}); "
            "end them, and measure again"
        )
    warmups = [repeat["warmup"] for repeat in repeats if "warmup" in repeat]
    if warmups and all(warmup["settled"] is False for warmup in warmups):
        seconds = max(warmup["seconds"] for warmup in warmups)
        reasons.append(f"not settled: the time of a query still changed after {seconds:.3g} s of warm-up, in all repeats")
    return reasons


def summary(repeat: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a repeat that a record keeps: everything but the single times."""
    samples = np.asarray(repeat["samples_ms"], np.float64)
    return {
        "p50": _round(np.median(samples)),
        "mean": _round(samples.mean()),
        "cov": _round(samples.std() / samples.mean()),
        "queries": len(samples),
        **{key: repeat[key] for key in ("warmup", "reference_ms_before", "reference_ms_after", "others")},
    }


def timing(
    repeats: Sequence[Mapping[str, Any]],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    energy: Mapping[str, Any],
    nodes: Mapping[str, Any],
    sweep: Sequence[Mapping[str, Any]],
    settings: BenchmarkSettings,
    protocol: Mapping[str, Any],
    cores: int,
) -> Timing:
    """Put the answers of the agent together.

    Args:
        repeats: the agent's answers, one a process; of more than were asked for, the calmest count.
        before: the machine's conditions before the first repeat.
        after: the machine's conditions after the last repeat.
        energy: the agent's answer to the energy run.
        nodes: the agent's answer about the nodes of the engine.
        sweep: the results of other batches.
        settings: the settings of the measurement.
        protocol: entries that the runtime adds to the protocol.
        cores: of the machine.
    """
    calm = calmest(repeats, settings.repeats)
    statistics = latency([repeat["samples_ms"] for repeat in calm])
    reference_drift = drift(calm)
    return Timing(
        latency_ms=statistics,
        throughput_per_s=_round(1000 * settings.batch / statistics["mean"]),
        invalid_reasons=[*judge(statistics, reference_drift, settings.max_cov), *disturbed(calm, cores)],
        conditions={
            "load_before": before["load"],
            "load_after": after["load"],
            "free_memory_mb": before["free_memory_mb"],
            "cpu_mhz_before": before["cpu_mhz"],
            "cpu_mhz_after": after["cpu_mhz"],
            "governor": before["governor"],
            "temperature_c": after["temperature_c"],
            "reference_ms_before": calm[0]["reference_ms_before"],
            "reference_ms_after": calm[-1]["reference_ms_after"],
            "reference_drift": _round(reference_drift),
            "repeats_left_out": len(repeats) - len(calm),
            "unreadable": {**before["unreadable"], **after["unreadable"]},
        },
        repeats=[summary(repeat) for repeat in calm],
        protocol={
            **settings.as_protocol(),
            **protocol,
        },
        energy=None if "reason" in energy else energy,
        energy_reason=energy.get("reason"),
        nodes=nodes,
        sweep=sweep,
    )


def _round(value: float) -> float:
    return round(float(value), 5)
