"""Let DVC bring one stage up to date: `dvc --wait-for-lock repro --single-item ADDRESS` in a fraction of the processor time.

DVC decides what to do, does it and keeps its books, by the same code. This spares its command line, and reading and writing
the entries of all other stages in dvc.lock, which take seconds in each of a hundred jobs. And DVC records the inputs of a
stage as they were before the stage began, where by itself it looks again afterwards: the stage checks that it began with the
same inputs (gaitpress/started.py). With an unknown version of DVC the command itself runs.

    python -m workflow.dvc.run_stage train@gaitset
    python -m workflow.dvc.run_stage train@gaitset --on "$(uname -n)"

It waits for a process that is making the stage already, such as a job of a Snakemake that was killed.

DVC's list of locks has the arguments of each process. With --on the list says to which node of a cluster a process belongs;
all nodes share the list.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from workflow.dvc.way import Way, as_program

POLL_S = 1.0


def run(dvc: Way, address: str) -> None:
    """Bring a stage up to date; wait for a process that is making it already.

    Raises:
        dvc.Failure: the stage failed, or there is no such stage.
    """
    waiting = False
    while True:
        try:
            dvc.run(address)
            return
        except dvc.Busy as busy:
            if not waiting:
                print(f"waiting, for another process is at work: {busy}", file=sys.stderr)
            waiting = True
            time.sleep(POLL_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="as `dvc repro` takes it")
    parser.add_argument("--on", metavar="NODE", help="the name of this computer")
    address = parser.parse_args().address
    # If this process is killed, the stage ends too, because the kernel tells it of the end of its parent. So its parent must
    # not be a shell that lives on: bash puts the stage in its own place, other shells stay.
    os.environ["SHELL"] = shutil.which("bash") or os.environ.get("SHELL", "")
    as_program(lambda dvc: run(dvc, address))


if __name__ == "__main__":
    main()
