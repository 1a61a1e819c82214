import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from simulator.ssh_server import SSHD, Server, new_key
from tests.support import shared
from tests.support.device_world import World

# Tests run side by side. Threads that wait for processors spin: a training that took all cores did three times the work.
# The frameworks read these when they are loaded; stages and tests ask for the threads that they need.
for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(pool, "1")

# How long an example takes says nothing on a busy machine.
settings.register_profile("gaitpress", deadline=None, derandomize=True)
settings.load_profile("gaitpress")


def pytest_configure() -> None:
    """Search for no garbage while modules are imported: that would take a sixth of their time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on search for garbage, but not among modules and tests, which stay."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of the upper floors first, last by name: theirs take longest, and a run that ends with short ones leaves no core
    idle."""
    items.sort(key=lambda item: str(item.path), reverse=True)


@pytest.fixture(scope="session", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The lock of this machine as a device is of these tests only: they wait for nobody's measurement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAITPRESS_MACHINE", str(tmp_path_factory.mktemp("machine")))
        yield


@pytest.fixture(scope="session")
def measured_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two variants, measured, and an empty MLflow database; to be copied."""
    with shared.folder(tmp_path_factory, "world") as (where, empty):
        if not empty:
            return World.at(where)
        world = World(where)
        for percentile in (0, 50):
            world.build(percentile)
            world.benchmark(percentile)
            world.recognise(percentile)
        from tracking.server import TrackingServer

        TrackingServer(f"sqlite:///{where}/mlflow.db", "unused").open()
        return world


@pytest.fixture
def drawn() -> None:
    """For a test that looks at a report's pictures."""


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their pictures, which take three quarters of the time, but for tests that ask for ``drawn``."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("report.pareto_plot.write", lambda out, rows: None)
        monkeypatch.setattr("report.staircase_plot.write", lambda out, rows: None)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the one who logs in, with a key; becomes this process's own."""
    if SSHD is None:
        pytest.skip("there is no sshd here (Debian: apt install openssh-server)")
    home = tmp_path / "client"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    new_key(home / ".ssh/id_ed25519")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return home


@pytest.fixture
def servers(tmp_path: Path, client: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that let the client in."""
    started: list[Server] = []

    def start(name: str = "board", known: bool = True, **env: str) -> Server:
        server = Server(tmp_path / name, client / ".ssh/id_ed25519", **env)
        started.append(server)
        if known:
            with (client / ".ssh/known_hosts").open("a") as file:
                file.write(server.known)
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def server(servers: Callable[..., Server]) -> Server:
    """One server, whose key the client knows."""
    return servers()
