"""A bundle's watch.py on a device behind a real SSH server: what goes there, what comes back, and what may be missing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
from ruamel.yaml import YAML

from gait.live.scene import Passing, Scene
from gaitpress.commands.watch_study import films
from gaitpress.commands.watch_study.there import There, way
from remote.errors import DeviceError, HostKeyRefused, LinkLost
from remote.python import opencv
from remote.transport import connect
from simulator import bindings
from simulator.jetson import Jetson
from simulator.ssh_server import Server, through
from stages.probe import probe
from tests.support.study import Study, ship

SECONDS = 3.4


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of one walker."""
    path = tmp_path_factory.mktemp("films") / "walker.avi"
    films.write(Scene([Passing(40, 0.4, SECONDS)], SECONDS, width=360, height=180), path)
    return path


def test_figures_and_faults_come_back_and_nothing_but_sent_files_stays_there(
    measured_bundle: Path, film: Path, server: Server, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.avi"
    films.write(Scene([], 1, width=360, height=180), empty)
    with connect("board", server.address) as link:
        there = There(link, sys.executable, measured_bundle, {"walker": film, "empty": empty})
        with pytest.raises(DeviceError, match=r"^board: watch\.py failed there: somebody was not enrolled: nobody walked"):
            there.enrol("empty", "somebody")
        there.enrol("walker", "somebody")
        figures = there.watch("walker", tmp_path)
        assert (Path(link.scratch) / "gallery.json").exists()
    assert there.opencv == cv2.__version__
    assert figures["most_people"] == 1
    assert figures["windows"] >= 1
    assert figures["frames"] + figures["frames_dropped"] <= round(SECONDS * 25)
    assert 0 < figures["latency_ms"]["median"] <= figures["latency_ms"]["p99"]
    assert figures["cpu_s"] > 0
    assert figures["seconds"] > 1
    until(lambda: not list((server.home / "run").glob("*/*")))
    assert not list(server.home.rglob("gallery.json"))


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; what a device does at the end of a link takes some seconds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Python without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return tmp_path / "bare/bin/python"


def test_a_python_of_the_users_that_lacks_opencv_is_reported_with_what_to_type(bare: Path, server: Server) -> None:
    with connect("board", server.address) as link, pytest.raises(DeviceError) as raised:
        opencv.brought(link, str(bare))
    message = f"{bare} has no numpy and no cv2, which watch.py needs; there: `{bare} -m pip install opencv-python-headless`"
    assert str(raised.value) == f"board: {message}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"version": [3, 6], "lacks": []}', r"python3 is Python 3.6, and watch.py needs 3.8 or later"),
        ('{"version": [3, 10], "lacks": ["cv2"]}', r"python3 has no cv2, .*there: sudo apt install python3-opencv"),
    ],
)
def test_a_boards_own_python_that_is_too_old_or_lacks_opencv(
    servers: Callable[..., Server], tmp_path: Path, answer: str, said: str
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (tools / "python3").chmod(0o755)
    server = servers(PATH=f"{tools}:/usr/bin:/bin")
    with connect("board", server.address) as link, pytest.raises(DeviceError, match=said):
        opencv.brought(link, "python3")


def test_opencv_that_cannot_be_loaded_is_reported_with_the_systems_package(bare: Path, server: Server) -> None:
    [packages] = bare.parents[1].glob("lib/python*/site-packages")
    for name, text in (
        ("numpy", ""),
        ("cv2", "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"),
    ):
        (packages / f"{name}.py").write_text(text)
    with connect("board", server.address) as link, pytest.raises(DeviceError) as raised:
        opencv.brought(link, str(bare))
    assert "cv2 cannot be imported: this system lacks libGL.so.1" in str(raised.value)
    assert str(raised.value).endswith("sudo apt install libgl1")


def test_a_host_key_that_is_not_known_is_refused(measured_bundle: Path, film: Path, servers: Callable[..., Server]) -> None:
    server = servers(known=False)
    with pytest.raises(HostKeyRefused, match="python -m remote trust board"), connect("board", server.address) as link:
        There(link, sys.executable, measured_bundle, {"walker": film})
    assert not server.home.exists()


@contextmanager
def small_disk(where: Path) -> Iterator[None]:
    where.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def test_a_board_without_room_is_reported(measured_bundle: Path, film: Path, server: Server) -> None:
    said = r"^board: the bundle cannot be unpacked there: .*No space left on device"
    with (
        small_disk(server.home / "run"),
        connect("board", server.address) as link,
        pytest.raises(DeviceError, match=said),
    ):
        There(link, sys.executable, measured_bundle, {"walker": film})


def test_a_link_that_is_cut_while_people_are_watched_ends_the_study_and_watch_py(
    measured_bundle: Path, film: Path, server: Server, tmp_path: Path
) -> None:
    proxy, address = through(server, [])

    def watching() -> list[int]:
        return [pid for pid in server._programs() if b"watch.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def cut() -> None:
        while not watching():
            time.sleep(0.02)
        time.sleep(0.5)
        proxy.cut()

    with connect("board", address) as link:
        there = There(link, sys.executable, measured_bundle, {"walker": film})
        thread = threading.Thread(target=cut)
        thread.start()
        with pytest.raises(LinkLost, match="board: the connection was lost"):
            there.watch("walker", tmp_path)
        thread.join()
        with pytest.raises(LinkLost, match="the connection was lost, and the bundle and its films there with it"):
            there.watch("walker", tmp_path)
        until(lambda: not watching())
        There(link, sys.executable, measured_bundle, {"walker": film}).enrol("walker", "somebody")
    proxy.close()


@pytest.mark.slow  # a network is built, measured and tested on a simulated board
def test_a_boards_own_python_watches_with_its_engine_of_tensorrt(
    film: Path, servers: Callable[..., Server], tmp_path: Path
) -> None:
    board = Jetson(tmp_path / "root", "orin-nano")
    if not bindings.install(board):
        pytest.skip("there is no C compiler here for the board's libcudart")
    [cuda] = board.root.glob("usr/local/cuda*/lib64")
    # On a board they are in the system's folder, where a simulated one has none of its own.
    system = {"PYTHONPATH": f"{board.root}/usr/lib/python3/dist-packages", "LD_LIBRARY_PATH": str(cuda)}
    server = servers("orin-nano", GAITPRESS_SIMULATED_ROOT=str(board.root), **system)
    (tmp_path / "study").mkdir()
    study = Study(tmp_path / "study", percentiles=(50,))
    entry = {"transport": server.address, "runtime": "tensorrt", "options": {"python": sys.executable}}
    YAML().dump({"local": entry}, study.devices)
    probe("local", study.devices, study.facts)
    assert study.build(50)["status"] == "ok"
    study.benchmark(50)
    study.recognise(50)
    of = study.measured(50)
    with of.connected("a test") as (runtime, facts):
        before = len(board.calls)
        there = There(*way(runtime), ship(study, tmp_path / "bundle.zip"), {"walker": film})
        there.enrol("walker", "somebody")
        figures = there.watch("walker", tmp_path)
    assert of.device.evidence(facts) == "simulated"
    assert figures["windows"] >= 1
    assert board.calls[before:] == ["tensorrt.Runtime"] * 2
