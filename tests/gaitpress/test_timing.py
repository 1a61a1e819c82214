"""Which networks are timed for pruning to a time, and how the times of several rounds are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compress.pruning.time_budget import choices
from compress.pruning.times import COEFFICIENTS, Layer, TimeModel
from gaitpress import params
from gaitpress.params.benchmark import Benchmark
from gaitpress.timing import table
from gaitpress.timing.shapes import Shape
from gaitpress.timing.table import Networks, _together, first_widths, in_short_turns, least_ms, likely_widths
from remote.errors import EngineFailed
from tests.support.toy import ROOT

FILTERS = {"a": 16, "b": 32}
ALLOWED = {name: choices(filters, 4, 4) for name, filters in FILTERS.items()}


def test_the_first_networks_have_each_group_narrow_and_whole_beside_others_that_are_not() -> None:
    networks = list(first_widths(ALLOWED, np.random.default_rng(0)))
    assert all(widths[name] in ALLOWED[name] for widths in networks for name in FILTERS)
    assert networks[0] == {"a": 4, "b": 4}
    assert all(widths in networks for widths in ({"a": 4, "b": 32}, {"a": 16, "b": 4}))


def test_likely_networks_have_times_from_the_fastest_to_the_full_one() -> None:
    layers = [Layer("one", None, "a", 1), Layer("two", "a", "b", 1)]
    times = TimeModel(FILTERS, layers, 8, 1.0, np.ones((2, COEFFICIENTS)))
    networks = list(likely_widths(times, 4, 4, np.random.default_rng(0)))
    assert all(widths[name] in ALLOWED[name] for widths in networks for name in FILTERS)
    took = [times.predict(widths) for widths in networks]
    least, full = times.predict({"a": 4, "b": 4}), times.predict(FILTERS)
    assert least <= min(took) < least + 0.25 * (full - least) and max(took) > least + 0.7 * (full - least)


def test_a_slower_round_is_corrected_by_the_networks_of_every_round() -> None:
    keys = [(16, 32), (4, 4), (8, 8), (12, 32)]
    shapes = {key: Shape("-".join(map(str, key)), 0) for key in keys}
    # In the second round, half as slow again, comes a network that takes 7 ms.
    rounds = [{"16-32": 10.0, "4-4": 2.0, "8-8": 4.0}, {"16-32": 15.0, "4-4": 3.0, "12-32": 10.5}]
    corrected = _together(SimpleNamespace(filters=FILTERS, shapes=shapes), rounds)  # type: ignore[arg-type]
    assert [network.widths for network in corrected] == [dict(zip(FILTERS, key, strict=True)) for key in keys]
    assert [network.ms for network in corrected] == pytest.approx([10, 2, 4, 7])


class Made(Networks):
    """Networks that nobody builds."""

    def built(self, wanted: Sequence[Mapping[str, int]]) -> list[Shape]:
        keys = [tuple(widths[name] for name in self.filters) for widths in wanted]
        return [self.shapes.setdefault(key, Shape("-".join(map(str, key)), sum(key))) for key in dict.fromkeys(keys)]


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_likely_networks_are_measured_until_they_are_predicted(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    filters = {"a": 64, "b": 64, "c": 64}
    layers = [Layer("one", None, "a", 1), Layer("two", "a", "b", 9), Layer("three", "b", "c", 9), Layer("fc", "c", None, 1)]
    rng = np.random.default_rng(1)
    rounds = []

    def measured(label: str, shapes: Sequence[Shape], _bench: object, benchmark: Benchmark, _kept: Path, first: int) -> None:
        rounds.append(label)
        for shape in shapes:
            a, b, c = (int(width) / 64 for width in shape.key.split("-"))
            ms = (1 + a + 5 * a * b + 5 * b * c) * rng.uniform(1 - noise, 1 + noise)
            shape.turns += [{"turn": turn, "min": ms} for turn in range(first, first + benchmark.repeats)]

    monkeypatch.setattr(table, "measure", measured)
    settings = params.load(ROOT / "params.yaml")
    bench = SimpleNamespace(device=SimpleNamespace(name="desk"))
    networks = Made("toy", bench, settings, Path(), None, filters, layers, {})  # type: ignore[arg-type]
    times, learnt, error = table._measured(networks, settings.benchmark)
    assert times[0].widths == filters
    assert learnt.predict(filters) == pytest.approx(12, rel=0.02 if noise == 0 else 0.5)
    assert len(rounds) == (table.LEAST_ROUNDS if noise == 0 else table.MOST_ROUNDS)
    assert (error["p90"] <= table.RIGHT) == (noise == 0)


def test_a_network_takes_the_time_of_its_fastest_query_of_the_rounds_turns() -> None:
    turns = [{"turn": number, "p50": 1 + least, "min": least} for number, least in enumerate([1.0, 4.0, 3.0, 2.0])]
    shape = Shape("8-8", 16, turns=turns)
    assert (least_ms(shape, range(4)), least_ms(shape, range(1, 3))) == (1.0, 3.0)
    shape.reason = "out of memory"
    with pytest.raises(EngineFailed, match="8-8: out of memory"):
        least_ms(shape, range(4))


def test_short_turns_measure_as_long_as_the_repeats_that_they_replace() -> None:
    repeats = params.load(ROOT / "params.yaml").benchmark
    short = in_short_turns(repeats)
    assert short.repeats > repeats.repeats and short.min_queries == repeats.min_queries
    assert short.repeats * short.duration_s == pytest.approx(repeats.repeats * repeats.duration_s)
    assert short.repeats * short.warmup_s == pytest.approx(repeats.repeats * repeats.warmup_s)
