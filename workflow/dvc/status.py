"""Print the addresses of the stages that DVC finds changed, a line each; with --restore, first restore known results.

    python -m workflow.dvc.status             `dvc --wait-for-lock status`, in a third of the processor time
    python -m workflow.dvc.status --restore   the same, after it has restored stages from DVC's run-cache; their addresses
                                              come as lines on standard input, which it reads when all else is ready

One process restores a hundred stages, such as after a parameter was set back, in the time that ten jobs need to start.
It computes nothing: a stage of which DVC knows no result stays as it is, and so do the stages that follow from it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from workflow.dvc.way import Way, as_program


@contextmanager
def answering() -> Iterator[TextIO]:
    """Keep the standard output for the answer alone; DVC's own messages go to the standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        yield answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restore", action="store_true", help="first restore the results that DVC knows")
    restore = parser.parse_args().restore

    def ask(dvc: Way) -> None:
        with answering() as answer:
            for address in dvc.changed_after_restoring(map(str.strip, sys.stdin)) if restore else dvc.changed():
                print(address, file=answer)

    as_program(ask)
    sys.stderr.flush()
    os._exit(0)  # the kernel frees the memory: freeing it piece by piece takes Python an eighth of this time


if __name__ == "__main__":
    main()
