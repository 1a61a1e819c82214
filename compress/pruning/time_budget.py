"""The widths that keep the most importance within a budget of time.

A layer's time depends on two widths, so the time is no sum over groups of filters, and the best widths cannot be chosen
group by group. The search visits the same networks for every budget and takes the best one that fits, so a greater budget
never keeps less. For many prices of a millisecond, it visits a network that no change of two groups improves, and the
networks on a path from there to the full one. From each of them it tries all changes of two groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from compress.errors import CompressionError
from compress.pruning.times import TimeModel

PRICES = 40
Choice = tuple[int, ...]  # for each group, the place of its width among those to choose from


@dataclass(frozen=True)
class Problem:
    """Groups of filters with widths to choose from.

    Attributes:
        names: the names of the groups.
        widths: the widths of each group to choose from, ascending.
        kept: the importance that each width keeps, by group, [widths].
        alone: the time in ms that depends on one group, by group, [widths].
        together: the time in ms that depends on two groups, by their places, the smaller first, [widths, widths].
        constant: the time in ms that depends on no group.
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
        """The time of a choice, in ms."""
        alone = sum(float(ms[place]) for ms, place in zip(self.alone, choice, strict=True))
        together = sum(float(ms[choice[i], choice[j]]) for (i, j), ms in self.together.items())
        return self.constant + alone + together

    def ms_of(self, group: int, choice: Choice, without: int | None = None) -> np.ndarray:
        """The part of the time that depends on a group, for each of its widths, with the other groups as they are.

        Args:
            group: the group.
            choice: the widths of the others.
            without: a group whose time together with this one is left out.
        """
        ms = self.alone[group].copy()
        for (i, j), both in self.together.items():
            if i == group and j != without:
                ms += both[:, choice[j]]
            elif j == group and i != without:
                ms += both[choice[i]]
        return ms


def choices(filters: int, round_to: int, keep_min: int) -> np.ndarray:
    """The widths that a layer of ``filters`` may have: multiples of ``round_to``, at least ``keep_min``, and all filters."""
    multiples = np.arange(round_to, filters + round_to, round_to)
    return np.unique(np.minimum(np.maximum(multiples, keep_min), filters))


def problem_of(times: TimeModel, importances: Mapping[str, np.ndarray], round_to: int, keep_min: int) -> Problem:
    """The problem of the groups that have importances; the others stay whole."""
    names = list(importances)
    widths = {name: choices(filters, round_to, keep_min) for name, filters in times.filters.items()}
    for name in times.filters:
        if name not in importances:
            widths[name] = widths[name][-1:]
    kept = []
    for name, scores in importances.items():
        most = np.concatenate([[0.0], np.cumsum(np.sort(scores)[::-1])])
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


def fastest(problem: Problem) -> Choice:
    """The choice that takes the least time: from the narrowest, changed until no change of two groups saves any.

    The narrowest need not be the fastest, for kernels of full blocks may be faster than those of narrower layers.
    """
    only_time = replace(problem, kept=[np.zeros(len(widths)) for widths in problem.widths])
    return _settled(only_time, tuple(0 for _ in problem.names), 1.0)


def solve(problem: Problem, budget: float) -> dict[str, int]:
    """The widths that keep the most importance, among those that the search tries and that take at most ``budget`` ms.

    Raises:
        CompressionError: no widths take so little; the message has the least time.
    """
    least = fastest(problem)
    if problem.ms(least) > budget:
        raise CompressionError(f"no widths take at most {budget:.4g} ms: the least is {problem.ms(least):.4g} ms")
    best, most = least, (problem.importance(least), -problem.ms(least))
    for visited in _visited(problem, least):
        for choice in _best_neighbours(problem, visited, budget):
            # The faster of two with equal importance; rounding, since sums in another order differ in the last digits.
            value = (round(problem.importance(choice), 9), -problem.ms(choice))
            if value > most:
                best, most = choice, value
    return {name: int(widths[place]) for name, widths, place in zip(problem.names, problem.widths, best, strict=True)}


def _visited(problem: Problem, least: Choice) -> Iterator[Choice]:
    """The choices whose neighbours the search tries, for every budget; ``least`` is the fastest one."""
    full = tuple(len(widths) - 1 for widths in problem.widths)
    gain = max(problem.importance(full) - problem.importance(least), 1e-30)
    cost = max(problem.ms(full) - problem.ms(least), 1e-30)
    prices = gain / cost * np.logspace(-2, 2, PRICES)
    seen: set[Choice] = set()
    for start, order in ((full, prices), (least, prices[::-1])):
        choice = start
        for price in order:
            choice = _settled(problem, choice, price)
            for step in _upwards(problem, choice):
                if step in seen:
                    break  # the rest of the path was visited before
                seen.add(step)
                yield step


def _settled(problem: Problem, choice: Choice, price: float) -> Choice:
    """A choice, improved until no change of two groups gains, where a millisecond costs ``price`` in importance."""
    worth = problem.importance(choice) - price * problem.ms(choice)
    while True:
        before = worth
        for i, j in _pairs(problem):
            gains, ms = _of_pair(problem, i, j, choice)
            place = np.unravel_index(int(np.argmax(gains - price * ms)), ms.shape)
            choice = _with_pair(choice, i, j, place)
        worth = problem.importance(choice) - price * problem.ms(choice)
        if worth <= before + 1e-12 * abs(before):
            return choice


def _pairs(problem: Problem) -> list[tuple[int, int]]:
    """The pairs of groups; a group alone is a pair with itself."""
    count = len(problem.names)
    return list(combinations(range(count), 2)) if count > 1 else [(0, 0)]


def _of_pair(problem: Problem, i: int, j: int, choice: Choice) -> tuple[np.ndarray, np.ndarray]:
    """The importance and the time, up to constants, of all widths of two groups, with the other groups as they are."""
    if i == j:
        return problem.kept[i][:, None], problem.ms_of(i, choice)[:, None]
    ms = problem.ms_of(i, choice, without=j)[:, None] + problem.ms_of(j, choice, without=i)[None]
    return problem.kept[i][:, None] + problem.kept[j][None], ms + problem.together.get((i, j), 0)


def _upwards(problem: Problem, choice: Choice) -> Iterator[Choice]:
    """A choice and those on a path to the full network; a step gains the most importance for a millisecond."""
    while True:
        yield choice
        best: tuple[float, int, int] | None = None
        for group, place in enumerate(choice):
            if place + 1 == len(problem.widths[group]):
                continue
            ms = problem.ms_of(group, choice)
            gains = problem.kept[group][place + 1 :] - problem.kept[group][place]
            rates = gains / np.maximum(ms[place + 1 :] - ms[place], 1e-12)
            step = int(np.argmax(rates))
            if best is None or rates[step] > best[0]:
                best = float(rates[step]), group, place + 1 + step
        if best is None:
            return
        choice = _with(choice, {best[1]: best[2]})


def _best_neighbours(problem: Problem, choice: Choice, budget: float) -> Iterator[Choice]:
    """For each pair of groups, the best choice within the budget that differs from this one in their widths alone."""
    now = problem.ms(choice)
    for i, j in _pairs(problem):
        gains, ms = _of_pair(problem, i, j, choice)
        here = (choice[i], choice[j] if i != j else 0)
        fits = now + ms - ms[here] <= budget
        if fits.any():
            place = np.unravel_index(int(np.argmax(np.where(fits, gains, -np.inf))), gains.shape)
            yield _with_pair(choice, i, j, place)


def _with_pair(choice: Choice, i: int, j: int, place: tuple[np.intp, ...]) -> Choice:
    """A choice with other widths of a pair of groups, which may be one group alone."""
    return _with(choice, {j: int(place[1]), i: int(place[0])})


def _with(choice: Choice, places: Mapping[int, int]) -> Choice:
    return tuple(places.get(group, place) for group, place in enumerate(choice))


def widths_within(
    times: TimeModel, importances: Mapping[str, np.ndarray], share: float, full_ms: float, round_to: int, keep_min: int
) -> dict[str, int]:
    """The widths of a network that takes a share of the full one's time.

    Args:
        times: the time of a network by its widths.
        importances: those of the filters of each group that is not spared.
        share: the share of ``full_ms``, above 0; 1 leaves the network whole.
        full_ms: the time of the full network, in ms.
        round_to, keep_min: as for :func:`choices`.

    Returns:
        The widths of the groups of ``importances``.

    Raises:
        CompressionError: no widths take so little.
    """
    if share >= 1:
        return {name: times.filters[name] for name in importances}
    problem = problem_of(times, importances, round_to, keep_min)
    least = problem.ms(fastest(problem))
    if least > share * full_ms:
        most = max(math.floor(1000 * (1 - least / full_ms)) / 10, 0)
        raise CompressionError(
            f"{100 * share:.4g} % of the time, {share * full_ms:.4g} ms, cannot be reached: prune.round_to, prune.keep_min "
            f"and prune.spare leave at least {least:.4g} ms; ask for a percentile of at most {most:g}"
        )
    return solve(problem, share * full_ms)
