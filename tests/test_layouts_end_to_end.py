"""The whole DAG on data laid out as CASIA-B and TUM-GAID are distributed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

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
