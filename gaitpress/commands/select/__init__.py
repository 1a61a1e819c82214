"""Name the best variant within limits, or the nearest miss, and say why the others lost.

    python -m gaitpress select --device local --max-latency 5ms --min-rank1 90 --max-energy 10mJ --max-size 5MB
    python -m gaitpress select --device board --people 40 --fps 25
    python -m gaitpress select --max-loss 1
    python -m gaitpress select --machine local

The best variant is the most accurate that keeps all limits. With --max-loss it is the fastest: of those that lose at most so
many points of mean rank-1 against their own dense network, which is the same model's at percentile 0 in fp32 on that
device. It is the fastest too where a least rank-1 is the only limit. The section `select` of params.yaml has the limits that
no option names; its max_loss counts where there is no limit at all. With --machine the choice is among all devices of the
same board, or processor. The exit status is 1 if no variant keeps all limits.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gaitpress import command_line, params
from gaitpress.commands.select import choice as selecting
from gaitpress.commands.select.choice import UNITS, Choice, Limits
from gaitpress.errors import StageError
from gaitpress.results import words
from gaitpress.results.figures import ENERGY, LATENCY, LOSS, LOSS_HIGH, LOSS_LOW, RANK1, SIZE, SPEEDUP, TIME
from gaitpress.results.folders import Folders
from gaitpress.results.machines import same_machine
from gaitpress.results.records import Row, load

FIGURES = (RANK1, LOSS, LOSS_LOW, LOSS_HIGH, LATENCY, TIME, SPEEDUP, ENERGY, SIZE)
SHOWN = 8  # runners-up that it prints without --all


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the limits, the device and the folder of the records."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--device", help="one of the devices of params.yaml; needed if there are several")
    where.add_argument("--machine", metavar="DEVICE", help="a device, and all others of the same board or processor")
    parser.add_argument("--max-latency", type=amount_option("max_latency"), help="median of a query: 5ms, 0.1s")
    parser.add_argument("--min-rank1", type=_percent, help="mean rank-1 in %%: 90")
    parser.add_argument(
        "--min-tar", type=_percent, help="enrolled people who are recognised where 1 %% of strangers are accepted, in %%: 90"
    )
    parser.add_argument("--max-loss", type=_points, help="points of mean rank-1 below the dense network: 1")
    parser.add_argument(
        "--sure", action="store_true", default=None, help="the whole 95 %% interval of the loss must be within --max-loss"
    )
    parser.add_argument("--max-energy", type=amount_option("max_energy"), help="of an inference: 10mJ, 0.5J")
    parser.add_argument("--max-size", type=amount_option("max_size"), help="of the engine: 5MB, 800kB, 2MiB")
    parser.add_argument("--people", type=_positive, help="that the device must serve at once: 40")
    parser.add_argument("--fps", type=_positive, help="inferences a second of each of them; default: the model's own need")


def amount_option(limit: str) -> Callable[[str], float]:
    """The type of an option on the command line that takes the amounts of a limit."""

    def read(text: str) -> float:
        try:
            return selecting.amount(limit, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _positive(text: str) -> float:
    try:
        value = float(command_line.number(text.strip()))
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return value


def _percent(text: str) -> float:
    try:
        value = command_line.number(text.strip().removesuffix("%"))
    except ValueError:
        value = -1
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0 and at most 100, in %")
    return float(value)


def _points(text: str) -> float:
    try:
        value = float(command_line.number(text.strip()))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: must be a number of points, 0 to 100")
    return value


def chosen(options: argparse.Namespace, settings: params.Params) -> tuple[Choice, Limits]:
    """The choice by the options and the section `select` of params.yaml, and the limits that it keeps to.

    Raises:
        StageError: params.yaml lists no such device or several, of which the options name none; or there are no records.
    """
    device = (
        options.machine
        or options.device
        or settings.select.device
        or (settings.devices[0] if len(settings.devices) == 1 else None)
    )
    if device not in settings.devices:
        known = ", ".join(settings.devices)
        problem = (
            f"device {device}: is none of params.yaml's" if device else "several devices are listed; name one by --device"
        )
        raise StageError(f"{problem}: {known}")
    limits = asked_limits(options, settings)
    rows = load(Folders(options.results), settings)
    rows = same_machine(rows, device) if options.machine else [row for row in rows if row.device == device]
    return selecting.choose(rows, limits), limits


def asked_limits(options: argparse.Namespace, settings: params.Params) -> Limits:
    """The limits of the options and of the section `select` of params.yaml, whose budget counts where there is no other."""
    limits = selecting.limits(settings.select)
    keys = (*UNITS, "min_rank1", "min_tar", "people", "fps", "max_loss", "sure")
    limits = replace(limits, **{key: getattr(options, key) for key in keys if getattr(options, key, None) is not None})
    unlimited = not any(getattr(limits, key) is not None for key in selecting.limited(limits))
    if unlimited or (getattr(options, "sure", None) and limits.max_loss is None):
        limits = replace(limits, max_loss=settings.select.max_loss)
    return limits


def as_json(choice: Choice, limits: Limits) -> dict[str, Any]:
    """The object that --json prints: `variant` (null if none), `reasons`, `nearest_miss`, `blocking` and `limits`."""
    return {
        "variant": _figures(choice.best, limits),
        "reasons": choice.reasons,
        "nearest_miss": _figures(choice.nearest, limits),
        "blocking": choice.blocking,
        "limits": asdict(limits),
    }


def _figures(row: Row | None, within: Limits) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        **row.record["variant"],
        "key": row.key,
        **{figure.name: figure.of(row) for figure in FIGURES},
        "loss_surely_within": None if within.max_loss is None or not row.loss else row.loss.surely_within(within.max_loss),
        "loss_interval_unknown": row.loss.unknown or None if row.loss else None,
        "people": selecting.served(row, within.fps),
        "evidence": row.get("evidence"),
        "data": row.get("data"),
    }


def in_words(choice: Choice, limits: Limits, everything: bool) -> str:
    """The choice for a terminal."""
    named = [
        f"{key.replace('_', ' ')} {figure.limit(value)}{' for sure' if key == 'max_loss' and limits.sure else ''}"
        for key, figure in selecting.limited(limits).items()
        if (value := getattr(limits, key)) is not None
    ]
    if limits.people and limits.fps:
        named[-1] += f" at {limits.fps:g} inferences a second each"
    lines = [f"limits: {', '.join(named) or 'none'}"]
    if choice.best:
        lines += [f"best: {_line(choice.best, limits)}", *_loss(choice.best, limits)]
    elif choice.nearest:
        lines += ["no variant keeps all limits", f"nearest: {_line(choice.nearest, limits)}"]
        lines += [f"  in its way: {reason}" for reason in choice.blocking]
    else:
        lines += ["no variant has a valid measurement"]
    others = list(choice.reasons.items())
    lines += [f"  not {key}: {'; '.join(reasons)}" for key, reasons in (others if everything else others[:SHOWN])]
    if len(others) > SHOWN and not everything:
        lines.append(f"  and {len(others) - SHOWN} more: --all tells why")
    return "\n".join(lines)


def _line(row: Row, within: Limits) -> str:
    people = f", serves {selecting.served(row, within.fps)} people" if within.people else ""
    evidence = f"{words.data([row])}, {words.EVIDENCE[row.get('evidence')]}"
    return (
        f"{row.name} on {row.device}: rank-1 {RANK1.text(row)} %, "
        f"{LATENCY.text(row)} ms ({TIME.text(row)} a second of video), "
        f"{'energy unknown' if ENERGY.of(row) is None else f'{ENERGY.text(row)} mJ'}, "
        f"{SIZE.text(row)} MB{people} ({evidence})"
    )


def _loss(row: Row, within: Limits) -> list[str]:
    """What a variant loses against its dense network, and gains, where there is a budget for that."""
    if within.max_loss is None:
        return []
    return [f"  {', '.join(part for part in (words.faster(row), words.loss(row, within.max_loss)) if part)}"]


def main() -> None:
    parser = command_line.parser(__doc__, command="select")
    add_options(parser)
    parser.add_argument("--all", action="store_true", help="tell of every variant why it was not chosen")
    parser.add_argument("--json", action="store_true", help="print JSON: variant, reasons, nearest_miss, blocking, limits")
    options, settings = command_line.parse(parser)
    choice, limits = chosen(options, settings)
    print(json.dumps(as_json(choice, limits), indent=1) if options.json else in_words(choice, limits, options.all))
    sys.exit(choice.best is None)
