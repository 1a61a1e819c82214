"""Turn runs of trtexec into a measurement that says whether to trust it."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from remote import benchmark
from remote.benchmark import MAX_DRIFT, BenchmarkSettings, Timing
from remote.errors import EngineFailed, killed
from remote.jetson.board import Held, State
from remote.runtimes.tensorrt.trtexec.command import always_copies, strongly_typed
from remote.runtimes.tensorrt.trtexec.exports import ExportError, QueryTimes, parse_times
from remote.runtimes.tensorrt.trtexec.log import Log, parse

HOT_C = 65.0  # a board hotter than this at the start has not cooled down from its work before
SETTLED = 0.01
NO_COPIES = "none: latency is computing time on the GPU; with_transfers is a run that copies input and output"
TYPES_CHOSEN = "TensorRT's choice among those that the build's options allow"
TYPES_OF_FILE = (
    "those of the network's file: what it neither casts nor quantises is computed in fp32, or in TF32 if the build was not "
    "one of fp32"
)
COPIES = (
    "this TensorRT copies input and output in every query: latency is computing time on the GPU, while others may be "
    "copied; energy is that of computing and copying; with_transfers counts the copies"
)


@dataclass(frozen=True)
class Run:
    """A process of trtexec.

    Attributes:
        times: the times of its timed queries.
        log: its output.
        began, ended: start and end of the timed part, by the board's clock in seconds; None if the log lacks them.
        hottest_c: the highest temperature meanwhile, or None.
        throttling: what slowed the board down meanwhile.
    """

    times: QueryTimes
    log: Log
    began: float | None
    ended: float | None
    hottest_c: float | None
    throttling: Mapping[str, int]

    @property
    def timed(self) -> tuple[int, float] | None:
        """The number of timed queries, and their seconds; None if the log lacks them."""
        return (len(self.times.latency), self.log.queries[1]) if self.log.queries else None

    @property
    def settled(self) -> bool:
        """Whether the first quarter of the queries took as long as the rest."""
        quarter = max(1, len(self.times.latency) // 4)
        first, rest = self.times.latency[:quarter], self.times.latency[quarter:]
        return bool(len(rest) and abs(np.median(first) / np.median(rest) - 1) <= SETTLED)


def read_run(answer: Mapping[str, Any], version: Sequence[int], warmup_ms: float, transfers: bool) -> Run:
    """Read the board's answer about a run.

    Args:
        answer: the answer of the board.
        version: the version of its TensorRT.
        warmup_ms: the length of the warm-up that was asked for.
        transfers: whether a query should include copying inputs and outputs.

    Raises:
        EngineFailed: trtexec failed, crashed, hung, or its times are damaged.
    """
    log = parse("\n".join(line for _, line in answer["lines"]))
    if reason := failure(log, answer["code"], answer["timed_out"]):
        raise EngineFailed(reason)
    try:
        times = parse_times(answer["times"], version, warmup_ms, transfers)
    except ExportError as error:
        raise EngineFailed(f"trtexec's times cannot be read: {error}") from None
    moments = {
        mark: time for time, line in answer["lines"] for mark in ("Starting inference", "Timing trace has") if mark in line
    }
    began, ended = moments.get("Starting inference"), moments.get("Timing trace has")
    return Run(
        times=times,
        log=log,
        began=None if began is None else began + warmup_ms / 1000,
        ended=ended,
        hottest_c=answer["hottest_c"],
        throttling=answer["throttling"],
    )


def failure(log: Log, code: int, timed_out: bool = False) -> str | None:
    """The reason why trtexec failed, or None if it passed."""
    if timed_out:
        return "trtexec hung: it was ended at its time limit"
    if code == 0 and log.result == "PASSED":
        return None
    if log.out_of_memory:
        return log.reason
    if code == -signal.SIGKILL:
        return killed("trtexec")
    if code < 0:
        return f"trtexec crashed (signal {-code})" + (f": {log.reason}" if log.reason else "")
    return log.reason or f"trtexec ended with status {code} and no reason"


def timing(
    runs: Sequence[Run],
    transferred: Run | None,
    states: tuple[State, State],
    cooled: Mapping[str, Any],
    held: Held,
    energy: Mapping[str, Any],
    nodes: Mapping[str, Any],
    sweep: Sequence[Mapping[str, Any]],
    settings: BenchmarkSettings,
    version: Sequence[int],
    graph: bool,
) -> Timing:
    """Put a measurement together.

    Args:
        runs: the repeats, without transfers.
        transferred: a run with transfers, if there was one.
        states: the states of the board before the first run and after the last.
        cooled: the board's answer after it waited to cool down.
        held: the outcome for power mode and clocks.
        energy: the energy of an inference, or the reason why there is none.
        nodes: the times of the engine's layers, or the reason why there are none.
        sweep: the results of other batches.
        settings: the settings of the measurement.
        version: the version of TensorRT.
        graph: whether a query was one launch of a CUDA graph.
    """
    repeats = [run.times.latency.tolist() for run in runs]
    statistics = benchmark.latency(repeats)
    medians = [float(np.median(times)) for times in repeats]
    drift = max(medians) / min(medians) - 1
    before, after = states
    slowed = {
        name: value for run in runs for name, value in run.throttling.items() if value > before.throttling.get(name, 0)
    }
    slowed |= {name: value for name, value in before.throttling.items() if not name.startswith("oc")}
    invalid = benchmark.judge(statistics, 0.0, settings.max_cov)
    if drift > MAX_DRIFT:
        invalid.append(f"drift: medians of the repeats differ by {100 * drift:.0f} % (limit {100 * MAX_DRIFT:.0f} %)")
    if cooled["hottest_c"] is not None and cooled["hottest_c"] > HOT_C:
        invalid.append(
            f"hot: still {cooled['hottest_c']:g} °C after {cooled['waited_s']:g} s of waiting (limit {HOT_C:g} °C)"
        )
    if slowed:
        invalid.append(f"throttled: {', '.join(f'{name} {value}' for name, value in sorted(slowed.items()))}")
    invalid += held.refused
    if before.mode != after.mode:
        invalid.append(f"the power mode changed meanwhile: {before.mode} -> {after.mode}")
    hottest = [run.hottest_c for run in runs if run.hottest_c is not None]
    return Timing(
        latency_ms=statistics,
        throughput_per_s=round(1000 * settings.batch / statistics["mean"], 5),
        invalid_reasons=invalid,
        conditions={
            "power_mode": before.mode.name if before.mode else None,
            "power_mode_id": before.mode.id if before.mode else None,
            "clocks_locked": before.locked,
            "gpu_mhz_before": before.gpu_mhz,
            "gpu_mhz_after": after.gpu_mhz,
            "cpu_mhz_before": before.cpu_mhz,
            "cpu_mhz_after": after.cpu_mhz,
            "governor": before.governor,
            "load_before": before.load,
            "load_after": after.load,
            "free_memory_mb": before.free_memory_mb,
            "temperature_c_before": cooled["hottest_c"],
            "temperature_c": max(hottest) if hottest else None,
            "waited_to_cool_s": cooled["waited_s"],
            "throttling": slowed,
            "median_drift": round(drift, 5),
            "not_put_back": list(held.not_put_back),
            "unreadable": {**before.unreadable, **after.unreadable},
        },
        repeats=[_summary(run) for run in runs],
        protocol={
            # A GPU's work has no number of threads.
            **{key: value for key, value in settings.as_protocol().items() if key != "threads"},
            "timed": "each query by the GPU's events (trtexec --exportTimes), one stream, spin-wait, "
            + ("as a CUDA graph" if graph else "no CUDA graph"),
            "transfers": COPIES if always_copies(version) else NO_COPIES,
            "types": TYPES_OF_FILE if strongly_typed(version) else TYPES_CHOSEN,
            **({"with_transfers": _with_transfers(transferred)} if transferred else {}),
            "enqueue_bound": any(run.log.enqueue_bound for run in runs),
            "options": _options(runs[0].log),
        },
        energy=None if "reason" in energy else energy,
        energy_reason=energy.get("reason"),
        nodes=nodes,
        sweep=sweep,
    )


def _summary(run: Run) -> dict[str, Any]:
    times = run.times.latency
    return {
        "p50": round(float(np.median(times)), 5),
        "mean": round(float(times.mean()), 5),
        "cov": round(float(times.std() / times.mean()), 5),
        "queries": len(times),
        "settled": run.settled,
        "throughput_qps": run.log.throughput_qps,
        "enqueue_p50": run.log.summary.get("Enqueue Time", {}).get("median"),
        "hottest_c": run.hottest_c,
    }


def _options(log: Log) -> list[str]:
    """The options that trtexec repeats, without those that name files."""
    words = (log.command or "").split()[1:]
    return [word for word in words if not word.startswith(("--loadEngine", "--loadInputs", "--exportTimes"))]


def _with_transfers(run: Run) -> dict[str, Any]:
    medians = {"p50": run.times.latency, "compute_p50": run.times.compute}
    medians |= {"to_device_p50": run.times.to_device, "to_host_p50": run.times.to_host}
    return {
        **{name: round(float(np.median(times)), 5) for name, times in medians.items()},
        "queries": len(run.times.latency),
    }
