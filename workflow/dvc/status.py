"""Print the addresses of the stages that DVC finds changed, a line each, and first bring back what it has computed before.

    python -m workflow.dvc.status             `dvc --wait-for-lock status`, in a third of the processor time
    python -m workflow.dvc.status --restore   the same, once stages are restored from DVC's run-cache whose addresses come as
                                              lines on standard input; it is read when all else is ready

One process restores a hundred stages, such as after a parameter was set back, in the time that ten jobs need to start.
Nothing is computed: a stage of which DVC knows no result stays as it is, and so do those that follow from it.
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
    """The standard output for an answer alone; what DVC prints while it works goes to the standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        yield answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restore", action="store_true", help="bring back what stages are known to make")
    restore = parser.parse_args().restore

    def answered(dvc: Way) -> None:
        with answering() as answer:
            for address in dvc.changed_after_restoring(map(str.strip, sys.stdin)) if restore else dvc.changed():
                print(address, file=answer)

    as_program(answered)
    sys.stderr.flush()
    os._exit(0)  # what was read is left to the kernel: to free it piece by piece takes Python an eighth of this time


if __name__ == "__main__":
    main()
