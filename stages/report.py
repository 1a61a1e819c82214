"""Show which variants are worth deploying: a page, pictures, a table and the figures behind them.

Only the variants that params.yaml lists are read. The same records give the same files.
"""

from __future__ import annotations

from pathlib import Path

from stages import io, params
from stages.reporting import latex, page, pareto_plot, staircase_plot, table
from stages.reporting.records import load
from stages.reporting.work import Folders


def report(records: Path, folders: Folders, out: Path, settings: params.Params) -> str:
    """Write the page, pictures, tables and figures.

    Args:
        records, folders: what the stages made.
        out: the folder to write: index.html, pareto and staircase as .png and .svg, pareto.txt, metrics.json, and
            variants as .csv, .tex and .json.
        settings: of the run.

    Returns:
        The table for a terminal.
    """
    rows = load(records, settings)
    text = table.text(rows)
    with io.new_directory(out) as partial:
        (partial / "index.html").write_text(page.render(rows, records, folders, out, settings), encoding="utf-8")
        (partial / "pareto.txt").write_text(text, encoding="utf-8")
        pareto_plot.write(partial, rows)
        staircase_plot.write(partial, rows)
        table.write_csv(partial / "variants.csv", rows)
        (partial / "variants.tex").write_text(latex.table(rows), encoding="utf-8")
        io.write_json(partial / "metrics.json", table.metrics(rows))
        io.write_json(partial / "variants.json", table.figures(rows))
    return text


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--records", type=Path, required=True, help="directory of benchmark records")
    parser.add_argument("--trained", type=Path, required=True, help="directory of trained models (results/train)")
    parser.add_argument("--pruned", type=Path, required=True, help="directory of pruned models (results/prune)")
    parser.add_argument("--finetuned", type=Path, required=True, help="directory of fine-tuned models (results/finetune)")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    given, settings = io.parse(parser)
    folders = Folders(given.trained, given.pruned, given.finetuned)
    print(report(given.records, folders, given.out, settings))
    print(f"{given.out / 'index.html'}: open it in a browser")


if __name__ == "__main__":
    io.run(main)
