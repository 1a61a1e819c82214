"""A board that reboots in each phase of a stage's work: what is said, what is tried again, and that nothing half is kept."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from gaitpress.outputs import begun_path
from gaitpress.timing.shapes import TURNS
from remote.errors import DeviceError
from remote.lock import held
from remote.python import interpreter
from remote.transport import connect
from simulator.ssh_server import Server
from stages.probe import probe
from tests.support import commands, wheels
from tests.support.device_world import World
from tests.support.toy import make_small

# Each waits for a board that is down for some seconds.
pytestmark = pytest.mark.slow
DOWN_S = 2.0


@contextmanager
def rebooting(server: Server, when: Callable[[], object], orderly: bool = False) -> Iterator[None]:
    """Reboot the board in this context as soon as something holds."""
    over = threading.Event()

    def reboot() -> None:
        while not when():
            if over.is_set():
                return
            time.sleep(0.01)
        server.reboot(DOWN_S, orderly)
        rebooted.set()

    rebooted = threading.Event()
    thread = threading.Thread(target=reboot)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        assert rebooted.is_set()


@pytest.fixture
def world(tmp_path: Path, server: Server) -> World:
    world = World(tmp_path, (0,))
    entry = {"transport": server.address, "runtime": "onnxruntime", "options": {"python": sys.executable}}
    YAML().dump({"local": entry}, world.devices)
    probe("local", world.devices, world.facts)
    return world


def left_there(server: Server) -> set[str]:
    """What lies on the board that is neither a whole file by its content's name nor a folder that its links have used."""
    return {path.name for path in (server.home / "files").iterdir() if len(path.name) != 64}


def test_a_look_at_the_board_waits_for_it_and_looks_again(world: World, server: Server) -> None:
    before = world.facts.read_bytes()
    world.facts.unlink()
    with rebooting(server, lambda: server.agents("facts")):
        probe("local", world.devices, world.facts)
    assert world.facts.read_bytes() == before


def test_a_file_on_its_way_is_continued(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(np.random.default_rng(0).bytes(48 << 20))

    def half_sent() -> bool:
        return any(part.stat().st_size > 1 << 20 for part in (server.home / "files").glob("*.part"))

    with connect("board", server.address) as link:
        assert link.home
        with rebooting(server, half_sent):
            there = link.place(source)
        assert Path(there).read_bytes() == source.read_bytes()
    assert left_there(server) == set()


@pytest.mark.parametrize("orderly", [False, True], ids=["power", "shutdown"])
@pytest.mark.parametrize("phase", ["build", "benchmark", "run"])
def test_work_that_a_reboot_ends_is_no_result_and_the_next_try_is_whole(
    world: World, server: Server, phase: str, orderly: bool
) -> None:
    work, made = {
        "build": (world.build, world.engine()),
        "benchmark": (world.benchmark, world.record()),
        "run": (world.recognise, world.rates()),
    }[phase]
    if phase != "build":
        world.build()
    with (
        rebooting(server, lambda: server.agents(phase), orderly),
        pytest.raises(
            DeviceError, match=r"local: the connection|ended from outside; nothing was recorded|cannot be reached"
        ) as raised,
    ):
        work()
    print(f"{phase}: {raised.value}")
    assert len(str(raised.value).splitlines()) == 1
    assert not made.exists()
    assert not list(made.parent.glob(".*"))
    assert work()["status"] == "ok"
    assert left_there(server) == set()


def test_times_by_width_go_on_where_a_reboot_ended_them(world: World, server: Server, capfd: pytest.CaptureFixture) -> None:
    make_small(
        world.params,
        **{"prune.mode": "latency", "prune.device": "local", "prune.reconstruct": False},
        **{"benchmark.repeats": 1, "benchmark.min_queries": 2, "benchmark.warmup_s": 0.0, "benchmark.duration_s": 0.01},
    )
    table = world.where / "times/local/gaitset.json"
    kept = begun_path(table)

    def times() -> subprocess.CompletedProcess[str]:
        return commands.stage(
            "times", "--params", world.params, "--device", "local", "--model", "gaitset", "--devices", world.devices,
            "--facts", world.facts, "--out", table,
        )  # fmt: skip

    def networks() -> dict[str, int]:
        """The networks that were built so far, and when."""
        return {path.parent.name: path.stat().st_mtime_ns for path in kept.glob("*/network.json")}

    def turns() -> list[str]:
        return (kept / TURNS).read_text().splitlines() if (kept / TURNS).exists() else []

    def at_work(phase: str, finished: int) -> bool:
        """Whether the board builds or measures a network, after so many others."""
        return len({"build": networks, "times": turns}[phase]()) >= finished and bool(server.agents(phase))

    for phase, orderly, finished in (
        ("build", False, 2),
        ("build", True, 5),
        ("times", False, 2),
        ("times", True, 5),
    ):
        built, measured = networks(), turns()
        with rebooting(server, partial(at_work, phase, finished), orderly):
            done = times()
        last = done.stderr.splitlines()[-1]
        print(f"{phase}: {last}")
        assert done.returncode == 1
        assert re.search(r"error: local: the connection|ended from outside; nothing was recorded|cannot be reached", last)
        assert not table.exists()
        # What was done before is still there, and was not done again.
        assert built.items() <= networks().items()
        assert turns()[: len(measured)] == measured
    with rebooting(server, lambda: server.agents("facts")):
        done = times()
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert not kept.exists()
    assert left_there(server) == set()


def test_the_lock_of_a_board_that_reboots_is_taken_again_and_never_left_behind(server: Server) -> None:
    with connect("board", server.address) as link, held(link, "a job"):
        server.reboot(DOWN_S)
        assert link.run(["true"], repeatable=True).code == 0
        with connect("board", server.address) as other:
            holder = other.start([other.python, other.place(Path("remote/lock_holder.py")), "another", "a job", "alone"])
            assert b"waiting_for" in holder.stdout.readline()
            holder.kill()
    with connect("board", server.address) as other, held(other, "the next job"):
        pass


def test_an_environment_that_a_reboot_cut_off_is_made_anew(
    servers: Callable[..., Server], tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    index = wheels.index(tmp_path / "wheels", numpy="9.0", onnxruntime="9.1")
    server = servers(
        PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index), PIP_CONFIG_FILE="/dev/null", PATH=f"{sys.base_prefix}/bin:/usr/bin:/bin"
    )
    needs, folder = ("numpy", "onnxruntime"), "python"

    def installing() -> bool:
        return any(server.home.glob("run/*/python/lib/python*/site-packages/pip"))

    with connect("board", server.address) as link:
        assert link.home
        with rebooting(server, installing), pytest.raises(DeviceError, match="board: the connection was lost") as raised:
            interpreter.interpreter(link, {}, needs, folder)
        assert len(str(raised.value).splitlines()) == 1
        assert not (server.home / folder).exists()
        assert not interpreter.is_there(link, needs, folder)
        python = interpreter.interpreter(link, {}, needs, folder)
        said = link.run([python, "-c", "import numpy, onnxruntime; print(numpy.__version__, onnxruntime.__version__)"])
    assert said.stdout == b"9.0 9.1\n"
    assert capfd.readouterr().err.count("installing numpy and onnxruntime") == 2
