"""The widths that keep the most importance within a time.

Layers share widths, so the time is no sum over groups of filters, and the best widths are not found group by group. The
search visits the same networks whatever the budget is, and takes the best one that fits: so a greater budget never keeps
less. It visits, for many prices of a millisecond, the network from which no change of two groups at once gains, and on the
ways from there to the full network all that differ in few widths.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from compress.errors import CompressionError
from compress.pruning.times import TimeModel

PRICES = 40
Choice = tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """Groups of filters with widths to choose from.

    Attributes:
        names: of the groups.
        widths: of each group to choose from, ascending.
        kept: the importance that each width keeps.
        alone: ms that depend on one group: by group, [widths].
        together: ms that depend on two groups: by their places, the smaller first, [widths, widths].
        constant: ms that depend on none.
    """

    names: Sequence[str]
    widths: Sequence[np.ndarray]
    kept: Sequence[np.ndarray]
    alone: Sequence[np.ndarray]
    together: Mapping[tuple[int, int], np.ndarray]
    constant: float

    def importance(self, choice: Choice) -> float:
        """The importance that a choice of a width for each group keeps."""
        return float(sum(kept[place] for kept, place in zip(self.kept, choice, strict=True)))

    def ms(self, choice: Choice) -> float:
        """The time of a choice."""
        alone = sum(float(ms[place]) for ms, place in zip(self.alone, choice, strict=True))
        together = sum(float(ms[choice[i], choice[j]]) for (i, j), ms in self.together.items())
        return self.constant + alone + together

    def ms_of(self, group: int, choice: Choice, apart: int | None = None) -> np.ndarray:
        """The part of the time that depends on a group, for each of its widths, the others as they are.

        Args:
            group: the group.
            choice: the widths of the others.
            apart: a group whose time together with this one is left out.
        """
        ms = self.alone[group].copy()
        for (i, j), both in self.together.items():
            if i == group and j != apart:
                ms += both[:, choice[j]]
            elif j == group and i != apart:
                ms += both[choice[i]]
        return ms


def choices(filters: int, round_to: int, keep_min: int) -> np.ndarray:
    """The widths that a layer of so many filters may have: multiples of ``round_to``, at least ``keep_min``, and all."""
    multiples = np.arange(round_to, filters + round_to, round_to)
    return np.unique(np.minimum(np.maximum(multiples, keep_min), filters))


def problem(times: TimeModel, importances: Mapping[str, np.ndarray], round_to: int, keep_min: int) -> Problem:
    """The choices for the groups that have importances; the others stay whole."""
    names = list(importances)
    widths = {name: choices(filters, round_to, keep_min) for name, filters in times.filters.items()}
    for name in times.filters:
        if name not in importances:
            widths[name] = widths[name][-1:]
    kept = []
    for name, each in importances.items():
        most = np.concatenate([[0.0], np.cumsum(np.sort(each)[::-1])])
        kept.append(most[widths[name]])
    alone = [np.zeros(len(widths[name])) for name in names]
    together: dict[tuple[int, int], np.ndarray] = {}
    constant = times.constant
    for number, layer in enumerate(times.layers):
        ms = times.table(number, widths)
        reads, gives = (names.index(group) if group in names else None for group in (layer.reads, layer.gives))
        if reads is None and gives is None:
            constant += float(ms[0, 0])
        elif gives is None or reads is None:
            alone[next(group for group in (reads, gives) if group is not None)] += ms.ravel()
        elif reads == gives:
            alone[reads] += ms.diagonal()
        else:
            pair, ms = ((reads, gives), ms) if reads < gives else ((gives, reads), ms.T)
            together[pair] = together.get(pair, 0) + ms
    return Problem(names, [widths[name] for name in names], kept, alone, together, constant)


def solve(given: Problem, budget: float) -> dict[str, int]:
    """The widths that keep the most importance of those that the search visits and that take at most ``budget`` ms.

    Raises:
        CompressionError: no widths take so little; the message says how little they can take.
    """
    least = tuple(0 for _ in given.names)
    if given.ms(least) > budget:
        raise CompressionError(f"no widths take at most {budget:.4g} ms: they take at least {given.ms(least):.4g}")
    best, most = least, (given.importance(least), -given.ms(least))
    for visited in _visited(given):
        for choice in _best_neighbours(given, visited, budget):
            # Of equal importance the faster one; sums of the same numbers in another order differ in the last digits.
            found = (round(given.importance(choice), 9), -given.ms(choice))
            if found > most:
                best, most = choice, found
    return {name: int(widths[place]) for name, widths, place in zip(given.names, given.widths, best, strict=True)}


def _visited(given: Problem) -> Iterator[Choice]:
    """The choices whose neighbours are looked at, whatever the budget."""
    least, full = tuple(0 for _ in given.names), tuple(len(widths) - 1 for widths in given.widths)
    gain = max(given.importance(full) - given.importance(least), 1e-30)
    cost = max(given.ms(full) - given.ms(least), 1e-30)
    prices = gain / cost * np.logspace(-2, 2, PRICES)
    seen: set[Choice] = set()
    for start, order in ((full, prices), (least, prices[::-1])):
        choice = start
        for price in order:
            choice = _settled(given, choice, price)
            for step in _upwards(given, choice):
                if step in seen:
                    break  # the rest of its way was gone before
                seen.add(step)
                yield step


def _settled(given: Problem, choice: Choice, price: float) -> Choice:
    """From a choice on to one at which no change of two groups gains, when a millisecond costs so much importance."""
    worth = given.importance(choice) - price * given.ms(choice)
    while True:
        before = worth
        for i, j in _pairs(given):
            gains, ms = _of_pair(given, i, j, choice)
            place = np.unravel_index(int(np.argmax(gains - price * ms)), ms.shape)
            choice = _with(choice, {i: int(place[0]), j: int(place[1])})
        worth = given.importance(choice) - price * given.ms(choice)
        if worth <= before + 1e-12 * abs(before):
            return choice


def _pairs(given: Problem) -> list[tuple[int, int]]:
    """The pairs of groups; a group alone is a pair with itself."""
    count = len(given.names)
    return list(combinations(range(count), 2)) if count > 1 else [(0, 0)]


def _of_pair(given: Problem, i: int, j: int, choice: Choice) -> tuple[np.ndarray, np.ndarray]:
    """The importance and the time, up to constants, of all widths of two groups, the others as they are."""
    if i == j:
        only = given.ms_of(i, choice)
        return given.kept[i][:, None], only[:, None]
    ms = given.ms_of(i, choice, apart=j)[:, None] + given.ms_of(j, choice, apart=i)[None]
    return given.kept[i][:, None] + given.kept[j][None], ms + given.together.get((i, j), 0)


def _upwards(given: Problem, choice: Choice) -> Iterator[Choice]:
    """A choice and those on a way to the full network, each step with the most importance a millisecond."""
    while True:
        yield choice
        best: tuple[float, int, int] | None = None
        for group, place in enumerate(choice):
            if place + 1 == len(given.widths[group]):
                continue
            ms = given.ms_of(group, choice)
            gains = given.kept[group][place + 1 :] - given.kept[group][place]
            rates = gains / np.maximum(ms[place + 1 :] - ms[place], 1e-12)
            step = int(np.argmax(rates))
            if best is None or rates[step] > best[0]:
                best = float(rates[step]), group, place + 1 + step
        if best is None:
            return
        choice = _with(choice, {best[1]: best[2]})


def _best_neighbours(given: Problem, choice: Choice, budget: float) -> Iterator[Choice]:
    """For each pair of groups the best choice within the budget that differs from this one in their widths alone."""
    now = given.ms(choice)
    for i, j in _pairs(given):
        gains, ms = _of_pair(given, i, j, choice)
        here = (choice[i], choice[j] if i != j else 0)
        fits = now + ms - ms[here] <= budget
        if fits.any():
            place = np.unravel_index(int(np.argmax(np.where(fits, gains, -np.inf))), gains.shape)
            yield _with(choice, {i: int(place[0]), **({j: int(place[1])} if i != j else {})})


def _with(choice: Choice, places: Mapping[int, int]) -> Choice:
    return tuple(places.get(group, place) for group, place in enumerate(choice))


def widths_within(
    times: TimeModel, importances: Mapping[str, np.ndarray], share: float, full_ms: float, round_to: int, keep_min: int
) -> dict[str, int]:
    """The widths of a network that takes a share of the full one's time.

    Args:
        times: how long networks take.
        importances: of the filters of each group that is not spared.
        share: of the time, above 0; 1 leaves the network whole.
        full_ms: the time of the full network, in ms.
        round_to, keep_min: as for :func:`choices`.

    Returns:
        Widths by group, of the groups of ``importances``.

    Raises:
        CompressionError: no widths take so little.
    """
    if share >= 1:
        return {name: times.filters[name] for name in importances}
    given = problem(times, importances, round_to, keep_min)
    least = given.ms(tuple(0 for _ in given.names))
    if least > share * full_ms:
        most = max(math.floor(1000 * (1 - least / full_ms)) / 10, 0)
        raise CompressionError(
            f"{100 * share:.4g} % of the time, {share * full_ms:.4g} ms, cannot be reached: prune.round_to, prune.keep_min "
            f"and prune.spare leave at least {least:.4g} ms; ask for a percentile of at most {most:g}"
        )
    return solve(given, share * full_ms)
