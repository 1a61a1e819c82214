"""What pruning did to a network: layer by layer, in all, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compress.pruning.select import Selection

COLLAPSED = 0.2  # of the share of filters that pruning leaves on average
MEASURES = ("filters", "params", "macs")


def layer_rows(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], selections: Mapping[str, Selection]
) -> list[dict[str, Any]]:
    """The layers of a network that have weights, from input to output, each with what it was and what is left of it.

    A prunable unit (a convolution with its batch norm) is one layer.

    Args:
        before, after: what the full and the pruned network are made of: rows with ``name``, ``params``, ``macs`` and, for a
            classifier, which is not deployed and left out here, ``training_only``.
        selections: what was selected, by layer.

    Returns:
        For each layer its name (``layer``); ``filters_before``, ``filters_after`` (None where there are none to prune),
        ``params_before``, ``params_after``, ``macs_before``, ``macs_after``; the ``threshold`` of its scores or None;
        whether it was ``spared``; ``tied_to``, the layers that lose the same filters.
    """
    chosen = {unit: selection for selection in selections.values() for unit in selection.units}
    rows: dict[str, dict[str, Any]] = {}
    for when, network in (("before", before), ("after", after)):
        for part in network:
            if part.get("training_only") or not part["params"] + part["macs"]:
                continue
            owner = (unit for unit in chosen if part["name"] == unit or part["name"].startswith(f"{unit}."))
            name = next(owner, part["name"])
            row = rows.setdefault(name, _empty(name, chosen.get(name)))
            row[f"params_{when}"] += part["params"]
            row[f"macs_{when}"] += part["macs"]
    return list(rows.values())


def _empty(name: str, selection: Selection | None) -> dict[str, Any]:
    row = {"layer": name, "params_before": 0, "params_after": 0, "macs_before": 0, "macs_after": 0}
    if selection is None:
        return row | {"filters_before": None, "filters_after": None, "threshold": None, "spared": False, "tied_to": []}
    return row | {
        "filters_before": selection.filters,
        "filters_after": len(selection.kept),
        "threshold": selection.threshold,
        "spared": selection.spared,
        "tied_to": [unit for unit in selection.units if unit != name],
    }


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The sums of what :func:`layer_rows` gives; tied filters count in every layer that has them."""
    keys = (f"{measure}_{when}" for measure in MEASURES for when in ("before", "after"))
    return {key: sum(row[key] or 0 for row in rows) for key in keys}


def collapsed(selections: Mapping[str, Selection], percentile: float) -> list[str]:
    """The layers that keep less than a fifth of the share of filters that the percentile leaves on average.

    At 10 %, that is a layer that keeps less than 18 % of its filters. It is a bottleneck that the layers around it do not
    make up for. The scope "layer" makes none, whatever the weights, the percentile and the rounding.
    """
    average = 1 - percentile / 100
    return [name for name, each in selections.items() if len(each.kept) < COLLAPSED * average * each.filters]


def average_removed(selections: Mapping[str, Selection]) -> float:
    """How many of all filters go, in %, where no percentile of filters says so."""
    kept, filters = (sum(each) for each in zip(*((len(s.kept), s.filters) for s in selections.values()), strict=True))
    return 100 * (1 - kept / filters)


def warnings(selections: Mapping[str, Selection], percentile: float) -> list[str]:
    """A sentence for each layer that collapsed; ``percentile`` is how many of the filters go, in %."""
    return [
        f"{' and '.join(selections[name].units)}: {len(selections[name].kept)} of {selections[name].filters} filters left, "
        f"where percentile {percentile:g} leaves {100 - percentile:g} % on average; the layer has collapsed, and "
        "fine-tuning may not recover it. Take mode: percentile with scope: layer, or spare it"
        for name in collapsed(selections, percentile)
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What :func:`layer_rows` gives as aligned text, with the totals last."""
    header = ("layer", "filters", "", "left", "parameters", "", "left", "M multiply-adds", "", "left", "threshold")
    sums: dict[str, Any] = {"layer": "total", **totals(rows), "threshold": None, "spared": False, "tied_to": []}
    lines = [header, *(tuple(_cells(row)) for row in (*rows, sums))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < place < len(header) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield row["layer"]
    for measure in MEASURES:
        before, after = (row[f"{measure}_{when}"] for when in ("before", "after"))
        counts = [] if before is None else [f"{n / 1e6:,.2f}" if measure == "macs" else f"{n:,}" for n in (before, after)]
        yield from (counts[0], "->", counts[1]) if counts else ("", "", "")
    notes = ["spared"] if row["spared"] else [] if row["threshold"] is None else [f"{row['threshold']:.4g}"]
    yield ", ".join([*notes, *(["with " + " ".join(row["tied_to"])] if row["tied_to"] else [])])
