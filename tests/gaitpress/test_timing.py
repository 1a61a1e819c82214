"""Which networks are timed for pruning to a time, and how the times of several rounds are put together."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from compress.pruning.time_budget import choices
from compress.pruning.times import COEFFICIENTS, Layer, TimeModel
from gaitpress import params
from gaitpress.timing.shapes import Shape
from gaitpress.timing.table import _together, first_widths, in_short_turns, least_ms, likely_widths
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
