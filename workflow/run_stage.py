"""Let DVC bring one stage up to date: `dvc --wait-for-lock repro --single-item ADDRESS` in half the processor time.

DVC decides what to do, does it and keeps its books, by the same code. What is spared is its command line and the rewriting
of all of dvc.lock, which are a matter of seconds in each of a hundred jobs.

    python -m workflow.run_stage train@gaitset
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from dvc.exceptions import DvcException
from dvc.log import logger
from dvc.repo import Repo
from dvc.stage import PipelineStage

from workflow import lock_file

FAILED, INTERRUPTED = 255, 252  # as dvc


def run(address: str) -> None:
    """Run a stage, restore what it is known to make, or find that there is nothing to do.

    Raises:
        DvcException: it failed, or there is no such stage.
    """
    with Repo(_wait_for_lock=True) as repo:
        # Jobs run beside each other, so that a stage's inputs are not looked at again here: single_item.
        repo.reproduce(address, single_item=True, repro_fn=_reproduced)


def _reproduced(stage: PipelineStage, **options: Any) -> PipelineStage | None:
    changed = stage.reproduce(**options)
    if changed:
        lock_file.record([stage])
    return changed


def main() -> None:
    gc.disable()  # a tenth of the time of reading dvc.lock, and this process does not live long
    (address,) = sys.argv[1:]
    try:
        run(address)
    except KeyboardInterrupt:
        logger.error("interrupted by the user")
        sys.exit(INTERRUPTED)
    except DvcException:
        logger.exception("")  # DVC's log shows the chain of messages, without a traceback
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
