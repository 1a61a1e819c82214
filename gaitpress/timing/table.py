"""The table of a network's times by the widths of its layers, measured on a device.

Whole networks are measured, because a layer's time depends on what it reads and gives, and on what a runtime fuses with it.
The first networks separate the layers: the full one, those with one group of filters narrow or whole, and some at random.
Then come, round after round, networks that pruning to a time would choose for random importances: there the times must be
right. Such a choice prefers networks that are predicted to be faster than they are, so only measuring some and learning
from them makes the next ones right; it ends when they are.

A network's time is that of its fastest query. Other programs, and other guests of the same host, only add time: on a machine
whose speed wavered by a quarter, the least of five turns, a ratio of two networks, was off by 1 to 2 %, and the least of
their medians by 6 % (docs/pruning.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.pruning.select import Selection
from compress.pruning.time_budget import choices, fastest, problem_of, solve
from compress.pruning.times import Layer, MeasuredNetwork, TimeModel, fit
from gaitpress import outputs, params
from gaitpress.frameworks import framework
from gaitpress.params.benchmark import Benchmark
from gaitpress.progress import progress
from gaitpress.surgery import surgery
from gaitpress.timing.bench import Bench
from gaitpress.timing.shapes import Shape, build, key_of_times, measure, protocol
from remote import runtimes
from remote.errors import EngineFailed

TIME = "of the fastest query"
CLASSES = 2  # a classifier is not deployed
SHARES = np.linspace(0.08, 0.88, 8)  # of the way from the fastest network to the full one
SPREADS = (0.5, 20)  # shapes of gamma distributions: from many filters that hardly count to filters that count alike
RIGHT = 0.04  # a round's networks are predicted well enough if 9 of 10 are within this share of their times
LEAST_ROUNDS, MOST_ROUNDS = 3, 7
ANCHORS = 4  # of the first networks: besides the full one, these are measured in every round
# Short turns in place of each repeat, on a processor: more of them meet a moment when nobody disturbs. Where each engine is
# a process of its own, as on GPUs, they would cost more than they give.
SPLIT = 4

Widths = Mapping[str, int]


@dataclass
class Networks:
    """A model's networks of any widths, built on a device.

    Attributes:
        dense: the full network, with fresh weights.
        filters: the number of filters of each of its groups.
        layers: the layers whose time depends on widths.
        kept: the folder with the networks' engines.
        shapes: the networks built so far, by the widths of their groups in the order of ``filters``.
    """

    model: str
    bench: Bench
    settings: params.Params
    kept: Path
    dense: Any
    filters: Mapping[str, int]
    layers: Sequence[Layer]
    shapes: dict[tuple[int, ...], Shape]

    @classmethod
    def of(cls, model: str, bench: Bench, settings: params.Params, kept: Path) -> Networks:
        """The networks of an entry of `model` in params.yaml, none built so far."""
        entry = settings.entry(model).phases()[-1]  # the phase that is deployed
        library = framework(entry.framework)
        library.use_threads(1)
        dense = library.build(model, entry, CLASSES)
        cuts = surgery(entry.framework)
        macs = {row["name"]: row["macs"] for row in library.layers(dense, entry)}
        layers = [Layer(name, reads, gives, macs.get(name, 0)) for name, (reads, gives) in cuts.layers(dense).items()]
        return cls(model, bench, settings, kept, dense, cuts.filters(dense), layers, {})

    def built(self, wanted: Sequence[Widths]) -> list[Shape]:
        """The shapes of networks of these widths, without duplicates; missing ones are exported and built.

        Raises:
            CompressionError, EngineFailed: a network cannot be exported, or the device does not take it.
        """
        entry = self.settings.entry(self.model).phases()[-1]
        library, cuts = framework(entry.framework), surgery(entry.framework)
        distinct = list(dict.fromkeys(tuple(widths[name] for name in self.filters) for widths in wanted))
        new = [choice for choice in distinct if choice not in self.shapes]
        for choice in progress(new, label=f"{self.model}: pruning and building"):
            shape = Shape("-".join(map(str, choice)), sum(choice))
            selections = {
                name: Selection(filters, np.arange(width), 0.0, (name,))
                for (name, filters), width in zip(self.filters.items(), choice, strict=True)
            }
            pruned = cuts.remove(self.dense, selections)
            shape.network = build(library, pruned, entry, self.bench, self.settings, self.kept / shape.key)
            self.shapes[choice] = shape
        return [self.shapes[choice] for choice in distinct]


@contextmanager
def measured_table(model: str, bench: Bench, settings: params.Params, path: Path) -> Iterator[dict[str, Any]]:
    """Measure a model's networks, and yield the content of the JSON file ``path``, which the caller writes in this context.

    An interrupted run left its files beside ``path``; measuring continues from them.

    Raises:
        CompressionError, EngineFailed: the device does not take a network.
    """
    unused = {"session": 1, "sweep": [], "max_cov": 1.0}  # so that a new session keeps the table
    benchmark = settings.benchmark.model_copy(update=unused)
    if runtimes.room_of(bench.device.runtime).on_processor:
        benchmark = in_short_turns(benchmark)
    others = {"widths": [settings.prune.round_to, settings.prune.keep_min], "time": TIME}
    with outputs.begun(path, key_of_times(model, bench, settings, benchmark.model_dump(mode="json"), **others)) as kept:
        networks = Networks.of(model, bench, settings, kept)
        measured, times, error = _measured(networks, benchmark)
        yield {
            "needed": True,
            "model": model,
            "device_name": bench.device.name,
            "device": dict(bench.facts),
            "evidence": bench.device.evidence(bench.facts),
            "data": "none",
            "protocol": {**protocol(benchmark), "time": TIME},
            "dense_ms": round(measured[0].ms, 5),
            "error": error,
            "times": times.as_json(),
            "networks": [{"widths": dict(network.widths), "ms": round(network.ms, 5)} for network in measured],
        }


def error_of(errors: np.ndarray) -> dict[str, float]:
    """The errors of predicted times, as shares: the median, and what 9 of 10 stay below."""
    median, most = np.percentile(np.abs(errors), [50, 90])
    return {"median": round(float(median), 5), "p90": round(float(most), 5)}


def _measured(networks: Networks, benchmark: Benchmark) -> tuple[list[MeasuredNetwork], TimeModel, dict[str, float]]:
    """The measured networks, the full one first, what is learnt from them, and how far off the last ones were predicted."""
    label = f"{networks.model} on {networks.bench.device.name}"
    prune = networks.settings.prune
    allowed = {name: choices(filters, prune.round_to, prune.keep_min) for name, filters in networks.filters.items()}
    rng = np.random.default_rng(0)
    wanted = list(first_widths(allowed, rng))
    in_every_round = [networks.filters, *wanted[:ANCHORS]]
    rounds: list[dict[str, float]] = []
    times: TimeModel | None = None
    while True:
        known = len(networks.shapes)
        shapes = networks.built([*in_every_round, *wanted])
        turns = range(len(rounds) * benchmark.repeats, (len(rounds) + 1) * benchmark.repeats)
        name = f"{label}, round {len(rounds) + 1} of {LEAST_ROUNDS} to {MOST_ROUNDS}"
        measure(name, shapes, networks.bench, benchmark, networks.kept, turns.start)
        rounds.append({shape.key: least_ms(shape, turns) for shape in shapes})
        measured = _together(networks, rounds)
        new = measured[known:]
        surprises = np.array([times.predict(network.widths) / network.ms - 1 for network in new]) if times else np.zeros(0)
        times, errors_left_out = fit(networks.layers, networks.filters, measured)
        error = error_of(surprises if len(surprises) else errors_left_out)
        enough = len(rounds) >= LEAST_ROUNDS and error["p90"] <= RIGHT
        if enough or not new or len(rounds) == MOST_ROUNDS:
            return measured, times, error
        wanted = list(likely_widths(times, prune.round_to, prune.keep_min, rng))


def in_short_turns(benchmark: Benchmark) -> Benchmark:
    """The same measurement in more and shorter turns."""
    update = {"repeats": SPLIT * benchmark.repeats, "duration_s": benchmark.duration_s / SPLIT}
    return benchmark.model_copy(update={**update, "warmup_s": benchmark.warmup_s / SPLIT})


def least_ms(shape: Shape, turns: range) -> float:
    """The time of a shape's fastest query in these turns, in ms.

    Raises:
        EngineFailed: it has no time.
    """
    if shape.reason is not None:
        raise EngineFailed(f"a network of the widths {shape.key}: {shape.reason}")
    return float(min(turn["min"] for turn in shape.turns if turn["turn"] in turns))


def _together(networks: Networks, rounds: Sequence[Mapping[str, float]]) -> list[MeasuredNetwork]:
    """The times of all rounds as if measured in the first: the networks of every round show how much slower a round was."""
    common = set(rounds[0]).intersection(*rounds)
    slower = [float(np.median([ms[key] / rounds[0][key] for key in sorted(common)])) for ms in rounds]
    return [
        MeasuredNetwork(
            dict(zip(networks.filters, key, strict=True)),
            float(np.mean([ms[shape.key] / by for ms, by in zip(rounds, slower, strict=True) if shape.key in ms])),
        )
        for key, shape in networks.shapes.items()
    ]


def first_widths(allowed: Mapping[str, np.ndarray], rng: np.random.Generator) -> Iterator[dict[str, int]]:
    """Widths that separate layers: all groups equally narrow, one at a time narrow or whole, and some at random."""
    least, full = ({name: int(widths[place]) for name, widths in allowed.items()} for place in (0, -1))
    yield least
    for share in (0.25, 0.5, 0.75):
        yield {name: int(widths[round(share * (len(widths) - 1))]) for name, widths in allowed.items()}
    for name, widths in allowed.items():
        yield {**full, name: least[name]}
        yield {**full, name: int(widths[len(widths) // 2])}
        yield {**least, name: full[name]}
    for _ in range(2 * len(allowed)):
        yield {name: int(rng.choice(widths)) for name, widths in allowed.items()}


def likely_widths(times: TimeModel, round_to: int, keep_min: int, rng: np.random.Generator) -> Iterator[dict[str, int]]:
    """Widths that pruning to a time chooses, for random importances like those of trained filters."""
    for share in SHARES:
        importances = {}
        for name, filters in times.filters.items():
            scores = rng.gamma(np.exp(rng.uniform(*np.log(SPREADS))), 1, filters)
            importances[name] = scores / np.sqrt(np.mean(scores**2))
        problem = problem_of(times, importances, round_to, keep_min)
        least, full = problem.ms(fastest(problem)), problem.ms(tuple(len(widths) - 1 for widths in problem.widths))
        yield solve(problem, least + float(share) * (full - least))
