"""Ship a variant: its engine and network, a model card, and a small program that recognises people.

    python -m gaitpress bundle --max-latency 5ms --min-rank1 90 --out shipped/gait
    python -m gaitpress bundle --variant local/gaitset/p30-int8 --out shipped/gait.zip

Without --variant it ships the variant that `python -m gaitpress select` names for the same limits. It never replaces a file
or folder.
"""

from __future__ import annotations

import difflib
import sys
import tempfile
from pathlib import Path

from gaitpress import command_line, outputs, params
from gaitpress.commands import select
from gaitpress.commands.bundle import contents
from gaitpress.commands.bundle.places import Places
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load


def bundle(row: Row, places: Places, out: Path) -> None:
    """Write a bundle as the folder ``out``, or as a .zip file if ``out`` ends in .zip.

    Raises:
        StageError: ``out`` exists already, or the variant cannot be shipped.
    """
    if out.exists() or out.is_symlink():
        raise StageError(f"{out}: is there already; move it aside or choose another --out")
    if out.suffix == ".zip":
        with tempfile.TemporaryDirectory() as scratch:
            contents.write(row, places, Path(scratch))
            with outputs.new_file(out) as partial:
                contents.archive(Path(scratch), partial, out.stem)
        return
    with outputs.new_directory(out) as partial:
        contents.write(row, places, partial)


def named(key: str, results: Path, settings: params.Params) -> Row:
    """The row of a variant by its key, such as "local/gaitset/p30-int8".

    Raises:
        StageError: params.yaml lists no such variant.
    """
    rows = {row.key: row for row in load(Folders(results), settings)}
    if key not in rows:
        closest = difflib.get_close_matches(key, list(rows), 1, cutoff=0)[0]
        raise StageError(f"--variant {key}: is none of params.yaml's, such as {closest}")
    return rows[key]


def main() -> None:
    parser = command_line.parser(__doc__, command="bundle")
    select.add_options(parser)
    parser.add_argument("--variant", help="such as local/gaitset/p30-int8, instead of limits")
    parser.add_argument("--out", type=Path, required=True, help="the folder or .zip file to write")
    options, settings = command_line.parse(parser)
    if options.variant:
        row = named(options.variant, options.results, settings)
    else:
        choice, limits = select.chosen(options, settings)
        if choice.best is None:
            raise StageError(f"nothing to ship; {select.in_words(choice, limits, False)}".replace("\n", "; "))
        row = choice.best
    if row.same_as:
        print(f"{row.key}: {row.choice}")
        row = row.same_as
    bundle(row, Places.of(row, Folders(options.results)), options.out)
    for reason in row.reasons:
        print(f"warning: {row.key} is {row.verdict}: {reason}", file=sys.stderr)
    print(f"{options.out}: {row.name} for {row.device}; README.md there says how to use it")
