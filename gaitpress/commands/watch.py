"""Name people in a live picture or a video with a bundle.

    python -m gaitpress watch --bundle shipped/gait --source 0 --enrol ada
    python -m gaitpress watch --bundle shipped/gait --source rtsp://camera/stream
    python -m gaitpress watch --bundle shipped/gait --source walk.mp4 --headless --out named.mp4
    python -m gaitpress watch --bundle shipped/gait --list

It runs the bundle's own watch.py, which does the same on a board that has the bundle alone. docs/watch.md goes from the
camera to the first name.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gaitpress.commands.bundle.runtime import watch_options
from gaitpress.errors import StageError

PROGRAM = "watch.py"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m gaitpress watch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--bundle", type=Path, required=True, help="the folder that `python -m gaitpress bundle` wrote")
    watch_options.add_options(parser)
    bundle: Path = parser.parse_args().bundle
    program = bundle / PROGRAM
    if not program.is_file():
        what = "no bundle with watch.py" if bundle.is_dir() else "no such folder"
        raise StageError(f"--bundle {bundle}: {what}; `python -m gaitpress bundle --out FOLDER` writes one")
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--bundle")
    _, others = own.parse_known_args()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, str(program), *others])
