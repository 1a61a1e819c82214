from pathlib import Path

import pytest

from tests.support import shared
from tests.support.study import Study, ship


@pytest.fixture(scope="session")
def measured_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A measured variant of walkers, for bundles."""
    with shared.folder(tmp_path_factory, "study") as (where, empty):
        if not empty:
            return Study.at(where)
        study = Study(where, percentiles=(50,))
        study.build(50)
        study.benchmark(50)
        study.recognise(50)
        return study


@pytest.fixture(scope="session")
def measured_bundle(measured_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle as a .zip file."""
    return ship(measured_study, tmp_path_factory.mktemp("shipped") / "bundle.zip")
