"""watch.py of a real bundle: films of walkers, their names, the gallery's file, sources that misbehave."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gait.live.scene import Passing, Scene
from gaitpress import outputs
from simulator.ssh_server import free_port
from tests.support.camera import camera
from tests.support.study import Study, plain_environment, ship
from tests.support.toy import ROOT

WIDE, HIGH = 360, 180


@pytest.fixture(scope="module")
def shipped(measured_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = ship(measured_study, tmp_path_factory.mktemp("shipped") / "bundle")
    settings = json.loads((bundle / "settings.json").read_text())
    # The network has hardly learnt anything, so that any walk is near any other; the same walk is at 0.
    promised = [{"far": 1.0, "threshold": 1e6}, {"far": 0.1, "threshold": 1e-9}]
    settings["windows"] = {"enrolled": 3, "promised": promised}
    settings["signature"]["benchmark_shape"][1] = 16  # windows of more than the few frames that so short walks have
    outputs.write_json(bundle / "settings.json", settings)
    return bundle


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of one walker each, and of one who crosses another."""
    where = tmp_path_factory.mktemp("films")
    for subject in (40, 41):
        write(where / f"{subject}.avi", pictures(Scene([Passing(subject, 0.4, 3.4)], 3.4, width=WIDE, height=HIGH)))
    crossing = [Passing(40, 0.4, 3.4), Passing(41, 0.4, 3.4, (0, -0.8), 180)]
    write(where / "crossing.avi", pictures(Scene(crossing, 3.6, width=WIDE, height=HIGH)))
    return where


def pictures(scene: Scene) -> list[np.ndarray]:
    return [frame for frame, _ in scene.frames()]


def write(path: Path, frames: list[np.ndarray], fps: float = 25) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (frames[0].shape[1], frames[0].shape[0]))
    for frame in frames:
        writer.write(frame)
    writer.release()


def watch(bundle: Path, where: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(bundle / "watch.py"), *map(str, options)]
    return subprocess.run(command, cwd=where, env=plain_environment(), capture_output=True, text=True, timeout=300)


def enrol(bundle: Path, films: Path, where: Path, *subjects: int) -> None:
    for subject in subjects:
        done = watch(bundle, where, "--source", films / f"{subject}.avi", "--enrol", f"walker {subject}", "--headless")
        assert done.returncode == 0, done.stderr
        assert {json.loads(line)["enrolled"] for line in done.stdout.splitlines()} == {f"walker {subject}"}


def test_the_bundle_imports_nothing_of_the_pipeline(shipped: Path) -> None:
    packages = {"gaitpress_runtime", "numpy", "cv2", "onnxruntime", "ai_edge_litert", "tensorflow"}
    for file in shipped.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top in packages | set(sys.stdlib_module_names), (file, name)


def test_who_was_enrolled_is_named_in_a_film_with_others_and_nobody_is_by_a_strict_threshold(
    shipped: Path, films: Path, tmp_path: Path
) -> None:
    enrol(shipped, films, tmp_path, 40, 41)
    options = ["--source", films / "crossing.avi", "--headless", "--out", "named.mp4", "--figures", "figures.json"]
    done = watch(shipped, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    named = {event["person"] for event in events}
    assert named <= {"walker 40", "walker 41", None} and named != {None}  # null where windows of a track disagree
    assert {event["track"] for event in events} == {1, 2}
    assert sum(event.get("gone", False) for event in events) == 2 or "gone" not in events[-1]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["frames"], figures["frames_dropped"], figures["most_people"]) == (90, 0, 2)
    assert figures["windows"] >= 2 and 0 < figures["latency_ms"]["median"] <= figures["latency_ms"]["p99"]
    assert sum(figures["share"].values()) == pytest.approx(1)
    drawn = cv2.VideoCapture(str(tmp_path / "named.mp4"))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 90 and drawn.get(cv2.CAP_PROP_FPS) == 25
    assert [file.name for file in tmp_path.glob(".*")] == []
    again = watch(shipped, tmp_path, "--source", films / "crossing.avi", "--headless")
    assert again.stdout == done.stdout  # of a file nothing is left out, so the same comes out
    strict = watch(shipped, tmp_path, "--source", films / "crossing.avi", "--headless", "--far", "0.1")
    assert {json.loads(line)["person"] for line in strict.stdout.splitlines()} == {None}
    kept = watch(shipped, tmp_path, *options)
    assert (kept.returncode, kept.stderr) == (
        1,
        "error: named.mp4: is there already; move it aside or choose another name\n",
    )


@pytest.mark.slow
def test_who_left_before_their_first_window_had_its_signature_is_enrolled(shipped: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(shipped, bundle)
    program = bundle / "watch.py"
    slow = "from gaitpress_runtime import recogniser as r; import time; quick = r.Recogniser.signature_of\n"
    slow += "r.Recogniser.signature_of = lambda *given: (time.sleep(4), quick(*given))[1]\n"
    program.write_text(program.read_text().replace("\nif __name__", f"\n{slow}\nif __name__"))
    write(tmp_path / "40.avi", pictures(Scene([Passing(40, 0.4, 2.4)], 6.5, width=WIDE, height=HIGH)))
    done = watch(bundle, tmp_path, "--source", "40.avi", "--live", "--enrol", "walker 40", "--headless")
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(line)["windows"] for line in done.stdout.splitlines()) >= 1


def test_a_gallery_is_listed_exported_taken_over_and_forgotten_by_name(shipped: Path, films: Path, tmp_path: Path) -> None:
    enrol(shipped, films, tmp_path, 40)
    enrol(shipped, films, tmp_path, 40)
    listed = watch(shipped, tmp_path, "--list").stdout
    match = re.match(r"walker 40: (\d+) signatures of \d+ windows, last enrolled \d{4}-\d\d-\d\dT\S+\n$", listed)
    assert match is not None, listed
    count = int(match[1])
    assert count == len(json.loads((tmp_path / "gallery.json").read_text())["people"]["walker 40"]) >= 2
    assert oct((tmp_path / "gallery.json").stat().st_mode)[-3:] == "600"
    done = watch(shipped, tmp_path, "--export", "walker 40", "one.json")
    assert done.returncode == 0, done.stderr
    refused = watch(shipped, tmp_path, "--export", "walker 40", "one.json")
    assert refused.stderr == "error: one.json: is there already\n"
    wrong = watch(shipped, tmp_path, "--forget", "ada")
    assert wrong.stderr == "error: gallery.json: ada is not enrolled; there is: walker 40\n"
    done = watch(shipped, tmp_path, "--forget", "walker 40")
    assert done.stdout == f"gallery.json: walker 40 is deleted, with {count} signatures\nnobody is enrolled\n"
    assert "signature" not in (tmp_path / "gallery.json").read_text()
    done = watch(shipped, tmp_path, "--import", "one.json")
    assert done.stdout == listed
    content = json.loads((tmp_path / "gallery.json").read_text())
    assert content["people"] == json.loads((tmp_path / "one.json").read_text())["people"]
    # Nothing of a person is stored but these; no picture is as small.
    assert {key for entry in content["people"]["walker 40"] for key in entry} == {
        "enrolled",
        "windows",
        "shape",
        "signature",
    }
    other = json.dumps({**content, "network": "0" * 64})
    (tmp_path / "other.json").write_text(other)
    for file, said in {
        "other.json": "its signatures are of another network; enrol anew, as with --gallery gallery-2.json",
        "broken.json": "is no gallery that this program knows",
    }.items():
        (tmp_path / file).exists() or (tmp_path / file).write_text("{")
        refused = watch(shipped, tmp_path, "--gallery", file, "--list")
        assert (refused.returncode, refused.stderr) == (1, f"error: {file}: {said}\n")
    assert (tmp_path / "other.json").read_text() == other


@pytest.mark.slow
def test_nobody_is_enrolled_by_a_film_of_nobody_or_of_two(shipped: Path, films: Path, tmp_path: Path) -> None:
    write(tmp_path / "empty.avi", [pictures(Scene([], 0.1, width=WIDE, height=HIGH))[0]] * 40)
    short = films / "crossing.avi"
    frames = pictures(Scene([Passing(40, 0, 3, (1, 0)), Passing(41, 0, 3, (-1, 0))], 1.8, width=WIDE, height=HIGH))
    write(tmp_path / "two.avi", frames)
    for film in ("empty.avi", "two.avi"):
        done = watch(shipped, tmp_path, "--source", film, "--enrol", "ada", "--headless")
        reason = "nobody walked by alone and whole for long enough"
        assert done.stderr.splitlines()[-1] == f"error: ada was not enrolled: {reason} in {film}"
    assert not (tmp_path / "gallery.json").exists()
    refused = watch(shipped, tmp_path, "--source", short, "--enrol", " ", "--headless")
    assert refused.stderr == "error: --enrol ' ': a name has 1 to 80 letters that can be printed\n"


@pytest.mark.slow
def test_a_film_that_is_played_live_goes_at_its_own_rate(shipped: Path, films: Path, tmp_path: Path) -> None:
    enrol(shipped, films, tmp_path, 40)
    write(tmp_path / "film.avi", pictures(Scene([Passing(40, 0.4, 1.6)], 2, width=WIDE, height=HIGH)))
    start = time.monotonic()
    done = watch(shipped, tmp_path, "--source", "film.avi", "--live", "--headless", "--figures", "figures.json")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["frames"] + figures["frames_dropped"] == 50
    assert time.monotonic() - start > 49 / 25


@pytest.mark.slow
def test_large_grey_and_resized_pictures(shipped: Path, films: Path, tmp_path: Path) -> None:
    enrol(shipped, films, tmp_path, 40)
    frames = pictures(Scene([Passing(40, 0.2, 2.4)], 2, width=WIDE, height=HIGH))
    large = [cv2.resize(frame, (3840, 1920), interpolation=cv2.INTER_LINEAR) for frame in frames[::4]]
    write(tmp_path / "4k.avi", large, fps=6.25)
    writer = cv2.VideoWriter(str(tmp_path / "grey.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDE, HIGH), isColor=False)
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    writer.release()
    for film, count in (("4k.avi", len(large)), ("grey.avi", len(frames))):
        done = watch(shipped, tmp_path, "--source", film, "--headless", "--figures", f"{film}.json")
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / f"{film}.json").read_text())
        assert (figures["frames"], figures["most_people"], figures["tracks"]) == (count, 1, 1), film


def test_a_camera_that_stops_stutters_and_changes_its_size_is_watched_until_ctrl_c(shipped: Path, tmp_path: Path) -> None:
    frames = pictures(Scene([Passing(40, 0, 6, (0, 0))], 3, width=WIDE, height=HIGH))
    empty = pictures(Scene([], 0.1, width=WIDE, height=HIGH))[0]

    def plan(call: int) -> Iterator[tuple[float, np.ndarray]]:
        if call == 1:
            yield from ((0.04, empty) for _ in range(100))
            yield from ((0.5 if number == 20 else 0.04, frame) for number, frame in enumerate(frames))
        else:
            yield from ((0.04, cv2.resize(empty, (240, 160))) for _ in range(1000))

    with camera(plan) as address:
        command = [sys.executable, shipped / "watch.py", "--source", address, "--headless", "--out", "named.avi"]
        command += ["--figures", "figures.json"]
        program = subprocess.Popen(
            [*map(str, command)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=plain_environment(),
        )
        said: list[str] = []
        assert program.stderr is not None
        late = threading.Timer(120, program.kill)
        late.start()
        for line in program.stderr:
            said.append(line)
            if "240 x 160" in line:
                program.send_signal(signal.SIGINT)
                break
        _, rest = program.communicate(timeout=60)
        late.cancel()
    text = "".join(said) + rest
    assert program.returncode == 0, text
    assert "no picture; trying again in 0.5 s" in text and "pictures again" in text
    assert "the pictures are 240 x 160 now" in text and "stopped\n" in text
    assert "Traceback" not in text
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["most_people"] <= 2 and figures["frames"] > 10
    assert cv2.VideoCapture(str(tmp_path / "named.avi")).get(cv2.CAP_PROP_FRAME_COUNT) > 10


RTSP = ROOT / "tests/support/rtsp_server.py"
SYSTEMS = Path("/usr/bin/python3")  # the Python that Debian's bindings of GStreamer are for
GSTREAMER = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"


@contextmanager
def rtsp_camera(film: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A camera of the network that plays a film in H.264."""
    server = subprocess.Popen([str(SYSTEMS), str(RTSP), str(port), str(film)])
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None
            time.sleep(0.02)
        yield server
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow  # a camera plays for half a minute
def test_a_camera_by_rtsp_that_goes_and_hangs_is_watched_again(shipped: Path, films: Path, tmp_path: Path) -> None:
    if not SYSTEMS.exists() or subprocess.run([str(SYSTEMS), str(RTSP)], capture_output=True).returncode:
        pytest.skip(f"there is no RTSP server of GStreamer here (Debian: apt install {GSTREAMER})")
    enrol(shipped, films, tmp_path, 40)
    film, port = tmp_path / "camera.avi", free_port()
    empty, walk = (pictures(Scene(shown, 4, width=WIDE, height=HIGH)) for shown in ([], [Passing(40, 0.4, 3.4)]))
    write(film, empty + 10 * walk)
    command = [sys.executable, shipped / "watch.py", "--source", f"rtsp://127.0.0.1:{port}/film", "--headless"]
    with ExitStack() as stack:
        first = stack.enter_context(rtsp_camera(film, port))
        program = subprocess.Popen(
            [*map(str, command), "--figures", "figures.json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "said").open("wb"),
            env=plain_environment(),
        )
        late = threading.Timer(120, program.kill)
        late.start()
        assert program.stdout is not None

        def named() -> dict[str, Any]:
            """The next name; whoever is still followed as the camera goes is named once more when they have gone."""
            while (event := json.loads(program.stdout.readline())).get("gone"):
                pass
            return event

        def until(text: str, count: int) -> None:
            while (tmp_path / "said").read_text().count(text) < count:
                assert program.poll() is None
                time.sleep(0.05)

        assert named()["person"] == "walker 40"
        first.kill()
        until("no picture; trying again in 1 s", 1)
        second = stack.enter_context(rtsp_camera(film, port))
        until("pictures again", 1)
        assert named()["person"] == "walker 40"
        second.send_signal(signal.SIGSTOP)
        until("no picture; trying again in 0.5 s", 2)
        second.send_signal(signal.SIGCONT)
        until("pictures again", 2)
        assert named()["person"] == "walker 40"
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 0
        late.cancel()
    said = (tmp_path / "said").read_text()
    assert "stopped\n" in said
    assert not re.search(r"Traceback|WARN|\[h264|\[tcp", said), said
    assert json.loads((tmp_path / "figures.json").read_text())["windows"] >= 3


def test_what_cannot_be_watched_is_reported_in_one_line(shipped: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    for options, said in (
        (["--source", "none.mp4"], "--source none.mp4: no such file; a camera is a number, a stream rtsp://..."),
        (["--source", "text.mp4"], "--source text.mp4: holds no video that OpenCV can read"),
        (
            ["--source", "77"],
            "--source 77: gives no picture; in place of a camera's number, --source takes a film, walk.mp4, or a stream, "
            "rtsp://...",
        ),
        (["--source", "text.mp4", "--out", "x.gif"], "--out x.gif: must end in .mp4 or .avi"),
        (
            ["--source", films / "40.avi", "--far", "5"],
            "no threshold is known for a false accept rate of 5 %; there are: 1, 0.1",
        ),
    ):
        done = watch(shipped, tmp_path, *options, "--headless")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == f"error: {said}"
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.mp4"]
    done = watch(shipped, tmp_path)
    assert done.returncode == 2 and "--source: say what to watch, or --list" in done.stderr


def test_networks_of_optical_flow_are_refused_in_words(shipped: Path, films: Path, tmp_path: Path) -> None:
    settings = (shipped / "settings.json").read_text()
    flow = {**json.loads(settings), "preprocessing": {"kind": "flow", "frames": 25, "stride": 5, "method": "dis"}}
    outputs.write_json(shipped / "settings.json", flow)
    done = watch(shipped, tmp_path, "--source", films / "40.avi", "--headless")
    (shipped / "settings.json").write_text(settings)
    assert done.returncode == 1
    assert done.stderr.startswith("error: this network takes optical flow of the whole picture")


@pytest.mark.slow
def test_the_pipelines_command_runs_the_bundles_own_program(shipped: Path, films: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gaitpress",
        "watch",
        "--bundle",
        str(shipped),
        "--gallery",
        str(tmp_path / "gallery.json"),
    ]
    source = ["--source", str(films / "40.avi"), "--headless"]
    done = subprocess.run([*command, *source, "--enrol", "ada"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*command, "--list"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("ada: ")
    command[command.index(str(shipped))] = str(tmp_path)
    done = subprocess.run([*command, "--list"], cwd=ROOT, capture_output=True, text=True)
    said = "no bundle with watch.py; `python -m gaitpress bundle --out FOLDER` writes one"
    assert (done.returncode, done.stderr) == (1, f"error: --bundle {tmp_path}: {said}\n")


@pytest.mark.slow  # 4500 pictures: a minute
def test_a_long_time_needs_no_more_memory(shipped: Path, films: Path, tmp_path: Path) -> None:
    """Three minutes of a camera, as fast as they go: people come and go all the time."""
    enrol(shipped, films, tmp_path, 40)
    frames = pictures(Scene([Passing(40, 0.2, 3.2), Passing(41, 0.6, 3.2, (0, -0.8), 180)], 4, width=WIDE, height=HIGH))
    write(tmp_path / "loop.avi", frames * 45)
    command = [sys.executable, str(shipped / "watch.py"), "--source", "loop.avi", "--headless", "--figures", "f.json"]
    program = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=plain_environment()
    )
    used = []
    while program.poll() is None:
        time.sleep(2)
        try:
            status = Path(f"/proc/{program.pid}/status").read_text()
            used.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        except (OSError, IndexError):
            break
    assert program.wait() == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["frames"] == 4500 and figures["tracks"] > 50
    early, late = np.median(used[len(used) // 10 : len(used) // 5]), np.median(used[-len(used) // 10 :])
    assert late < early + 20, used  # MB
    assert os.path.getsize(tmp_path / "gallery.json") < 1e6
