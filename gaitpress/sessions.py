"""What every training needs around it, dense or after pruning: its processes, checkpoints and curves."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import gait.models
from gait import losses, protocols
from gait.data.prepared.sets import TestSet
from gait.training.checkpoints import Checkpoints
from gaitpress import naming, outputs
from gaitpress.params import Params
from gaitpress.params.model import Model
from tracking.curves import Curves

OF_TRAINING = ("gait.data", "gait.losses", "gait.models", "gait.networks", "gait.training")
PR_SET_PDEATHSIG = 1


def in_processes(count: int) -> None:
    """Go on in ``count`` processes that train together; the process that started them ends here.

    Processes that ``torchrun`` started, on one machine or several, simply go on, however many they are.
    """
    if "LOCAL_RANK" in os.environ:  # unlike WORLD_SIZE, which a cluster may set too
        # The process that started this one may be killed without notice, and must not leave it behind.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    if count == 1:
        return
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    module = sys.modules["__main__"].__spec__
    assert module is not None  # stages are run with `python -m`
    try:
        elastic_launch(config, sys.executable)("-m", module.name, *sys.argv[1:])
    except ChildFailedError:
        sys.exit(1)  # the process that failed has printed why
    sys.exit(0)


@dataclass
class Session:
    """One run of a stage that trains.

    Attributes:
        processes: the processes that train together.
        workers: the number of workers that make batches ahead.
        validation: the test on people set aside, if there are any.
    """

    processes: Any
    workers: int
    validation: TestSet | None
    _begun: Path
    _every_s: float
    _curves: Curves | None
    _phases: int = 0

    def phase(self, library: ModuleType, model: Any) -> dict[str, Any]:
        """The arguments that the next phase of training takes beside the model and its settings."""
        self._phases += 1
        directory = self._begun / f"phase{self._phases}"
        if self._curves is not None:
            self._curves.begin_phase()
        checkpoints = Checkpoints(directory, self._every_s, lambda where: library.save(model, where))
        if self._curves is not None and checkpoints.latest():
            print(f"going on from {checkpoints}", file=sys.stderr)
        return {
            "processes": self.processes,
            "workers": self.workers,
            "checkpoints": checkpoints,
            "watcher": self._curves,
            "validation": self.validation,
        }


@contextmanager
def session(
    trains: ModuleType,
    name: str,
    settings: Params,
    model: str,
    out: Path,
    uses: Mapping[str, Any],
    files: Iterable[Path],
    validation: TestSet | None,
) -> Iterator[Session]:
    """Begin a training, or go on with a training that was killed.

    Args:
        trains: the module that trains models of the framework.
        name: name of the training, such as "train/gaitset".
        settings: params.yaml.
        model: its entry in params.yaml.
        out: the directory that the stage will write.
        uses: the settings that can change the result.
        files: the files and folders whose content can change it.
        validation: the test on people set aside, if there are any.
    """
    key = json.dumps(
        [uses, settings.train.processes, _digests([*files, *_sources(model, settings.model[model], validation)])],
        sort_keys=True,
    )
    common = (settings.train.workers, validation, outputs.begun_path(out), settings.train.checkpoint_s)
    with trains.joined() as processes:
        if not processes.first:
            processes.wait()
            yield Session(processes, *common, None)
            return
        with (
            outputs.begun(out, key) as begun,
            Curves(name, begun / "curves.json", settings.mlflow) as curves,
        ):
            processes.wait()
            yield Session(processes, *common, curves)


def _sources(model: str, entry: Model, validation: TestSet | None) -> list[Path]:
    """The code that trains a model: the loaded modules of ``gait``, the model's own file, those of its losses and of its
    validation."""
    model_file = Path(gait.models.__path__[0]) / f"{model}.py"
    loaded = [module.__file__ for name, module in sys.modules.items() if name.startswith(OF_TRAINING)]
    terms = [term for phase in entry.phases() for term in phase.loss]
    files = [model_file, *(Path(file) for file in loaded if file), *(losses.source(term.name) for term in terms)]
    if validation is None:
        return files
    return [
        *files,
        *naming.modules(naming.VALIDATION_CODE[entry.framework]),
        protocols.source(protocols.name_of(validation.protocol)),
    ]


def _digests(paths: Iterable[Path]) -> list[str]:
    """The sha256 of files and of all files in folders; whoever reads a missing file reports it."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sorted({hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()})
