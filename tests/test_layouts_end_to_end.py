"""The whole DAG on data laid out as CASIA-B and TUM-GAID are distributed, and the tests of those in the wild."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gait.data.modalities import silhouettes
from gait.data.readers import casia_b
from gait.data.walkers import FPS, Walk, Walkers
from tests.support.toy import copy_repository, make_small, rates, run

pytestmark = pytest.mark.slow
FRAMES = 31


def walks(person: int, views: tuple[str, ...], nm: int, bg: int, cl: int) -> Iterator[Walk]:
    return Walkers(views, nm, bg, cl, FRAMES, difficulty=0.2, noise=0.2, seed=5).walks(person)


def casia_b_tree(root: Path) -> None:
    """Six people in archives as distributed, and one extracted; videos of all."""
    (root / casia_b.SILHOUETTES).mkdir(parents=True)
    (root / casia_b.VIDEOS).mkdir()
    for person in range(1, 8):
        own = list(walks(person, ("072", "090"), 6, 2, 2))
        for walk in own:
            casia_b.write_video(root / casia_b.VIDEOS / f"{person:03d}-{walk.condition}-{walk.view}.avi", walk.video, FPS)
        archive = root / casia_b.SILHOUETTES / f"{person:03d}.tar.gz"
        casia_b.write_archive(archive, ((walk.identity, walk.condition, walk.view, walk.silhouettes) for walk in own))
    run(["tar", "-xzf", archive.name], archive.parent)
    archive.unlink()


def tum_gaid_tree(root: Path) -> None:
    """Colour frames in folders, a background picture a person, and the lists; person 003 walks again months later."""
    letters = {"nm": "n", "bg": "b", "cl": "s"}
    people = {"train": range(10, 14), "val": range(14, 16), "test": (3, 20, 21)}
    for part, members in people.items():
        (root / "labels").mkdir(parents=True, exist_ok=True)
        (root / "labels" / f"tumgaid{part}ids.lst").write_text("".join(f"{member}\n" for member in members))
        for member in members:
            twice = 2 if member == 3 else 1
            for walk in walks(member, ("090",), 6 * twice, 2 * twice, 2 * twice):
                kind, number = walk.condition.split("-")
                folder = root / "image" / f"p{member:03d}" / f"{letters[kind]}{number}"
                folder.mkdir(parents=True)
                for frame, picture in enumerate(walk.video, start=1):
                    cv2.imwrite(str(folder / f"{frame:03d}.jpg"), cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))


def write_silhouettes(folder: Path, walk: Walk) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(walk.silhouettes, start=1):
        if frame is not None:
            cv2.imwrite(str(folder / f"{number:05d}.png"), frame)


def gait3d_tree(root: Path) -> None:
    """Four people who train and three who are tested, of whom a walk each is looked for; the list beside them."""
    probes = []
    for person in range(1, 8):
        for number, walk in enumerate(walks(person, ("072", "090"), 5, 0, 0)):
            place = f"{person:04d}", f"camid{walk.view}_videoid1", f"seq{number}"
            write_silhouettes(root / "2D_Silhouettes" / Path(*place), walk)
            probes += ["-".join(place)] if person > 4 and number in (0, 6) else []
    train, test = ([f"{person:04d}" for person in people] for people in (range(1, 5), range(5, 8)))
    (root / "Gait3D.json").write_text(json.dumps({"TRAIN_SET": train, "TEST_SET": test, "PROBE_SET": probes}))


def grew_tree(root: Path) -> None:
    """Four people who train and three who are tested; a third walk of each of these is a probe of nobody's."""
    for person in range(1, 8):
        own = list(walks(person, ("090",), 5, 0, 0))
        for number, walk in enumerate(own[:4] if person <= 4 else own[:2]):
            part = "train" if person <= 4 else "test/gallery"
            write_silhouettes(root / part / f"{person:05d}" / f"walk{number}", walk)
        if person > 4:
            write_silhouettes(root / "test/probe" / f"of{person}", own[2])


def ccpg_tree(root: Path) -> None:
    """Four people who train and three who are tested, each in all clothes before two cameras."""
    clothes = ("U0_D0", "U0_D0_BG", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3")
    for person in range(1, 8):
        own = [walk for view in ("072", "090") for walk in walks(person, (view,), 7, 0, 0)]
        for walk, (camera, worn) in zip(own, product(("01_0", "02_0"), clothes), strict=True):
            write_silhouettes(root / "CCPG_G_SIL" / f"{person:03d}" / worn / camera, walk)
    train, test = ([f"{person:03d}" for person in people] for people in (range(1, 5), range(5, 8)))
    (root / "CCPG.json").write_text(json.dumps({"TRAIN_SET": train, "TEST_SET": test}))


def sustech1k_tree(root: Path) -> None:
    """The same in pickles, beside those of other sensors, which are no silhouettes."""
    conditions = ("00-nm", "01-nm", "01-cl", "02-cl-nt", "01-ub")
    for person in range(1, 8):
        own = [walk for view in ("072", "090") for walk in walks(person, (view,), 5, 0, 0)]
        for walk, (view, condition) in zip(own, product(("000", "090-near"), conditions), strict=True):
            folder = root / "SUSTech1K-Released-pkl" / f"{person:04d}" / condition / view
            folder.mkdir(parents=True)
            aligned = silhouettes.align_all([frame for frame in walk.silhouettes if frame is not None], 64)
            (folder / f"06-{view}-Camera-Sils_aligned.pkl").write_bytes(pickle.dumps(aligned))
            (folder / f"14-sync-{view}-Camera-Sils_aligned.pkl").write_bytes(pickle.dumps(aligned[::3]))
            (folder / f"00-{view}-LiDAR-PCDs.pkl").write_bytes(pickle.dumps(np.zeros((9, 3))))
    train, test = ([f"{person:04d}" for person in people] for people in (range(1, 5), range(5, 8)))
    (root / "SUSTech1K.json").write_text(json.dumps({"TRAIN_SET": train, "TEST_SET": test}))


TREES = {"casia-b": casia_b_tree, "tum-gaid": tum_gaid_tree}
KINDS = {"casia-b": {"nm", "bg", "cl"}, "tum-gaid": {"n", "b", "s"}}


@pytest.mark.parametrize("name", TREES)
def test_a_published_dataset_goes_from_its_own_form_to_measured_engines(tmp_path: Path, name: str) -> None:
    TREES[name](tmp_path / "data")
    where = copy_repository(tmp_path / "repository")
    settings = {"dataset": name, f"datasets.{name}.path": str(tmp_path / "data"), "precisions": ["fp32"]}
    if name == "casia-b":
        settings["datasets.casia-b.partition.train_subjects"] = 4
    make_small(where / "params.yaml", **settings)
    run(["snakemake", "--cores", "2", "all"], where)
    records = [json.loads(path.read_text()) for path in where.glob("results/benchmark/local/*/*.json")]
    assert {record["variant"]["model"] for record in records} == {"gaitset", "cnn2d"}
    for record in records:
        assert (record["status"], record["data"], record["variant"]["dataset"]) == ("ok", "published", name)
        accuracy = rates(where, "local", record["variant"]["model"], 50)
        assert accuracy["rank1"]["conditions"].keys() == KINDS[name]
        assert accuracy["protocol"] == name
        if name == "tum-gaid":
            for part in (accuracy, accuracy["temporal"]):
                assert part["knn7"]["conditions"].keys() == KINDS[name]
    table = (where / "results/report/pareto.txt").read_text(encoding="utf-8")
    assert all(kind.upper() in table for kind in KINDS[name])
    for modality in ("silhouette", "flow"):
        index = json.loads((where / f"data/preprocessed/{modality}/index.json").read_text())
        assert (index["skipped"], index["faults"]) == ([], [])
        assert index["missing"]["identities"]
    assert "Nothing to be done" in run(["snakemake", "--cores", "2", "all"], where)
    assert json.loads(run(["dvc", "status", "--json"], where)) == {}


def evaluated(where: Path, name: str, tree: Path) -> dict[str, Any]:
    """The dense GaitSet's rates on a dataset."""
    settings: dict[str, Any] = {"dataset": name, f"datasets.{name}.path": str(tree), "models": ["gaitset"]}
    make_small(where / "params.yaml", modalities=["silhouette"], **settings)
    run(["snakemake", "--cores", "2", "results/evaluate/gaitset.json"], where)
    figures: dict[str, Any] = json.loads((where / "results/evaluate/gaitset.json").read_text())
    return figures


def test_gait3d_has_its_table(tmp_path: Path) -> None:
    gait3d_tree(tmp_path / "data")
    rates = evaluated(copy_repository(tmp_path / "repository"), "gait3d", tmp_path / "data")
    assert (rates["test"]["sequences"], rates["probes"]) == ({"gallery": 24, "probe": 6}, 6)
    assert all(0 < rates[measure]["mean"] <= 100 for measure in ("rank1", "rank5", "rank10", "mAP", "mINP"))
    assert rates["mINP"]["mean"] <= rates["mAP"]["mean"]
    assert rates["cmc"][-1] == 100


def test_ccpg_has_its_table(tmp_path: Path) -> None:
    ccpg_tree(tmp_path / "data")
    where = copy_repository(tmp_path / "repository")
    rates = evaluated(where, "ccpg", tmp_path / "data")
    assert (rates["test"]["sequences"], rates["probes"]) == ({"gallery": 30, "probe": 24}, 24)
    for measure in ("rank1", "rank5", "mAP", "mINP"):
        assert rates[measure]["conditions"].keys() == {"CL", "UP", "DN", "BG"}
        assert 0 < rates[measure]["mean"] <= 100
    assert rates["other_cameras"]["cmc"][-1] == 100
    index = json.loads((where / "data/preprocessed/silhouette/index.json").read_text())
    assert (index["skipped"], index["faults"], len(index["sequences"])) == ([], [], 7 * 7 * 2)


def test_sustech1k_has_its_table_from_pickles(tmp_path: Path) -> None:
    sustech1k_tree(tmp_path / "data")
    where = copy_repository(tmp_path / "repository")
    rates = evaluated(where, "sustech1k", tmp_path / "data")
    assert (rates["test"]["sequences"], rates["probes"]) == ({"gallery": 6, "probe": 24}, 24)
    conditions = {name: of["probes"] for name, of in rates["rank1"]["conditions"].items()}
    assert conditions == {"normal": 6, "clothing": 12, "night": 6, "umbrella": 6}
    assert 0 < rates["rank1"]["mean"] <= rates["rank5"]["mean"] <= 100
    index = json.loads((where / "data/preprocessed/silhouette/index.json").read_text())
    assert (index["skipped"], index["faults"], len(index["sequences"])) == ([], [], 7 * 5 * 2)
    assert min(sequence["count"] for sequence in index["sequences"]) > FRAMES // 3


def test_grew_has_its_local_test_and_a_submission(tmp_path: Path) -> None:
    grew_tree(tmp_path / "data")
    where = copy_repository(tmp_path / "repository")
    rates = evaluated(where, "grew", tmp_path / "data")
    assert (rates["test"]["sequences"], rates["probes"]) == ({"gallery": 3, "probe": 3}, 3)
    command = ["python", "-m", "gaitpress", "submission", "--model", "gaitset", "--out", "grew.csv"]
    assert "3 probes among 6 enrolled walks" in run(command, where)
    with (where / "grew.csv").open() as file:
        header, *lines = csv.reader(file)
    assert header == ["videoId", *(f"rank{rank}" for rank in range(1, 21))]
    assert [line[0] for line in lines] == ["of5", "of6", "of7"]
    assert all(sorted(line[1:]) == ["5", "5", "6", "6", "7", "7"] for line in lines)
    with pytest.raises(AssertionError, match="is there already"):
        run(command, where)
