"""Show which variants are worth deploying: a page, pictures, a table and the figures behind them.

It reads only the variants that params.yaml lists. The same records give the same files.
"""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, outputs, params
from gaitpress.results.folders import Folders
from gaitpress.results.records import load
from report import conclusion, latex, page, pareto_plot, staircase_plot, table


def report(results: Path, out: Path, settings: params.Params) -> str:
    """Write the page, pictures, tables and figures.

    Args:
        results: the parent of what the stages made.
        out: the folder to write: index.html, pareto and staircase as .png and .svg, pareto.txt, conclusion.txt,
            metrics.json, and variants as .csv, .tex and .json.
        settings: params.yaml.

    Returns:
        The table and the conclusion for a terminal; of a device with many variants, the table has those that are
        Pareto-optimal.
    """
    folders = Folders(results)
    rows = load(folders, settings)
    ending = conclusion.text(rows, settings.select)
    with outputs.new_directory(out) as partial:
        (partial / "index.html").write_text(page.render(rows, folders, out, settings), encoding="utf-8")
        (partial / "pareto.txt").write_text(table.text(rows, settings.select), encoding="utf-8")
        (partial / "conclusion.txt").write_text(ending, encoding="utf-8")
        pareto_plot.write(partial, rows)
        staircase_plot.write(partial, rows)
        table.write_csv(partial / "variants.csv", rows)
        (partial / "variants.tex").write_text(latex.table(rows), encoding="utf-8")
        outputs.write_json(partial / "metrics.json", table.metrics(rows))
        outputs.write_json(partial / "variants.json", table.main_figures(rows))
    return f"{table.text(rows, settings.select, brief=True)}\n{ending}"


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="directory with the stages' results")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    options, settings = command_line.parse(parser)
    print(report(options.results, options.out, settings))
    print(f"{options.out / 'index.html'}: open it in a browser; {options.out / 'pareto.txt'}: this table, with all variants")


if __name__ == "__main__":
    command_line.run(main)
