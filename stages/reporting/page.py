"""The report as one self-contained page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.params import Params
from stages.reporting import plots, words
from stages.reporting.records import Row, by_device

TEMPLATE = Path(__file__).with_name("page.html")


def render(rows: Sequence[Row], records: Path, out: Path, settings: Params) -> str:
    """The page as HTML.

    Args:
        rows: the variants.
        records: the directory of records, whose siblings hold what the other stages wrote.
        out: the directory that the page will be in, which links are relative to.
        settings: params.yaml.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    devices = [
        {
            "name": device,
            "rows": own,
            "optimal": sorted((row for row in own if row.optimal), key=lambda row: row.get("ms_per_video_second")),
            "place": words.place(own),
            "runtime": words.runtime(own),
            "wide": Markup(plots.svg(own, narrow=False)),
            "narrow": Markup(plots.svg(own, narrow=True)),
            "unsure": sorted({row.model for row in own if row.speedup and not row.baseline_valid}),
            "missing_energy": next((row.get("energy_reason") for row in own if row.get("latency_ms")), None),
            "unlabelled": sum(not row.plotted for row in own),
        }
        for device, own in by_device(rows).items()
    ]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        devices=devices,
        dataset=settings.dataset,
        data=words.data(rows),
        synthetic=any(row.get("data") == "synthetic" for row in rows),
        on_host=any(row.get("evidence") == "host" for row in rows),
        simulated=any(row.get("evidence") == "simulated" for row in rows),
        measured_at=words.measured_at(rows),
        protocol=_protocol(rows),
        prune=settings.prune,
        conditions=words.conditions(rows),
        rank1=words.rank1(rows),
        links=lambda row: _links(row, records, out),
        words=words,
    )


def _protocol(rows: Sequence[Row]) -> dict[str, Any]:
    """The protocol of the newest record that has one."""
    measured = [row for row in rows if row.get("protocol")]
    return dict(max(measured, key=lambda row: row.get("measured_at") or "").get("protocol")) if measured else {}


def _links(row: Row, records: Path, out: Path) -> list[tuple[str, str]]:
    """What the stages wrote for a variant: (stage, address relative to the page)."""
    results = records.parent
    pruned = f"{row.model}/p{row.percentile}"
    variant = f"{pruned}-{row.precision}"
    files = {
        "train": results / "train" / row.model / "metrics.json",
        "prune": results / "prune" / pruned / "metrics.json",
        "finetune": results / "finetune" / pruned / "metrics.json",
        "export": results / "export" / pruned / "metrics.json",
        "quantize": results / "quantize" / variant / "metrics.json",
        "build": results / "build" / row.device / variant / "build.json",
        "benchmark": row.path,
    }
    return [(stage, Path(os.path.relpath(file, out)).as_posix()) for stage, file in files.items()]
