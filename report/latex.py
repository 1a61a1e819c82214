r"""The variants as a LaTeX table: ``\input{variants.tex}``, with the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gaitpress.results import digits, figures, words
from gaitpress.results.records import Condition, Row, by_device

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
SPECIAL |= {"\N{MINUS SIGN}": "$-$"}
SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}
SHOWN = {
    figures.LATENCY: "p50 (ms)",
    figures.TIME: "ms/video s",
    figures.SPEEDUP: "speed-up",
    figures.SIZE: "MB",
    figures.ENERGY: "mJ",
}


def escaped(text: str) -> str:
    """Text in which no character means anything to LaTeX."""
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda match: SPECIAL[match[0]], text)


def table(rows: Sequence[Row]) -> str:
    """One ``table`` a device, of the variants that were measured; Pareto-optimal ones are bold, invalid ones have a dagger.

    What the figures are evidence of stands in the caption.
    """
    return "\n".join(_table(own) for own in by_device([row for row in rows if row.shown.status == "ok"]).values())


def _table(rows: Sequence[Row]) -> str:
    kinds = words.conditions(rows)
    dataset = rows[0].get("variant", "dataset")
    caption = escaped(
        f"Mean rank-1 in % on {dataset} ({words.data(rows)}) and the median time of a query, {words.place(rows)}, "
        f"{words.runtime(rows)}. Brackets: 95 % intervals; {words.counts(rows)}. "
        "Bold: Pareto-optimal. Loss: points of mean rank-1 below unpruned fp32, with its paired interval. "
        "Speed-up: against unpruned fp32."
    )
    if any(row.same_as for row in rows):
        caption += escaped(" best = X: no other engine, X is the fastest of the precisions measured.")
    if any(not row.shown.eligible for row in rows):
        caption += r" $^\dagger$: times not valid, or not worth it."
    head = ["variant", "mean", r"[95 \%]", "loss", r"[95 \%]"]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(head) - 1 + len(kinds) + len(SHOWN))}}}",
        r"\toprule",
        " & ".join([*head, *(escaped(kind.title) for kind in kinds), *SHOWN.values()]) + r" \\",
        r"\midrule",
        *(_line(row, kinds) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row, kinds: Sequence[Condition]) -> str:
    shown = row.shown
    cells = [
        figures.RANK1.text(shown),
        f"[{digits.interval(*shown.rank1_interval, 'percent')}]",
        figures.LOSS.text(shown),
        f"[{digits.interval(figures.LOSS_LOW.of(shown), figures.LOSS_HIGH.of(shown), 'points')}]",
        *(digits.percent(shown.rank1_of(kind).get("rate")) for kind in kinds),
        *(figure.text(shown).removesuffix("×") for figure in SHOWN),
    ]
    name = escaped(f"{row.name} {row.verdict}" if row.same_as else row.name)
    name = rf"\textbf{{{name}}}" if row.optimal else name
    return " & ".join([name + ("" if shown.eligible else r"$^\dagger$"), *map(escaped, cells)]) + r" \\"
