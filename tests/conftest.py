from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("gaitpress", deadline=None, derandomize=True)
settings.load_profile("gaitpress")


@pytest.fixture(scope="session", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The lock of this machine as a device is of these tests only: they wait for nobody's measurement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        yield
