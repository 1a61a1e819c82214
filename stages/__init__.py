"""The stages of the DAG: one thin module for each, run as ``python -m stages.<name>``.

A stage reads its inputs, calls a library (``gait``, ``compress`` or ``remote``) and writes its outputs whole or not at
all.
"""

import atexit
import os
import sys

if "DVC_STAGE" in os.environ:
    # First of all: DVC will say that the code that is loaded from here on made the result.
    from gaitpress import started
    from workflow.dvc.stages import PipelineError

    try:
        started.this = started.begin()
        atexit.register(started.end)  # the first to be registered is the last to run
    except (OSError, PipelineError, started.Edited, started.YAMLError) as error:
        sys.exit(f"error: {error}")
