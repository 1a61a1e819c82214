"""The check's figures as the table of docs/training.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.settings import MODELS

BEGIN, END = "<!-- gpu-check: begin -->", "<!-- gpu-check: end -->"
NOT_YET, NONE, NOT_HERE = "not measured yet", "–", ""
COLUMNS = (
    "fp32", "tf32", "bf16", "bf16 graph", "bf16 compiled", "bf16 compiled-graphs", "bf16 channels-first", "bf16 plain",
)  # fmt: skip
WORKERS = (0, 4, 8)


def table(result: Mapping[str, Any] | None) -> str:
    """A result of the check as a table in Markdown; for None, the table that says that nothing is measured yet."""
    result = result or {"parts": {}}
    about = "{device}, {date}, PyTorch {torch}".format(**result) if "device" in result else NOT_YET
    rows = [
        f"Card, date: {about}",
        "",
        _row("iterations/s", *COLUMNS, "bf16 of the limit", "bf16 peak, GiB"),
        _row(*["---"] * (len(COLUMNS) + 3)),
        *(_of_model(name, result) for name in MODELS),
        "",
        _row("what", "figure"),
        _row("---", "---"),
        *(_row(what, figure) for what, figure in _others(result)),
    ]
    return "\n".join(rows)


def fill(page: Path, result: Mapping[str, Any] | None) -> None:
    """Put the table in its place in a page.

    Raises:
        ValueError: the page has no such place, or the result is not a GPU's.
    """
    if result and (result["tiny"] or result["gpu_gib"] is None):
        raise ValueError("these figures only show that the check runs; the table is for a GPU's figures, without --tiny")
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} ... {END}")
    page.write_text(f"{before}{begin}\n{table(result)}\n{end}{after}", encoding="utf-8")


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _figure(result: Mapping[str, Any], part: str, name: str, figure: str) -> Any:
    """A figure, or None if it was not measured."""
    return result["parts"].get(part, {}).get("figures", {}).get(name, {}).get(figure)


def _cell(figure: Any, form: str = "{}") -> str:
    return NONE if figure is None else form.format(figure)


def _of_model(name: str, result: Mapping[str, Any]) -> str:
    def figure(way: str, which: str) -> Any:
        part = "compiled" if "compiled" in way else f"speed-{name}"
        return _figure(result, part, f"{name}, {way}", which)

    def peak() -> str:
        return _cell(figure("bf16", "peak_gib"))

    speeds = [_cell(figure(way, "iterations_per_s")) for way in COLUMNS]
    if name == "gaitgl":  # has no 2D maps
        speeds[COLUMNS.index("bf16 channels-first")] = NOT_HERE
    return _row(name, *speeds, _cell(figure("bf16", "limit_ratio")), peak())


def _others(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("gaitset", "gaitbase"):
        for workers in WORKERS:
            speed, waiting = (
                _figure(result, "data", f"{name}, {workers} workers", which) for which in ("iterations_per_s", "waiting")
            )
            words = NONE if speed is None else f"{speed} iterations/s, {100 * waiting:.1f} % of the time waiting for data"
            yield f"{name}, whole loop, `workers: {workers}`", words
    for name in ("baseline", "gaitset"):
        seconds = _figure(result, "casia-b-test", name, "in_all_s")
        yield f"CASIA-B's test (5,485 sequences), {name} (two GTX 1080 Ti: 15 s)", _cell(seconds, "{} s")
    embedding, ranking = (_figure(result, "oumvlp-test", name, "all_s") for name in ("embedding", "table"))
    both = None if embedding is None or ranking is None else round(embedding + ranking, 1)
    yield "OU-MVLP's test (133,780 sequences), gaitset, from a part (eight GPUs: 120 s)", _cell(both, "{} s")
    for part in ("correctness", "processes"):
        checked = result["parts"].get(part)
        failures = None if checked is None else ", ".join(checked["failures"])
        yield f"{part}", NONE if checked is None else f"failed: {failures}" if failures else checked["status"]
