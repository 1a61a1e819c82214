"""What a branch changes, in Markdown."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gaitpress.commands import select
from gaitpress.commands.forecast import Forecast
from gaitpress.commands.forecast import report as forecast_in_words
from gaitpress.commands.review.side import PARAMS, Side
from gaitpress.commands.select import choice as selecting
from gaitpress.errors import StageError
from gaitpress.results import digits, words
from gaitpress.results.figures import ENERGY, LATENCY, RANK1, SIZE, Figure
from gaitpress.results.records import Row, by_device

MOST = 40  # rows of a table: a comment of a pull request has at most 65,536 letters
COSTS = (LATENCY, ENERGY, SIZE)
ABSENT = object()
NOT_ASKED = "fewer, if DVC's run-cache has some of them"
SPECIAL = r"([\\*_\[\]<>#!@~|])"  # what Markdown may take for more than a letter
PIPE = "\\|"  # which parts the cells of a table, in code too


def markdown(before: Side, now: Side, stale: Mapping[str, Sequence[str]], costs: Forecast) -> str:
    """The comment.

    Args:
        before, now: what is compared.
        stale: what differs from dvc.lock, by the address of the stage.
        costs: what bringing these stages up to date costs.
    """
    parts = [f"## What this branch changes against {_code(before.name)}"]
    parts += [_out_of_date(stale, costs)] if stale else [f"dvc.lock is as {PARAMS} and the code say."]
    parts += [f"**Of {_code(side.name)}:** {_escaped(side.fault)}" for side in (before, now) if side.fault]
    if settings := list(_settings(before.content, now.content)):
        parts += [_table("Settings", (PARAMS, "before", "now"), settings)]
    if before.rows or now.rows:
        parts += [*_choices(before, now), *_variants(before.rows, now.rows), _evidence([*now.rows, *before.rows])]
    return "\n\n".join(parts)


def _out_of_date(stale: Mapping[str, Sequence[str]], costs: Forecast) -> str:
    head = f"**dvc.lock is out of date: {len(stale)} of {costs.stages} stages are not as {PARAMS} and the code say.**"
    rows = [(_code(address), ", ".join(map(_code, differing))) for address, differing in stale.items()]
    mend = "Run `snakemake --cores 8 all` or `dvc repro`, commit dvc.lock, and type `dvc push --run-cache`."
    if not costs.total_s:
        cost = f"{len(costs.runs)} stages run then, with those that follow."
        return f"{head} {mend} {cost}\n\n{_table('', ('stage', 'what differs'), rows)}"
    cost = forecast_in_words(costs, NOT_ASKED)
    return f"{head} {mend}\n\n{_table('', ('stage', 'what differs'), rows)}\n\n```\n{cost}\n```"


def _settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The keys of params.yaml whose values differ."""
    old, new = dict(_flat(before)), dict(_flat(now))
    for key in dict.fromkeys([*new, *old]):
        if old.get(key, ABSENT) != new.get(key, ABSENT):
            yield _code(key), _value(old.get(key, ABSENT)), _value(new.get(key, ABSENT))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _value(value: Any) -> str:
    return digits.DASH if value is ABSENT else _code(json.dumps(value, ensure_ascii=False, default=str))


def _choices(before: Side, now: Side) -> Iterator[str]:
    """What ``select`` names on each device, before and now."""
    old, new = _chosen(before), _chosen(now)
    rows = [
        (_code(device), old.get(device, digits.DASH), "the same" if old.get(device) == best else best)
        for device, best in new.items()
    ]
    rows += [(_code(device), best, digits.DASH) for device, best in old.items() if device not in new]
    if rows:
        yield _table("Chosen by `python -m gaitpress select`", ("device", "before", "now"), rows)


def _chosen(side: Side) -> dict[str, str]:
    if side.settings is None or not side.rows:
        return {}
    try:
        limits = select.asked_limits(Namespace(), side.settings)
    except StageError as error:
        return {row.device: _escaped(str(error)) for row in side.rows}
    best = {device: selecting.choose(rows, limits).best for device, rows in by_device(side.rows).items()}
    return {
        device: f"{_escaped(row.name)}: {RANK1.text(row)} %, {LATENCY.text(row)} ms" if row else "none keeps the limits"
        for device, row in best.items()
    }


def _variants(before: Sequence[Row], now: Sequence[Row]) -> Iterator[str]:
    """The variants whose record or verdict is another now."""
    old, new = ({row.key: row for row in rows if row.status != "missing"} for rows in (before, now))
    keys = list(dict.fromkeys([*new, *old]))
    changed = [key for key in keys if _told(old.get(key)) != _told(new.get(key))]
    costs = [figure for figure in COSTS if any(figure.of(row) is not None for row in (*old.values(), *new.values()))]
    head = ("variant", "mean rank-1, %", *(f"{figure.title}, {figure.unit}" for figure in costs), "")
    rows = [_variant(key, old.get(key), new.get(key), costs) for key in changed]
    if rows:
        yield _table("Variants, before → now (difference)", head, rows)
    unchanged = len(keys) - len(changed)
    waiting = sum(row.status == "missing" for row in now)
    said = [f"As before: {unchanged} of {len(keys)} variants."] if unchanged else []
    said += [f"Without a record yet: {waiting} of {len(now)} variants."] if waiting else []
    if said:
        yield " ".join(said)


def _told(row: Row | None) -> Any:
    return None if row is None else (row.record, row.verdict)


def _variant(key: str, old: Row | None, new: Row | None, costs: Sequence[Figure]) -> tuple[str, ...]:
    present = new or old
    assert present is not None
    if old is None or new is None:
        word = "**gone**" if new is None else "**new**"
        figures = [figure.text(present.shown) for figure in (RANK1, *costs)]
        verdict = f"was {old.verdict}" if old else _verdict(present)
        return _code(key), *figures, f"{word}, {_escaped(verdict)}"
    verdict = _verdict(new) if new.verdict == old.verdict else f"{_verdict(new)}; was {old.verdict}"
    shown = old.shown, new.shown
    return _code(key), _rank1(*shown), *(_cost(figure, *shown) for figure in costs), _escaped(verdict)


def _verdict(row: Row) -> str:
    return f"{row.verdict}: {'; '.join(row.reasons)}" if row.reasons else row.verdict


def _rank1(old: Row, new: Row) -> str:
    """Both rates, and how far they are apart, with the 95 % interval of that where the same people were tested."""
    from gait import paired
    from gait.errors import DataError

    values = f"{RANK1.text(old)} → {RANK1.text(new)}"
    if old.rank1 is None or new.rank1 is None:
        return values
    try:
        difference = paired.difference(new.hits_of_people, old.hits_of_people)
    except DataError:
        return f"{values} (other people or walks)"
    except StageError:
        difference = None  # made before the hits of each person were kept
    if difference is None:
        return f"{values} ({_signed(digits.points(new.rank1 - old.rank1))})"
    interval = digits.interval(difference.low, difference.high, "points")
    return f"{values} ({_signed(digits.points(difference.points))}; 95 %: {interval})"


def _cost(figure: Figure, old: Row, new: Row) -> str:
    texts = figure.text(old), figure.text(new)
    if texts[0] == texts[1]:
        return texts[0]
    values = figure.of(old), figure.of(new)
    share = f" ({_signed(f'{100 * (values[1] / values[0] - 1):.0f}')} %)" if all(values) else ""
    return f"{' → '.join(texts)}{share}"


def _signed(text: str) -> str:
    text = text.replace("-", "\N{MINUS SIGN}")
    return text if text.startswith("\N{MINUS SIGN}") or not text.strip("0.") else f"+{text}"


def _evidence(rows: Sequence[Row]) -> str:
    lines = [f"{device}: {words.data(listed)}, {words.place(listed)}" for device, listed in by_device(rows).items()]
    notes = ["Times of invalid variants should not be used."] if any(row.verdict == "invalid" for row in rows) else []
    return _escaped(". ".join([*lines, *notes]))


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"### {title}", ""] if title else []
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows[:MOST]]
    lines += ["", f"and {len(rows) - MOST} more"] if len(rows) > MOST else []
    return "\n".join(lines)


def _code(text: str) -> str:
    """A text of the branch as it stands, whatever it would mean in Markdown."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', PIPE)}`"


def _escaped(text: str) -> str:
    """A message, in which nothing of the branch means anything in Markdown but code between backticks."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        return _code(text)
    return "".join(_code(part) if place % 2 else re.sub(SPECIAL, r"\\\1", part) for place, part in enumerate(parts))
