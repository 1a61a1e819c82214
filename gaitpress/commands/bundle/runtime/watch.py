"""Name people in a live picture or a video by how they walk.

    python watch.py --source 0 --enrol ada          # ada walks by, alone, some times; Ctrl-C ends it
    python watch.py --source 0                      # names whoever walks by
    python watch.py --source walk.mp4 --headless --out named.mp4
    python watch.py --list                          # who is enrolled; --forget NAME deletes somebody

The camera must stand still, and its place must be empty at some time of the first seconds. A line of JSON tells each name:
"person" is null for nobody who is enrolled, "votes" says how many of the last windows agree. Only signatures of people who
were enrolled are stored, no pictures. Ask people before you enrol or name them; MODEL_CARD.md has the limits.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import closing
from pathlib import Path

from gaitpress_runtime import watch_options, watching
from gaitpress_runtime.gallery import GalleryFile
from gaitpress_runtime.source import SourceError

BUNDLE = Path(__file__).resolve().parent


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _keep_people(options: argparse.Namespace, gallery: GalleryFile) -> None:
    """Do what --list, --forget, --export or --import ask for."""
    if options.forget is not None:
        count = gallery.forget(options.forget)
        print(f"{options.gallery}: {options.forget} is deleted, with {count} signature{'s' * (count != 1)}")
    elif options.export is not None:
        name, to = options.export
        gallery.export(name, Path(to))
        print(f"{to}: {name}")
    elif options.taken is not None:
        if not options.taken.is_file():
            raise ValueError(f"{options.taken}: no such file")
        gallery.add(GalleryFile.open(options.taken, BUNDLE))
    print(gallery.in_words())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    watch_options.add_options(parser)
    options = parser.parse_args()
    keeps = options.list or options.forget is not None or options.export is not None or options.taken is not None
    if options.source is None and not keeps:
        parser.error("--source: say what to watch, or --list, --forget, --export or --import")
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        gallery = GalleryFile.open(options.gallery, BUNDLE)
        if keeps:
            _keep_people(options, gallery)
            return
        with closing(watching.Watching(options, BUNDLE, gallery, _tell)) as watched:
            try:
                for event in watched.events():
                    print(json.dumps(event), flush=True)
            except KeyboardInterrupt:
                _tell("stopped")
        _tell(watched.in_words())
    except BrokenPipeError:  # whoever read it has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OSError, ValueError, RuntimeError, SourceError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
