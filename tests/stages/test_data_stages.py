"""The stages dataset, preprocess and partition, by the commands of dvc.yaml."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML

from gait.data.prepared.sequences import SequenceStore
from gait.data.readers import casia_b, open_dataset, pictures
from gaitpress.params import load
from gaitpress.params.model import Change, Validation
from stages.partition import training_code
from tests.gait.readers import trees
from tests.support import commands

ROOT = Path(__file__).parents[2]
WALKERS = {"subjects": 3, "views": ["072", "090"], "nm": 5, "bg": 0, "cl": 1, "frames": 7}
FIRST_TRAINS = {"protocol": "casia-b", "train_subjects": 2}


def settings(where: Path, datasets: dict[str, Any] | None = None, **top: Any) -> Path:
    """params.yaml of this repository with small walkers and short flow samples."""
    data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    data["dataset"] = "walkers"
    data["datasets"]["walkers"].update(WALKERS, partition=FIRST_TRAINS)
    data["datasets"].update(datasets or {})
    data["preprocess"]["flow"].update(frames=4, stride=2)
    data["threads"].update(dataset=1, preprocess=1)
    data.update(top)
    path = where / "params.yaml"
    YAML().dump(data, path)
    return path


def stage(name: str, params: Path, **options: object) -> subprocess.CompletedProcess[str]:
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    return commands.stage(name, "--params", params, *words)


def succeeds(name: str, params: Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = stage(name, params, **options)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def fails(name: str, params: Path, **options: object) -> str:
    """The one line that a stage ends with."""
    done = stage(name, params, **options)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("flow: ") and not line.startswith("silh")]
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the three stages ran, with the paths of dvc.yaml."""
    where = tmp_path_factory.mktemp("made")
    params = settings(where)
    succeeds("dataset", params, out=where / "raw/{dataset}")
    for modality in ("silhouette", "flow"):
        succeeds("preprocess", params, modality=modality, dataset=where / "raw/{dataset}", out=where / "pre/{modality}")
    for model in ("gaitset", "cnn2d"):
        outs = {kind: where / f"{kind}/{{model}}.json" for kind in ("training", "test", "code", "protocol")}
        succeeds("partition", params, model=model, preprocessed=where / "pre", **outs)
    return where


def test_walkers_are_written_in_casia_bs_form(made: Path) -> None:
    raw = made / "raw/walkers"
    manifest = json.loads((raw / "manifest.json").read_text())
    assert manifest == {
        "dataset": "walkers",
        "evidence": "synthetic",
        "fps": 25,
        "layout": "casia-b",
        "split": {},
    }
    reader = open_dataset("casia-b", raw)
    assert reader.identities() == ["001", "002", "003"]
    faults: list[str] = []
    clips = list(reader.clips("002", faults))
    conditions = ["cl-01", *(f"nm-0{number}" for number in range(1, 6))]
    assert [clip.name for clip in clips] == [f"002-{kind}-{view}" for kind in conditions for view in ("072", "090")]
    for clip in clips:
        assert list(clip.silhouettes(faults)) == list(range(1, 8))
        assert len(pictures.read_video(raw / casia_b.VIDEOS / f"{clip.name}.avi", faults)) == 7
    assert faults == []
    assert len(list((raw / casia_b.VIDEOS).iterdir())) == 3 * 6 * 2


@pytest.mark.slow
def test_a_person_is_the_same_bytes_however_many_there_are(made: Path, tmp_path: Path) -> None:
    params = settings(tmp_path, threads={**YAML(typ="safe").load(made / "params.yaml")["threads"], "dataset": 2})
    text = params.read_text().replace("subjects: 3", "subjects: 4", 1)
    params.write_text(text)
    succeeds("dataset", params, out=tmp_path / "walkers")
    written = [path for path in (tmp_path / "walkers").rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(written) == 4 * (1 + 6 * 2)
    alike = [path for path in (made / "raw/walkers").rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(alike) == 3 * (1 + 6 * 2)
    for path in alike:
        assert path.read_bytes() == (tmp_path / path.relative_to(made / "raw")).read_bytes(), path.name


def test_preprocessing_gives_all_sequences_of_both_modalities(made: Path) -> None:
    shapes = {"silhouette": (7, 64, 64), "flow": (2, 60, 60, 8)}
    for modality, shape in shapes.items():
        store = SequenceStore.open(made / "pre" / modality)
        assert (store.modality, store.dataset, store.evidence, store.fps) == (modality, "walkers", "synthetic", 25)
        assert len(store.sequences) == 3 * 6 * 2
        assert {store.frames(sequence).shape for sequence in store.sequences} == {shape}
        metrics = json.loads((made / "pre" / modality / "metrics.json").read_text())
        rows = 36 * shape[0]
        none = dict.fromkeys(("skipped", "faults", "missing_identities", "missing_sequences"), 0)
        assert metrics == {"sequences": 36, "frames": rows, "identities": 3, **none}
    assert sorted(os.listdir(made / "pre")) == ["flow", "silhouette"]


def test_several_processes_give_the_same_store(made: Path, tmp_path: Path) -> None:
    threads = YAML(typ="safe").load(made / "params.yaml")["threads"]
    params = settings(tmp_path, threads={**threads, "preprocess": 2})
    succeeds("preprocess", params, modality="silhouette", dataset=made / "raw/walkers", out=tmp_path / "out")
    for file in ("frames.npy", "index.json", "metrics.json"):
        assert (tmp_path / "out" / file).read_bytes() == (made / "pre/silhouette" / file).read_bytes()


def test_each_models_partition_names_the_content_of_its_own_modality(made: Path) -> None:
    for model, modality in (("gaitset", "silhouette"), ("cnn2d", "flow")):
        training, test = (json.loads((made / f"{kind}/{model}.json").read_text()) for kind in ("training", "test"))
        store = SequenceStore.open(made / "pre" / modality)
        for side in (training, test):
            assert (side["model"], side["modality"], side["digest"]) == (model, modality, store.digest)
        parts = {"train": training["train"], "gallery": test["gallery"], "probe": test["probe"]}
        who = {part: {store.sequences[at].identity for at in positions} for part, positions in parts.items()}
        assert who == {"train": {"001", "002"}, "gallery": {"003"}, "probe": {"003"}}
        assert {store.sequences[at].condition for at in test["probe"]} == {"nm-05", "cl-01"}


def test_each_model_names_the_code_of_its_own_framework_and_losses(made: Path) -> None:
    code = {model: json.loads((made / f"code/{model}.json").read_text()) for model in ("gaitset", "cnn2d")}
    for model, own, other in (("gaitset", "torch", "keras"), ("cnn2d", "keras", "torch")):
        assert f"gait/training/{own}/loop.py" in code[model]
        assert not [name for name in code[model] if other in name]
    assert "gait/losses/triplet.py" in code["gaitset"]
    assert "gait/losses/triplet.py" not in code["cnn2d"]
    shared = code["gaitset"].keys() & code["cnn2d"].keys()
    assert "gait/training/checkpoints.py" in shared
    for name in shared:
        digest = hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
        assert code["gaitset"][name] == code["cnn2d"][name] == digest


def test_a_model_names_the_augmentations_that_it_chooses() -> None:
    entry = load(ROOT / "params.yaml").model["gaitset"]
    folder = "gait/training/torch/augmentations"
    for names in ((), ("erase", "flip")):
        chosen = entry.model_copy(update={"augment": [Change(name=name, probability=0.5) for name in names]})
        code = {Path(name).stem for name in training_code(chosen, None) if name.startswith(f"{folder}/")}
        assert code == {"__init__", *names}


def test_a_model_names_the_code_that_tests_its_training_if_it_is_tested() -> None:
    chosen = load(ROOT / "params.yaml")
    rules = chosen.datasets["walkers"].partition
    validation = Validation(identities=2, every=1)
    for model, own in (("gaitset", "gait/embedding.py"), ("cnn2d", "gaitpress/embedders/keras_embedder.py")):
        entry = chosen.model[model]
        untested, tested = (
            set(training_code(entry.model_copy(update={"validation": asked}), rules)) for asked in (None, validation)
        )
        assert untested < tested
        assert {own, "gait/evaluation/ranking.py", "gait/protocols/casia_b.py"} <= tested - untested
        assert not {name for name in tested if name.startswith("gait/protocols/")} - {
            "gait/protocols/__init__.py", "gait/protocols/casia_b.py",
        }  # fmt: skip


def person(at: int) -> np.ndarray:
    frame = np.zeros((60, 80), np.uint8)
    frame[8:52, at - 6 : at + 6] = 255
    return frame


def on_disk(root: Path, subjects: int = 3) -> Path:
    """A dataset of a user's, with an archive a person and no videos."""
    folder = root / casia_b.SILHOUETTES
    folder.mkdir(parents=True)
    for subject in range(1, subjects + 1):
        walks = [(f"{subject:03d}", f"nm-0{walk}", view, [person(30 + step) for step in range(6)])
                 for walk in range(1, 6) for view in ("000", "090")]  # fmt: skip
        casia_b.write_archive(folder / f"{subject:03d}.tar.gz", walks)
    return root


def own(path: Path) -> dict[str, Any]:
    return {"mine": {"layout": "casia-b", "path": str(path), "partition": FIRST_TRAINS}}


def test_a_dataset_on_disk_is_listed_and_not_copied(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "CASIA-B")
    params = settings(tmp_path, own(root), dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw/{dataset}")
    assert os.listdir(tmp_path / "raw/mine") == ["manifest.json"]
    first = json.loads((tmp_path / "raw/mine/manifest.json").read_text())
    assert first["evidence"] == "published"
    assert list(first["units"]) == ["001", "002", "003"]
    assert str(tmp_path) not in (tmp_path / "raw/mine/manifest.json").read_text(), "a colleague has it elsewhere"
    (root / "GaitDatasetB-silh/002.tar.gz").write_bytes(b"changed")
    succeeds("dataset", params, out=tmp_path / "raw/{dataset}")
    second = json.loads((tmp_path / "raw/mine/manifest.json").read_text())
    changed = [name for name in first["units"] if first["units"][name] != second["units"][name]]
    assert changed == ["002"]


def test_only_new_and_changed_files_are_read_again(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "CASIA-B")
    params = settings(tmp_path, own(root), dataset="mine")
    assert "0.00 GB in 3 units" in succeeds("dataset", params, out=tmp_path / "raw/{dataset}").stderr
    first = (tmp_path / "raw/mine/manifest.json").read_text()
    known = json.loads((tmp_path / "raw/.mine.known.json").read_text())
    # What is remembered is taken for true, so that a mark in it shows which files were not read.
    (tmp_path / "raw/.mine.known.json").write_text(json.dumps({**known, "001": {**known["001"], "sha256": "remembered"}}))
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    archive = moved / casia_b.SILHOUETTES / "002.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"more")
    succeeds("dataset", settings(tmp_path, own(moved), dataset="mine"), out=tmp_path / "raw/{dataset}")
    second = json.loads((tmp_path / "raw/mine/manifest.json").read_text())["units"]
    assert second["001"]["sha256"] == "remembered"
    assert second["002"] != json.loads(first)["units"]["002"]
    assert second["003"] == json.loads(first)["units"]["003"]


def test_what_the_published_dataset_has_and_this_copy_has_not_is_listed(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "CASIA-B")
    params = settings(tmp_path, own(root), dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw")
    done = succeeds("preprocess", params, modality="silhouette", dataset=tmp_path / "raw", out=tmp_path / "out")
    missing = json.loads((tmp_path / "out/index.json").read_text())["missing"]
    assert missing["identities"] == [f"{person:03d}" for person in range(4, 125)]
    assert len(missing["sequences"]) == 3 * (10 * 11 - 5 * 2)
    assert "001-nm-01-018" in missing["sequences"]
    assert "001-nm-01-090" not in missing["sequences"]
    assert "121 missing identities, 300 missing sequences" in done.stdout


@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_and_gives_the_same_store(made: Path, tmp_path: Path, after: int) -> None:
    raw = on_disk(tmp_path / "CASIA-B", subjects=8)
    params = settings(tmp_path, own(raw), dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw")
    given = {"modality": "silhouette", "dataset": tmp_path / "raw"}
    succeeds("preprocess", params, **given, out=tmp_path / "unbroken")
    code = (
        "import os, runpy, sys\n"
        "from gait.data.prepared.sequences import StoreWriter\n"
        "complete, done = StoreWriter.complete, []\n"
        "def killed(self, *arguments):\n"
        f"    if len(done) == {after}: os.kill(os.getpid(), 9)\n"
        "    complete(self, *arguments); done.append(1)\n"
        "StoreWriter.complete = killed\n"
        "runpy.run_module('stages.preprocess', run_name='__main__')"
    )
    words = [word for option, value in {**given, "out": tmp_path / "out"}.items() for word in (f"--{option}", str(value))]
    killed = subprocess.run([sys.executable, "-c", code, "--params", str(params), *words], cwd=ROOT, capture_output=True)
    assert killed.returncode == -9
    assert not (tmp_path / "out").exists()
    done = succeeds("preprocess", params, **given, out=tmp_path / "out")
    assert (f"goes on after {after} of 8 units" in done.stderr) == (after > 0)
    for file in ("frames.npy", "index.json", "metrics.json"):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "unbroken" / file).read_bytes()
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".raw.known.json"]


def test_work_begun_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    raw = on_disk(tmp_path / "CASIA-B")
    params = settings(tmp_path, own(raw), dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw")
    begun = tmp_path / ".out.begun"
    begun.mkdir()
    (begun / "key").write_text("another")
    (begun / "journal.jsonl").write_text("{}")
    done = succeeds("preprocess", params, modality="silhouette", dataset=tmp_path / "raw", out=tmp_path / "out")
    assert "goes on" not in done.stderr
    assert len(SequenceStore.open(tmp_path / "out").sequences) == 30


def test_what_cannot_be_read_is_counted_listed_and_reported(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "CASIA-B", subjects=4)
    silhouettes = root / casia_b.SILHOUETTES
    cut = silhouettes / "002.tar.gz"
    cut.write_bytes(cut.read_bytes()[:-200])
    (silhouettes / "003.tar.gz").unlink()
    for walk, number in (("nm-01", 1), ("nm-01", 2), ("nm-05", 1)):
        path = silhouettes / f"003/{walk}/090/003-{walk}-090-{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), person(30))
    path.write_bytes(b"no picture")
    params = settings(tmp_path, own(root), dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw")
    done = succeeds("preprocess", params, modality="silhouette", dataset=tmp_path / "raw", out=tmp_path / "out")
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index["skipped"] == [{"sequence": "003-nm-05-090", "reason": "no frame shows a person"}]
    faults = "\n".join(index["faults"])
    assert f"{cut}: damaged" in faults
    assert "003-nm-05-090-001.png is not a readable PNG file" in faults
    assert "003-nm-01-090: only 2 frames show a person" in faults
    assert all(f"warning: {fault}" in done.stderr for fault in index["faults"])
    assert "warning: 003-nm-05-090 skipped: no frame shows a person" in done.stderr
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (metrics["skipped"], metrics["faults"], metrics["identities"]) == (1, len(index["faults"]), 4)
    assert metrics["sequences"] == len(index["sequences"])
    assert f"{metrics['sequences']} sequences" in done.stdout


def test_frames_whose_names_are_no_text_are_read(tmp_path: Path) -> None:
    frames = [person(30 + step) for step in range(6)]
    for walk in [f"{identity}/{condition}/090" for identity in "abc" for condition in ("normal-1", "coat")]:
        trees.write_pictures(tmp_path / "own" / walk, frames, [f"{number}.png" for number in range(6)])
    folder = tmp_path / "own/a/coat/090"
    (folder / "3.png").rename(folder / os.fsdecode(b"m\xe4rz-3.png"))
    (folder / os.fsdecode(b"\xff7.png")).write_bytes(b"damaged")
    rules = {"protocol": "own", "train_subjects": 2, "gallery": ["normal-1"], "cross_view": False}
    entry = {"mine": {"layout": "folder", "path": str(tmp_path / "own"), "fps": 25, "partition": rules}}
    params = settings(tmp_path, entry, dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw")
    succeeds("preprocess", params, modality="silhouette", dataset=tmp_path / "raw", out=tmp_path / "pre")
    metrics = json.loads((tmp_path / "pre/metrics.json").read_text())
    faults = metrics["faults"] - metrics["doubtful"]  # these people are rectangles, which preprocess doubts
    assert (metrics["sequences"], metrics["frames"], faults) == (6, 36, 1)


def test_a_person_none_of_whose_walks_is_usable_keeps_their_place_in_the_partition(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "CASIA-B", subjects=4)
    (root / casia_b.SILHOUETTES / "002.tar.gz").write_bytes(b"")
    entry = own(root)
    entry["mine"]["partition"] = {"protocol": "casia-b", "train_subjects": 2}
    params = settings(tmp_path, entry, dataset="mine")
    succeeds("dataset", params, out=tmp_path / "raw")
    succeeds("preprocess", params, modality="silhouette", dataset=tmp_path / "raw", out=tmp_path / "pre/silhouette")
    outs = {kind: tmp_path / f"{kind}.json" for kind in ("training", "test", "code", "protocol")}
    succeeds("partition", params, model="gaitset", preprocessed=tmp_path / "pre", **outs)
    store = SequenceStore.open(tmp_path / "pre/silhouette")
    training, test = (json.loads((tmp_path / f"{kind}.json").read_text()) for kind in ("training", "test"))
    assert {store.sequences[at].identity for at in training["train"]} == {"001"}
    assert {store.sequences[at].identity for at in test["gallery"]} == {"003", "004"}


def test_dataset_errors_are_one_line_and_leave_the_former_manifest(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    out.mkdir()
    (out / "manifest.json").write_text("old")
    nowhere = tmp_path / "nowhere"
    line = fails("dataset", settings(tmp_path, own(nowhere), dataset="mine"), out=out)
    assert line == f"{nowhere}: no such folder; set datasets.mine.path in params.yaml"
    nowhere.mkdir()
    line = fails("dataset", settings(tmp_path, own(nowhere), dataset="mine"), out=out)
    assert line == f"{nowhere}/GaitDatasetB-silh: no such folder"
    unknown = {"mine": {"layout": "casia-c", "path": ".", "partition": FIRST_TRAINS}}
    line = fails("dataset", settings(tmp_path, unknown, dataset="mine"), out=out)
    assert "datasets.mine.layout = casia-c: must be one of" in line
    assert (out / "manifest.json").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["nowhere", "params.yaml", "raw"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with params.yaml, raw/ and an earlier out/."""
    raw = on_disk(tmp_path / "raw", 1)
    manifest = {"dataset": "walkers", "evidence": "synthetic", "fps": 25, "layout": "casia-b", "split": {}}
    (raw / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/index.json").write_text("old")
    settings(tmp_path)
    return tmp_path


def edit_manifest(where: Path, **changes: Any) -> None:
    path = where / "raw/manifest.json"
    manifest = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in manifest.items() if value is not None}))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def blacken(where: Path) -> None:
    folder = where / "raw" / casia_b.SILHOUETTES
    empty(folder)
    casia_b.write_archive(folder / "001.tar.gz", [("001", "nm-01", "090", [np.zeros((60, 80), np.uint8)])])


PREPROCESS_FAILURES: dict[str, tuple[Any, str, str]] = {
    "unknown modality": (lambda at: None, "depth", "unknown modality depth; params.yaml has these under preprocess: silhou"),
    "no dataset": (lambda at: shutil.rmtree(at / "raw"), "silhouette", "{raw}/manifest.json: no such file; run `dvc repro`"),
    "no manifest": (lambda at: (at / "raw/manifest.json").unlink(), "silhouette", "{raw}/manifest.json: no such file"),
    "broken manifest": (
        lambda at: (at / "raw/manifest.json").write_text("{"),
        "silhouette",
        "{raw}/manifest.json: not valid JSON",
    ),
    "a list": (
        lambda at: (at / "raw/manifest.json").write_text("[]"),
        "silhouette",
        "{raw}/manifest.json: must be a mapping",
    ),
    "incomplete": (lambda at: edit_manifest(at, fps=None), "silhouette", "{raw}/manifest.json: must be a mapping with"),
    "unknown layout": (
        lambda at: edit_manifest(at, layout="oumvlq"),
        "silhouette",
        "{raw}/manifest.json: unknown layout oumvlq; known: casia-b, oumvlp, tum-gaid, gait3d, grew, ccpg, sustech1k, "
        "pickles, folder",
    ),
    "folder gone": (
        lambda at: shutil.rmtree(at / "raw/GaitDatasetB-silh"),
        "silhouette",
        "{raw}/GaitDatasetB-silh: no such folder",
    ),
    "folder empty": (
        lambda at: empty(at / "raw/GaitDatasetB-silh"),
        "silhouette",
        "{raw}/GaitDatasetB-silh: holds no 001.tar.gz",
    ),
    "no videos": (lambda at: None, "flow", "{raw}: 001-nm-01-000 has no video; optical flow needs the dataset's videos"),
    "empty videos": (
        lambda at: (at / "raw/DatasetB-video").mkdir(),
        "flow",
        "{raw}: no sequence can be used; the first because: {raw}/DatasetB-video/001-nm-01-000.avi: no such file",
    ),
    "nobody": (blacken, "silhouette", "{raw}: no sequence can be used; the first because: no frame shows a person"),
    "all damaged": (
        lambda at: (at / "raw/GaitDatasetB-silh/001.tar.gz").write_bytes(b"x"),
        "silhouette",
        "{raw}: no sequence can be used; the first because: {raw}/GaitDatasetB-silh/001.tar.gz: damaged",
    ),
}


@pytest.mark.parametrize("which", PREPROCESS_FAILURES)
def test_preprocess_errors_are_one_line_and_leave_the_former_output(small: Path, which: str) -> None:
    break_it, modality, said = PREPROCESS_FAILURES[which]
    break_it(small)
    before = set(os.listdir(small))
    line = fails("preprocess", small / "params.yaml", modality=modality, dataset=small / "raw", out=small / "out")
    assert line.startswith(said.replace("{raw}", str(small / "raw")))
    assert set(os.listdir(small)) == before, "nothing half-written remains"
    assert os.listdir(small / "out") == ["index.json"]
    assert (small / "out/index.json").read_text() == "old"


def test_partition_errors_are_one_line_and_leave_the_former_file(made: Path, tmp_path: Path) -> None:
    params, out = settings(tmp_path), tmp_path / "gaitset.json"
    out.write_text("old")
    outs = {
        "training": out,
        "test": tmp_path / "test.json",
        "code": tmp_path / "code.json",
        "protocol": tmp_path / "protocol.json",
    }
    assert fails("partition", params, model="gaitnet", preprocessed=made / "pre", **outs).startswith(
        "unknown model gaitnet;"
    )
    line = fails("partition", params, model="gaitset", preprocessed=tmp_path, **outs)
    assert line == f"{tmp_path}/silhouette/index.json: no such file; run `dvc repro` to preprocess the dataset"
    params = settings(
        tmp_path, {"walkers": {"layout": "casia-b", "path": "x", "partition": {"protocol": "casia-b", "train_subjects": 3}}}
    )
    line = fails("partition", params, model="gaitset", preprocessed=made / "pre", **outs)
    assert line == "train_subjects = 3: the dataset has 3 identities, so none is left to test"
    shutil.copytree(made / "pre/silhouette", tmp_path / "pre/silhouette")
    (tmp_path / "pre/silhouette/frames.npy").write_bytes(b"")
    line = fails("partition", settings(tmp_path), model="gaitset", preprocessed=tmp_path / "pre", **outs)
    assert line.startswith(f"{tmp_path}/pre/silhouette: damaged (")
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["gaitset.json", "params.yaml", "pre"]


def test_each_model_names_the_code_of_its_datasets_protocol_alone(made: Path) -> None:
    names = ("gait/protocols/__init__.py", "gait/protocols/casia_b.py")
    digests = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in names}
    for model in ("gaitset", "cnn2d"):
        assert json.loads((made / f"protocol/{model}.json").read_text()) == digests
