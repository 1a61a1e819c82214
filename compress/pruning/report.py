"""What pruning did to a network: by layer, in total, and what is wrong with the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compress.pruning.select import Selection

COLLAPSED = 0.2  # a layer has collapsed if it keeps less than this part of the average share of filters
MEASURES = ("filters", "params", "macs")


def layer_rows(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], selections: Mapping[str, Selection]
) -> list[dict[str, Any]]:
    """The layers of a network that have weights, from input to output, before and after pruning.

    A prunable unit (a convolution with its batch norm) is one layer.

    Args:
        before, after: the layers of the full and of the pruned network: rows with ``name``, ``params``, ``macs`` and, for a
            classifier, ``training_only``: it is not deployed and left out here.
        selections: the filters that stay, by layer.

    Returns:
        For each layer its name (``layer``); ``filters_before``, ``filters_after`` (None where there are none to prune),
        ``params_before``, ``params_after``, ``macs_before``, ``macs_after``; the ``threshold`` of its scores or None;
        whether it was ``spared``; ``tied_to``, the layers that lose the same filters.
    """
    by_unit = {unit: selection for selection in selections.values() for unit in selection.units}
    rows: dict[str, dict[str, Any]] = {}
    for when, network in (("before", before), ("after", after)):
        for part in network:
            if part.get("training_only") or not part["params"] + part["macs"]:
                continue
            owners = (unit for unit in by_unit if part["name"] == unit or part["name"].startswith(f"{unit}."))
            name = next(owners, part["name"])
            row = rows.setdefault(name, _empty(name, by_unit.get(name)))
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
    """The sums over the rows of :func:`layer_rows`; tied filters count in every layer that has them."""
    keys = (f"{measure}_{when}" for measure in MEASURES for when in ("before", "after"))
    return {key: sum(row[key] or 0 for row in rows) for key in keys}


def collapsed(selections: Mapping[str, Selection], percentile: float) -> list[str]:
    """The layers that keep less than a fifth of the share of filters that the percentile leaves on average.

    At 10 %, that is a layer that keeps less than 18 % of its filters. It is a bottleneck that the layers around it do not
    make up for. With scope "layer" no layer collapses, whatever the weights, the percentile and the rounding.
    """
    average = 1 - percentile / 100
    return [name for name, selection in selections.items() if len(selection.kept) < COLLAPSED * average * selection.filters]


def average_removed(selections: Mapping[str, Selection]) -> float:
    """The share of all filters that go, in %, for a mode whose percentile is not one of filters."""
    kept = sum(len(selection.kept) for selection in selections.values())
    filters = sum(selection.filters for selection in selections.values())
    return 100 * (1 - kept / filters)


def warnings(selections: Mapping[str, Selection], percentile: float) -> list[str]:
    """A sentence for each layer that collapsed; ``percentile`` is the share of filters that go, in %."""
    return [
        f"{' and '.join(selections[name].units)}: {len(selections[name].kept)} of {selections[name].filters} filters left, "
        f"where percentile {percentile:g} leaves {100 - percentile:g} % on average; the layer has collapsed, and "
        "fine-tuning may not recover it. Take mode: percentile with scope: layer, or spare it"
        for name in collapsed(selections, percentile)
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of :func:`layer_rows` as aligned text, with the totals last."""
    header = ("layer", "filters", "", "left", "parameters", "", "left", "M multiply-adds", "", "left", "threshold")
    sums: dict[str, Any] = {"layer": "total", **totals(rows), "threshold": None, "spared": False, "tied_to": []}
    lines = [header, *(tuple(_cells(row)) for row in (*rows, sums))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < column < len(header) - 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
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
