"""A board whose clock is a day off, or that thinks it is 1970, or that sets its clock while it works."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from remote.check import check
from remote.inventory import Device
from remote.lock import held
from remote.python import interpreter
from remote.runtimes.tensorrt.onboard import engines
from remote.transport import connect
from simulator.ssh_server import Server
from stages.probe import probe
from tests.support import wheels
from tests.support.clocks import Clock
from tests.support.device_world import World

CLOCKS = ("+24h", "-24h", "@1970-01-01 00:05:00")


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def board(servers: Callable[..., Server], clock: Clock) -> Server:
    return servers(**clock.env)


def test_a_check_says_how_wrong_the_clock_is_and_what_follows(clock: Clock, board: Server) -> None:
    device = Device("board", board.address, "onnxruntime", {"python": sys.executable})

    def of_date() -> tuple[str, str]:
        [finding] = [finding for finding in check(device) if finding.what == "date"]
        return finding.verdict, finding.text

    assert of_date() == ("ok", "its clock and this computer's agree")
    for to, words in (("+24h", "1 days and 0 h ahead of this computer"), ("-24h", "1 days and 0 h behind this computer")):
        clock.set(to)
        verdict, text = of_date()
        assert verdict == "warning"
        assert words in text
    clock.set("@1970-01-01 00:05:00")
    assert of_date()[1].startswith("it is 1970-01-01 00:")


SET = [*((clock, clock) for clock in CLOCKS), ("@1970-01-01 00:05:00", "+0"), ("+24h", "-24h")]


# A day's work of a board by each clock, and by clocks that are set while it works: half a minute each.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"), [*zip(CLOCKS, CLOCKS, strict=True), ("@1970-01-01 00:05:00", "+0"), ("+24h", "-24h")]
)
def test_engines_times_and_dates_do_not_depend_on_a_boards_clock(
    tmp_path: Path, clock: Clock, board: Server, first: str, then: str
) -> None:
    clock.set(first)
    world = World(tmp_path, (0,))
    entry = {"transport": board.address, "runtime": "onnxruntime", "options": {"python": sys.executable}}
    YAML().dump({"local": entry}, world.devices)
    probe("local", world.devices, world.facts)
    built = world.build()
    assert built["status"] == "ok"
    assert 0 <= built["seconds"] < 60
    setting = threading.Timer(0.5, clock.set, [then])
    setting.start()
    began = time.time()
    record = world.benchmark()
    setting.join()
    assert record["status"] == "ok"
    assert 0 < record["latency_ms"]["min"] <= record["latency_ms"]["max"] < 60_000
    assert began - 2 <= datetime.fromisoformat(record["measured_at"]).astimezone(UTC).timestamp() <= time.time()
    assert world.recognise()["status"] == "ok"
    assert world.build()["key"] == built["key"]


def test_the_lock_tells_how_long_it_is_held_whatever_the_clock_does(
    clock: Clock, board: Server, capfd: pytest.CaptureFixture
) -> None:
    with connect("board", board.address) as first, connect("board", board.address) as second, held(first, "a job"):
        clock.set("+24h")
        waiting = threading.Timer(1.0, clock.set, ["-24h"])
        waiting.start()
        holder = second.start([second.python, second.place(Path("remote/lock_holder.py")), "another", "a job", "alone"])
        holding = json.loads(holder.stdout.readline())["waiting_for"]
        waiting.join()
        holder.kill()
    assert 0 <= holding["seconds"] < 600


def test_an_engine_that_was_built_before_the_clock_was_set_is_kept(tmp_path: Path) -> None:
    built, kept, old = tmp_path / "new.partial", tmp_path / "new.plan", tmp_path / "old.plan"
    for path in (built, old):
        path.write_bytes(path.name.encode())
        os.utime(path, (300, 300))  # in 1970
    known = engines.keep({"built": str(built), "path": str(kept), "known": {"seconds": 1}})
    assert known["bytes"] == len("new.partial")
    assert engines.cached({"path": str(kept)}) == known
    assert not old.exists()


@pytest.mark.slow  # pip makes an environment: half a minute
def test_a_board_that_thinks_it_is_1970_gets_its_packages(
    servers: Callable[..., Server], tmp_path: Path, clock: Clock
) -> None:
    clock.set("@1970-01-01 00:05:00")
    index = wheels.index(tmp_path / "wheels", numpy="9.0", onnxruntime="9.1")
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}
    server = servers(**clock.env, **pip, PATH=f"{sys.base_prefix}/bin:/usr/bin:/bin")
    with connect("board", server.address) as link:
        python = interpreter.interpreter(link, {}, ("numpy", "onnxruntime"), "python")
        assert link.run([python, "-c", "import numpy, onnxruntime"]).code == 0
