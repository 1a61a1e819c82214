"""Bundles of a small real study: walkers, their silhouettes, an engine, its record; and the program that comes with them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML

from gaitpress import outputs
from gaitpress.errors import StageError
from gaitpress.inputs import open_test, open_training
from tests.support import commands
from tests.support.study import Study, claimed, plain_environment, rank1_of, ship
from tests.support.toy import make_small
from tests.support.walks import dump

WALK = "a walk is a folder of silhouettes, one picture a frame, the person bright on black"
NONE = "is none of params.yaml's, such as local/gaitset/p50-fp32"


@pytest.fixture(scope="module")
def walks(measured_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw frames of the test walks."""
    target = tmp_path_factory.mktemp("walks")
    test_set, store = open_test(measured_study.test, measured_study.where / "preprocessed")
    dump("casia-b", measured_study.where / "raw/walkers", test_set, store, target)
    return target


@pytest.fixture
def study(measured_study: Study, tmp_path: Path) -> Study:
    """A copy whose files may be changed."""
    for name in ("results", "training", "test"):
        shutil.copytree(measured_study.where / name, tmp_path / name)
    copy = Study.at(tmp_path)
    copy.params, copy.devices, copy.facts = measured_study.params, measured_study.devices, measured_study.facts
    (tmp_path / "preprocessed").symlink_to(measured_study.where / "preprocessed")
    return copy


def test_the_shipped_program_is_as_accurate_as_the_record_says(study: Study, walks: Path, tmp_path: Path) -> None:
    rates = rank1_of(sys.executable, ship(study, tmp_path / "shipped"), walks, tmp_path)
    assert rates == claimed(study)
    assert 10 < rates["mean"] < 100


def test_the_shipped_program_uses_the_distance_of_the_record(study: Study, walks: Path, tmp_path: Path) -> None:
    raw = claimed(study)
    test_set = json.loads(study.test.read_text())
    outputs.write_json(study.test, {**test_set, "distance": "cosine"})
    record = study.recognise(50)  # and nothing else: no time is measured again
    assert (test_set["distance"], record["accuracy"]["distance"]) == ("euclidean", "cosine")
    shipped = ship(study, tmp_path / "shipped")
    assert rank1_of(sys.executable, shipped, walks, tmp_path) == claimed(study) != raw
    assert json.loads((shipped / "settings.json").read_text())["distance"] == "cosine"
    assert "by cosine distance" in (shipped / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_shipped_gallery_compares_signatures_as_they_are_or_at_length_1(study: Study, tmp_path: Path) -> None:
    code = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from gaitpress_runtime.recogniser import Gallery
for distance in ("euclidean", "cosine"):
    gallery = Gallery(distance)
    gallery.enrol("a", np.array([[1, 0.5]], np.float32))
    gallery.enrol("b", np.array([[3, 0]], np.float32))
    print(json.dumps(gallery.identify(np.array([[1, 0]], np.float32))))
"""
    command = [sys.executable, "-I", "-c", code, str(ship(study, tmp_path / "shipped"))]
    done = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
    assert done.returncode == 0, done.stderr
    euclidean, cosine = map(json.loads, done.stdout.splitlines())
    assert euclidean == [["a", 0.5], ["b", 2.0]]
    assert cosine == [["b", 0.0], ["a", pytest.approx(1 - 1.25**-0.5)]]


@pytest.mark.slow
def test_so_it_is_in_an_environment_with_its_listed_packages_alone(study: Study, walks: Path, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(shipped / "requirements.txt")]
    done = subprocess.run(install, env=plain_environment(), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no package registry: {done.stderr.splitlines()[-1]}")
    assert rank1_of(python, shipped, walks, tmp_path) == claimed(study)


def test_a_bundle_is_whole_and_its_checksums_hold(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=shipped, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    listed = {line.split()[1] for line in (shipped / "SHA256SUMS").read_text().splitlines()}
    assert listed | {"SHA256SUMS"} == {str(path.relative_to(shipped)) for path in shipped.rglob("*") if path.is_file()}
    record, rates = (json.loads(path.read_text()) for path in (study.record(50), study.rates(50)))
    record["settings"]["test"] = rates["settings"]
    expected = record | {key: rates[key] for key in ("accuracy", "rank1_by_view")}
    assert json.loads((shipped / "record.json").read_text()) == expected
    assert (shipped / "model.onnx").read_bytes() == (study.quantized(50) / "model.onnx").read_bytes()
    assert (shipped / "engine/engine.onnx").read_bytes() == (study.engine(50) / "engine.onnx").read_bytes()


def test_the_card_tells_data_accuracy_speed_and_limits(study: Study, tmp_path: Path) -> None:
    record = json.loads(study.record(50).read_text())
    outputs.write_json(study.record(50), {**record, "valid": False, "invalid_reasons": ["throttled"]})
    card = (ship(study, tmp_path / "shipped") / "MODEL_CARD.md").read_text(encoding="utf-8")
    rates = json.loads(study.rates(50).read_text())
    test_set, store = open_test(study.test, study.where / "preprocessed")
    assert store.digest in card
    assert f"{len(test_set.probe)} walks of 3 other people" in card
    assert f"| mean | {rates['accuracy']['rank1']['mean']:.1f} |" in card
    assert "not on a board" in card
    assert "by Euclidean distance of signatures as they are" in card
    assert "says nothing about real people" in card
    assert "NOT VALID: throttled" in card


INIT = {"path": "gaitset-40000.pt", "sha256": "ab" * 32}


@pytest.mark.parametrize(
    ("origin", "iterations", "text"),
    [
        ({"init": None, "trained": False}, 3, "Trained on 9 walks of 3 people. Tested by"),
        ({"init": None, "trained": False}, 0, "Not trained: its weights are random. Tested by"),
        (
            {"init": INIT, "trained": False},
            0,
            "Its weights are those of {source}; they were not trained here. On whose walks",
        ),
        (
            {"init": INIT, "trained": True},
            0,
            "Its weights started as those of {source} and were trained further on 9 walks of",
        ),
        (
            {"init": INIT, "trained": False},
            3,
            "Its weights started as those of {source} and were trained further on 9 walks of",
        ),
    ],
)
def test_the_card_tells_where_weights_come_from(
    study: Study, tmp_path: Path, origin: dict, iterations: int, text: str
) -> None:
    record = json.loads(study.record(50).read_text())
    settings = record["settings"]
    settings |= {"origin": origin, "finetune": settings["finetune"] | {"iterations": iterations}}
    settings["data"] |= {"sequences": {"train": 9}, "people": {"train": 3}}
    outputs.write_json(study.record(50), record)
    rates = json.loads(study.rates(50).read_text())
    rates["settings"] |= {"sequences": {"gallery": 5, "probe": 7}, "people": {"gallery": 2, "probe": 2}}
    outputs.write_json(study.rates(50), rates)
    card = (ship(study, tmp_path / "shipped") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text.format(source=f"`gaitset-40000.pt` (SHA-256 `{'ab' * 32}`)") in card
    known = origin["init"] is None
    assert ("7 walks of 2 other people" in card) == known
    assert ("is not known here, nor whether the people of the test were among them" in card) == (not known)
    assert ("the accuracy flatters it" in card) == (not known)


@pytest.mark.slow
def test_a_bundle_tells_of_the_settings_that_were_measured_whatever_params_yaml_says_now(
    study: Study, tmp_path: Path
) -> None:
    _, store = open_training(study.training, study.where / "preprocessed")
    first = ship(study, tmp_path / "before")
    before = {name: (first / name).read_bytes() for name in ("settings.json", "MODEL_CARD.md")}
    study.params = shutil.copy(study.params, tmp_path / "params.yaml")
    make_small(tmp_path / "params.yaml", **{"model.gaitset.optimizer": {"name": "adam", "lr": 0.125, "weight_decay": 0.0}})
    make_small(tmp_path / "params.yaml", **{"preprocess.silhouette.pixels": 128, "prune.criterion": "l2"})
    (study.where / "preprocessed").unlink()
    options = ["--dataset", Path(study.facts).parents[1] / "raw/walkers", "--out", study.where / "preprocessed/silhouette"]
    study.stage("preprocess", "--modality", "silhouette", *options)
    options = ["--training", study.training, "--test", study.test, "--code", study.where / "code.json"]
    options += ["--protocol", study.where / "protocol.json"]
    study.stage("partition", "--model", "gaitset", "--preprocessed", study.where / "preprocessed", *options)
    _, now = open_training(study.training, study.where / "preprocessed")
    assert now.settings != store.settings
    shipped = ship(study, tmp_path / "shipped")
    assert json.loads((shipped / "settings.json").read_text())["preprocessing"] == store.settings
    assert {name: (shipped / name).read_bytes() for name in before} == before
    with pytest.raises(
        StageError, match=r"was made with other data than data/training/gaitset\.json has now; run `dvc repro"
    ):
        study.benchmark(50)


def test_a_record_that_does_not_say_what_it_was_made_with_is_not_shipped(study: Study, tmp_path: Path) -> None:
    record = json.loads(study.record(50).read_text())
    del record["settings"]
    outputs.write_json(study.record(50), record)
    with pytest.raises(
        StageError, match="does not say what it was made with; run `dvc repro benchmark@local-gaitset-50-fp32`"
    ):
        ship(study, tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_the_example_names_people_from_pictures(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    rng = np.random.default_rng(0)
    shapes = {name: (rng.random((120, 60)) < 0.6).astype(np.uint8) * 255 for name in ("ada", "grace")}

    def write(folder: Path, shape: np.ndarray) -> None:
        folder.mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(str(folder / f"{number:03d}.png"), np.pad(shape, ((number, 9 - number), (40, 40))))

    for name, shape in shapes.items():
        write(tmp_path / f"people/{name}/first", shape)
        write(tmp_path / f"unknown/walk-of-{name}", shape)
    command = [sys.executable, shipped / "identify.py", "--gallery", tmp_path / "people", "--probe", tmp_path / "unknown"]
    done = subprocess.run([*map(str, command)], cwd=tmp_path, env=plain_environment(), capture_output=True, text=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["walk"], answer["nearest"][0]["name"]) for answer in answers] == [
        ("walk-of-ada", "ada"),
        ("walk-of-grace", "grace"),
    ]
    assert all(answer["nearest"][0]["distance"] < 0.01 < answer["nearest"][1]["distance"] for answer in answers)
    known = json.loads((shipped / "settings.json").read_text())["walks"]
    farthest = min(answer["nearest"][1]["distance"] for answer in answers)
    assert all(answer["person"] == answer["nearest"][0]["name"] for answer in answers)

    def named(thresholds: list[dict[str, float]], *options: str) -> list[str | None]:
        content = json.loads((shipped / "settings.json").read_text())
        outputs.write_json(shipped / "settings.json", {**content, "walks": {"enrolled": 3, "promised": thresholds}})
        done = subprocess.run([*map(str, command), *options], env=plain_environment(), capture_output=True, text=True)
        outputs.write_json(shipped / "settings.json", {**content, "walks": known})
        return [json.loads(line)["person"] for line in done.stdout.splitlines()] or [done.stderr]

    strict = [{"far": 10.0, "threshold": 2 * farthest}, {"far": 1.0, "threshold": 0.0}]
    assert named(strict) == [None, None]  # nobody is nearer than the threshold
    assert named(strict, "--far", "10") == ["ada", "grace"]
    assert named([]) == ["ada", "grace"]
    (refused,) = named(strict, "--far", "5")
    assert refused == "error: no threshold is known for a false accept rate of 5 %; there are: 10, 1\n"
    with_engine = subprocess.run([*map(str, command), "--engine"], capture_output=True, text=True)
    assert with_engine.stdout == done.stdout
    (tmp_path / "unknown/empty").mkdir()
    done = subprocess.run([*map(str, command)], cwd=tmp_path, env=plain_environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"error: {tmp_path}/unknown/empty: holds no pictures (.png, .jpg, .jpeg, .bmp, .tif, .tiff); {WALK}\n"
    )
    settings = json.loads((shipped / "settings.json").read_text())
    outputs.write_json(shipped / "settings.json", {**settings, "engine": {**settings["engine"], "version": "1.0"}})
    done = subprocess.run([*map(str, command), "--engine"], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"error: here is ONNX Runtime [0-9.]+, and the engine was built by 1\.0\n", done.stderr)


def person(number: int, width: int) -> np.ndarray:
    """A frame in which somebody of this width walks, uint8 [120, 160]."""
    frame = np.zeros((120, 160), np.uint8)
    cv2.rectangle(frame, (20 + 3 * number, 20), (20 + 3 * number + width + number % 3 * 4, 110), 255, -1)
    return frame


def identified(shipped: Path, where: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, shipped / "identify.py", "--gallery", where / "people", "--probe", where / "unknown"]
    return subprocess.run([*map(str, command)], env=plain_environment(), capture_output=True, text=True)


def test_the_example_takes_the_pipelines_folders_and_all_ways_to_write_a_silhouette(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    ways = {
        "as/0-and-255": lambda frame: frame,
        "as/0-and-1": lambda frame: frame // 255,
        "as/16-bits": lambda frame: frame.astype(np.uint16) * 257,
        "as/alpha": lambda frame: np.dstack([np.full((*frame.shape, 3), 90, np.uint8), frame]),
    }
    for name, width in (("ada", 20), ("grace", 45)):
        for number in range(12):
            folder = tmp_path / f"people/{name}/nm-01/090"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{number}.png"), person(number, width))
    for walk, way in ways.items():
        folder = tmp_path / "unknown" / walk
        folder.mkdir(parents=True)
        for number in range(12):
            cv2.imwrite(str(folder / f"{number}.png"), way(person(number, 20)))
    (tmp_path / "unknown/as/0-and-1/._1.png").write_bytes(b"of a Mac")
    (tmp_path / "people/__MACOSX/ada").mkdir(parents=True)
    done = identified(shipped, tmp_path)
    assert done.returncode == 0, done.stderr
    by_walk = {answer["walk"]: answer["nearest"] for answer in map(json.loads, done.stdout.splitlines())}
    assert set(by_walk) == set(ways)
    assert all(nearest[0]["name"] == "ada" and nearest[0]["distance"] < 1e-4 for nearest in by_walk.values()), by_walk


def test_the_example_reads_frames_in_the_order_of_their_numbers(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    (tmp_path / "walk").mkdir()
    for number in range(1, 13):
        cv2.imwrite(str(tmp_path / f"walk/frame{number}.png"), person(number, 20))
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from gaitpress_runtime.walks import frames_of
shown, video = frames_of(Path(sys.argv[2]))
print([int(frame.any(0).argmax()) for frame in shown], video)
"""
    command = [sys.executable, "-I", "-c", code, str(shipped), str(tmp_path / "walk")]
    done = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
    assert done.stdout == f"{[20 + 3 * number for number in range(1, 13)]} None\n", done.stderr


def test_the_example_pairs_a_video_with_silhouettes_by_name(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    for number in range(1, 13):
        for form in ("beside/video", "within"):
            (tmp_path / form).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / form / f"{number}.png"), np.full((120, 160, 3), number, np.uint8))
        for form in ("beside", "within", "other"):
            (tmp_path / form / "silhouettes").mkdir(parents=True, exist_ok=True)
            if number != 3:
                cv2.imwrite(str(tmp_path / form / f"silhouettes/{number}.png"), person(number, 20))
    (tmp_path / "other/silhouettes/13.png").write_bytes((tmp_path / "other/silhouettes/1.png").read_bytes())
    shutil.copytree(tmp_path / "within", tmp_path / "other", dirs_exist_ok=True)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from gaitpress_runtime.walks import frames_of, walks_in
print([walk.name for walk in walks_in(Path(sys.argv[2]))])
for name in ("beside", "within", "other"):
    try:
        shown, video = frames_of(Path(sys.argv[2]) / name)
        print([frame is not None for frame in shown].index(False), [int(frame[0, 0]) for frame in video])
    except ValueError as error:
        print(error)
"""
    (tmp_path / "walks").mkdir()
    for form in ("beside", "within", "other"):
        (tmp_path / form).rename(tmp_path / "walks" / form)
    command = [sys.executable, "-I", "-c", code, str(shipped), str(tmp_path / "walks")]
    done = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
    place = tmp_path / "walks/other"
    assert done.stdout.splitlines() == [
        "['beside', 'other', 'within']",
        *(f"2 {list(range(1, 13))}" for _ in range(2)),
        f"{place}: has no frame called 13, as a silhouette in {place}/silhouettes is",
    ], done.stderr


def test_a_damaged_bundle_is_one_line(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    for folder in ("people/ada/walk", "unknown/walk"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), person(number, 20))
    for name, content, said in (
        ("model.onnx", b"x", f"error: {shipped}/model.onnx: ONNX Runtime refuses it: "),
        ("model.onnx", None, f"error: [Errno 2] No such file or directory: '{shipped}/model.onnx'"),
        ("settings.json", b"{", f"error: {shipped}/settings.json: is not JSON ("),
    ):
        whole = (shipped / name).read_bytes()
        (shipped / name).unlink() if content is None else (shipped / name).write_bytes(content)
        done = identified(shipped, tmp_path)
        (shipped / name).write_bytes(whole)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert done.stderr.startswith(said)


@pytest.mark.slow
def test_the_example_names_nobody_by_what_is_no_silhouette(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3), np.uint8), (0, 0), 3)
    for number in range(12):
        for name, frame in (
            ("people/ada/first", person(number, 20)),
            ("silhouettes", person(number, 20)),
            ("photographs", np.where(person(number, 20)[..., None] > 0, 200, scene).astype(np.uint8)),
            ("inverted", 255 - person(number, 20)),
        ):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), frame)
    for name in ("film", "nothing", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "film/walk.avi").write_bytes(b"RIFF")
    (tmp_path / "damaged/1.png").write_bytes((tmp_path / "silhouettes/1.png").read_bytes()[:40])
    unknown = tmp_path / "unknown"
    for name, said in {
        "photographs": f"{unknown}/walk: these pictures are no silhouettes; {WALK}",
        "inverted": f"{unknown}/walk: the silhouettes are dark on bright; invert them",
        "film": f"{unknown}/walk: holds a video, walk.avi, and {WALK}",
        "nothing": f"{unknown}/walk: holds no pictures (.png, .jpg, .jpeg, .bmp, .tif, .tiff); {WALK}",
        "damaged": f"{unknown}/walk/1.png: cannot be read as a picture",
    }.items():
        unknown.mkdir()
        (tmp_path / name).rename(unknown / "walk")
        done = identified(shipped, tmp_path)
        assert (done.stdout, done.stderr.splitlines()[-1]) == ("", f"error: {said}"), name
        assert "Traceback" not in done.stderr
        shutil.rmtree(unknown)
    (tmp_path / "silhouettes").rename(unknown)
    message = f"error: {unknown}: holds pictures itself: put those of each walk into a folder of its own; {WALK}"
    assert identified(shipped, tmp_path).stderr.splitlines()[-1] == message
    shutil.rmtree(unknown)
    unknown.mkdir()
    (unknown / "walk.mp4").write_bytes(b"....ftyp")
    assert identified(shipped, tmp_path).stderr.splitlines()[-1] == f"error: {unknown}/walk.mp4: is a video, and {WALK}"


def test_an_archive_holds_the_same_and_is_the_same_each_time(study: Study, tmp_path: Path) -> None:
    shipped = ship(study, tmp_path / "shipped")
    first, second = ship(study, tmp_path / "a/gait.zip"), ship(study, tmp_path / "b/gait.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    files = [path for path in shipped.rglob("*") if path.is_file()]
    assert content == {f"gait/{path.relative_to(shipped)}": path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["shipped", "shipped.zip"])
def test_what_is_there_is_never_replaced(study: Study, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(StageError, match="is there already"):
        ship(study, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("what", ["engine", "network"])
def test_files_that_were_not_measured_are_not_shipped(study: Study, tmp_path: Path, what: str) -> None:
    file = study.engine(50) / "engine.onnx" if what == "engine" else study.quantized(50) / "model.onnx"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(StageError, match=f"the {what} is not the one that was measured; run `dvc repro benchmark@local"):
        ship(study, tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_a_failed_variant_is_not_shipped(study: Study, tmp_path: Path) -> None:
    record = json.loads(study.record(50).read_text())
    outputs.write_json(study.record(50), {**record, "status": "failed", "reason": "out of memory", "valid": False})
    with pytest.raises(StageError, match="cannot be shipped: failed: out of memory"):
        ship(study, tmp_path / "shipped")


def test_the_command_ships_what_select_names(study: Study, tmp_path: Path) -> None:
    record = json.loads(study.record(50).read_text())
    outputs.write_json(study.record(50), {**record, "valid": True, "invalid_reasons": []})
    common = ["--params", study.params, "--results", study.where / "results"]
    out = ["--out", tmp_path / "shipped"]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return commands.command("bundle", *common, *out, *options)

    refused = run("--max-latency", "1us")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: nothing to ship; ")
    assert len(refused.stderr.splitlines()) == 1
    assert run("--variant", "local/gaitset/p51-fp32").stderr == f"error: --variant local/gaitset/p51-fp32: {NONE}\n"
    assert run("--min-rank1", "1").returncode == 0
    assert (tmp_path / "shipped/MODEL_CARD.md").exists()


def test_best_ships_the_variant_that_it_is(study: Study, tmp_path: Path) -> None:
    record = json.loads(study.record(50).read_text())
    outputs.write_json(study.record(50), {**record, "valid": True, "invalid_reasons": []})
    variant = {**record["variant"], "precision": "best"}
    skipped = {**record, "variant": variant, "status": "skipped", "reason": "no mix here", "valid": False}
    outputs.write_json(study.record(50).with_name("p50-best.json"), skipped)
    yaml = YAML()
    settings = yaml.load(study.params)
    settings["precisions"] = ["fp32", "best"]
    yaml.dump(settings, tmp_path / "params.yaml")
    words = ["--params", tmp_path / "params.yaml", "--results", study.where / "results"]
    words += ["--out", tmp_path / "shipped", "--variant", "local/gaitset/p50-best"]
    done = commands.command("bundle", *words)
    assert done.returncode == 0, done.stderr
    assert "local/gaitset/p50-best: best = fp32 (the only one measured)" in done.stdout
    shipped = json.loads((tmp_path / "shipped/record.json").read_text())
    assert (shipped["variant"]["precision"], shipped["status"]) == ("fp32", "ok")


@pytest.mark.slow
def test_networks_of_a_fixed_number_of_frames_see_the_same_windows(study: Study, walks: Path, tmp_path: Path) -> None:
    """As TensorRT needs them: seven frames an input, so that walks are cut into windows and signatures averaged."""
    fixed = {"input": {"name": "input", "shape": [1, 7, 64, 44]}}
    signature = json.loads((study.quantized(50) / "signature.json").read_text())
    outputs.write_json(study.quantized(50) / "signature.json", {**signature, "forms": {"model.onnx": fixed}})
    assert study.benchmark(50)["signature"]["input"]["shape"][1] == 7
    assert rank1_of(sys.executable, ship(study, tmp_path / "shipped"), walks, tmp_path) == claimed(study)
