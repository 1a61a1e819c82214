import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.support.study import Study, ship


@pytest.fixture(scope="session")
def measured_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A measured variant of walkers, for bundles; no test changes it, so that the processes of a run share it."""
    base = tmp_path_factory.getbasetemp()
    where = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "study"
    with where.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (where / "complete").exists():
            return Study.at(where)
        shutil.rmtree(where, ignore_errors=True)  # of a process that failed
        where.mkdir()
        study = Study(where, percentiles=(50,))
        study.build(50)
        study.benchmark(50)
        study.recognise(50)
        (where / "complete").touch()
        return study


@pytest.fixture(scope="session")
def measured_bundle(measured_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle as a .zip file."""
    return ship(measured_study, tmp_path_factory.mktemp("shipped") / "bundle.zip")
