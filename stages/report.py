"""Show which variants are worth deploying: a page, a picture, a table and the figures behind them.

Only the variants that params.yaml lists are read. The same records give the same files.
"""

from __future__ import annotations

from pathlib import Path

from stages import io, params
from stages.reporting import page, plots, table
from stages.reporting.records import load


def report(records: Path, out: Path, settings: params.Params) -> str:
    """Write index.html, pareto.png, pareto.txt, variants.csv and metrics.json into the directory ``out``.

    Returns:
        The table for a terminal.
    """
    rows = load(records, settings)
    text = table.text(rows)
    with io.new_directory(out) as partial:
        (partial / "index.html").write_text(page.render(rows, records, out, settings), encoding="utf-8")
        (partial / "pareto.txt").write_text(text, encoding="utf-8")
        plots.write_png(partial / "pareto.png", rows)
        table.write_csv(partial / "variants.csv", rows)
        io.write_json(partial / "metrics.json", table.metrics(rows))
    return text


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--records", type=Path, required=True, help="directory of benchmark records")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    given, settings = io.parse(parser)
    print(report(given.records, given.out, settings))
    print(f"{given.out / 'index.html'}: open it in a browser")


if __name__ == "__main__":
    io.run(main)
