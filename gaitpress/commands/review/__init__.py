"""Say what a branch changes, as a comment on its pull request, and whether dvc.lock is right.

    python -m gaitpress review origin/main
    python -m gaitpress review origin/main --picture change.png > comment.md

It compares what is checked out, with edits that are not committed, with the commit at which it left the branch that is
named, and prints Markdown: settings, variants, the choice. Records come from results/, DVC's cache or its store; nothing
else is fetched, and nothing here changes. The exit status is 1 if stages are out of date, so that dvc.lock is not what
params.yaml and the code say, or if records that it names are in no store that can be reached from here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from gaitpress.commands.forecast import Forecast, forecast
from gaitpress.commands.review import comment, picture, side
from gaitpress.durations import recorded
from gaitpress.errors import StageError
from remote import inventory
from workflow.dvc import plain
from workflow.dvc.stages import Pipeline, PipelineError, read_yaml
from workflow.dvc.stale import stale


def outdated() -> tuple[dict[str, list[str]], Forecast]:
    """The stages that dvc.lock does not have as they are declared, each with what differs; and what running them costs.

    Raises:
        StageError: DVC cannot say.
    """
    try:
        pipeline = Pipeline.read("dvc.yaml", read_yaml("params.yaml"))
        differing = stale(pipeline)
    except (PipelineError, plain.Failure) as error:
        raise StageError(" ".join(str(error).split())) from None
    return differing, forecast(plain.following(pipeline, differing), recorded(), list(inventory.load("remote/devices.yaml")))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gaitpress review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="the branch or commit to compare with, such as origin/main")
    parser.add_argument("--picture", type=Path, help="a PNG file to write: rank-1 against time, before and now")
    options = parser.parse_args()
    commit = side.branching_point(options.base)
    differing, costs = outdated()
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("before", "now")]
        name = commit[:8] if commit.startswith(options.base) else f"{options.base} ({commit[:8]})"
        before = side.read(name, commit, folders[0])
        now = side.read("this branch", None, folders[1])
    print(comment.markdown(before, now, differing, costs))
    if options.picture:
        picture.write(options.picture, before.rows, now.rows)
    sys.exit(bool(differing or now.fault))
