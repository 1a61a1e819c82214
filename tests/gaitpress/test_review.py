"""What a pull request changes, reported from real git repositories with DVC's stores, as a team's CI would ask for it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from gait.people import ByPerson
from gaitpress import outputs
from gaitpress.commands.review import comment
from gaitpress.commands.review.side import branching_point
from gaitpress.errors import StageError
from tests.support.many_records import rates_of, record
from tests.support.toy import ROOT, commit, environment, run

PEOPLE, PROBES = 30, 12
WORKFLOW = YAML(typ="safe", pure=True).load((ROOT / "docs/ci/review.yml").read_text(encoding="utf-8"))
# Of each variant, by the seed of the training: its latency in ms, and how many hits each person has fewer than all.
NAMES = ("p0-fp32", "p0-int8", "p30-fp32", "p30-int8", "p60-fp32", "p60-int8")
GIVEN = {
    1: dict(zip(NAMES, [(20.0, 1), (10.0, 1), (8.0, 1), (4.0, 3), (3.0, 6), (1.5, 8)], strict=True)),
    2: dict(zip(NAMES, [(20.0, 1), (10.0, 3), (5.0, 1), (3.0, 1), (2.0, 6), (1.5, 8)], strict=True)),
}
DAG = """\
stages:
  train:
    matrix: {model: "${models}"}
    cmd: python given.py train ${item.model} results/train/${item.model}.json
    deps: [given.py]
    params: ["model.${item.model}.seed"]
    outs: ["results/train/${item.model}.json"]
  measured:
    matrix: {device: "${devices}", model: "${models}", percentile: "${prune.percentiles}", precision: "${precisions}"}
    cmd:
      - python given.py benchmark ${item.device}/${item.model}/p${item.percentile}-${item.precision}
        results/benchmark/${item.device}/${item.model}/p${item.percentile}-${item.precision}.json
      - python given.py recognise ${item.device}/${item.model}/p${item.percentile}-${item.precision}
        results/recognise/${item.device}/${item.model}/p${item.percentile}-${item.precision}.json
    deps: ["results/train/${item.model}.json", "remote/facts/${item.device}.json"]
    params: [benchmark]
    outs:
      - "results/benchmark/${item.device}/${item.model}/p${item.percentile}-${item.precision}.json"
      - "results/recognise/${item.device}/${item.model}/p${item.percentile}-${item.precision}.json"
  probe:
    matrix: {device: "${devices}"}
    cmd: date +%N > remote/facts/${item.device}.json
    deps: [given.py]
    outs: [{"remote/facts/${item.device}.json": {cache: false, persist: true}}]
  report:
    cmd: mkdir -p results/report && echo 1 > results/report/count
    deps: [results/benchmark, results/recognise]
    params: [prune.percentiles]
    outs: [results/report]
"""


def write_given(folder: Path, percentile: int, precision: str, latency: float, fewer: int) -> None:
    seeds = (seed for seed in range(99) if record(random.Random(seed), "local", "gaitset", 0, "fp32")["valid"])
    made = record(random.Random(next(seeds)), "local", "gaitset", percentile, precision)
    made["latency_ms"] |= {"p50": latency, "p50_low": latency, "p50_high": latency}
    made |= {"ms_per_video_second": latency, "energy_mj_per_inference": None}
    rates = rates_of(made)
    counted = np.full((PEOPLE, 1, 1, 1), PROBES)
    hits = counted - fewer
    hits[::5] -= fewer // 2  # people differ
    by_person = ByPerson.of([str(number) for number in range(PEOPLE)], hits, counted)
    rates["accuracy"]["rank1"]["mean"] = by_person.mean
    name = f"local/gaitset/p{percentile}-{precision}.json"
    outputs.write_json(folder / "benchmark" / name, made)
    outputs.write_json(folder / "recognise" / name, {**rates, "rank1_by_person": by_person.to_json()})


def edit(where: Path, pattern: str, text: str) -> None:
    file = where / "params.yaml"
    changed, replaced = re.subn(pattern, text, file.read_text(encoding="utf-8"), count=1)
    assert replaced
    file.write_text(changed, encoding="utf-8")


SEED = r"(?s)(\n  gaitset:.*?seed: )\d+"


class Team:
    """A repository with a main branch that is pushed to a store, and a branch on which somebody works."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def clone(self, where: Path) -> Path:
        """What CI checks out: the commits, and none of the results."""
        run(["git", "clone", "-q", "--branch", "work", str(self.where), str(where)], self.where)
        return where


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a store, and what its main branch made."""
    where = tmp_path_factory.mktemp("team")
    for name in ("params.yaml", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "remote/devices.yaml"):
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, where / name)
    shutil.copy2(ROOT / "tests/support/given.py", where)
    (where / "remote/facts").mkdir()
    (where / "dvc.yaml").write_text(DAG)
    for seed, variants in GIVEN.items():
        for name, (latency, fewer) in variants.items():
            percentile, precision = re.fullmatch(r"p(\d+)-(\w+)", name).groups()  # type: ignore[union-attr]
            write_given(where / f"given/{seed}", int(percentile), precision, latency, fewer)
    edit(where, r"\nmodels: \[.*?\]", "\nmodels: [gaitset]")
    edit(where, r"percentiles: \[.*?\]", "percentiles: [0, 30]")
    run(["git", "init", "-q", "-b", "main"], where)
    run(["dvc", "remote", "add", "-d", "store", str(where.parent / f"{where.name}-store")], where)
    run(["dvc", "repro", "-q"], where)
    commit(where, "the main branch")
    run(["dvc", "push", "-q", "--run-cache"], where)
    run(["git", "switch", "-q", "-c", "work"], where)
    return where


@pytest.fixture
def team(made: Path, tmp_path: Path) -> Team:
    """The same with a store of its own."""
    where, store = tmp_path / "team", tmp_path / "store"
    shutil.copytree(made, where, symlinks=True)
    shutil.copytree(made.parent / f"{made.name}-store", store)
    run(["dvc", "remote", "modify", "store", "url", str(store)], where)
    commit(where, "another store")
    run(["git", "branch", "-f", "main"], where)
    return Team(where)


def review(where: Path, *words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gaitpress", "review", *map(str, words)]
    return subprocess.run(
        line, cwd=where, env=environment() | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def steps(job: str, where: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the named steps of a job of the workflow, without the installation, as GitHub does: to the first that fails."""
    env = environment() | {"PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(where / "summary.md")} | env
    done = subprocess.CompletedProcess("", 0, "", "")
    for step in WORKFLOW["jobs"][job]["steps"]:
        if "run" in step and step["name"] != "Install" and (not done.returncode or step.get("if") == "always()"):
            script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            latest = subprocess.run(script, cwd=where, env=env, capture_output=True, text=True, check=False)
            done = done if done.returncode else latest
    return done


@pytest.mark.slow  # runs, pushes and clones a pipeline
def test_a_team_reads_what_one_parameter_changes(team: Team, tmp_path: Path) -> None:
    edit(team.where, SEED, r"\g<1>2")
    edit(team.where, r"percentiles: \[0, 30\]", "percentiles: [0, 30, 60]")
    run(["dvc", "repro", "-q"], team.where)
    commit(team.where, "seed 2")
    run(["dvc", "push", "-q", "--run-cache"], team.where)
    ci = team.clone(tmp_path / "ci")
    done = steps("review", ci, BASE=run(["git", "rev-parse", "origin/main"], ci).strip())
    assert done.returncode == 0, done.stderr
    posted = (ci / "review/comment.md").read_text(encoding="utf-8")
    assert (ci / "summary.md").read_text(encoding="utf-8") == posted
    assert "dvc.lock is as params.yaml and the code say." in posted
    assert "| `model.gaitset.seed` | `1` | `2` |" in posted
    assert "| `prune.percentiles` | `[0, 30]` | `[0, 30, 60]` |" in posted
    # The fastest within a point of the dense network: before, p30 in fp32; now int8 of it loses nothing.
    chosen = next(line for line in posted.splitlines() if line.startswith("| `local` |"))
    assert "gaitset p30 fp32: 91.7 %, 8.00 ms" in chosen.split("|")[2] and "gaitset p30 int8" in chosen.split("|")[3]
    lines = {line.split("`")[1]: line for line in posted.splitlines() if line.startswith("| `local/")}
    assert set(lines) == {f"local/gaitset/{name}" for name in ("p0-int8", "p30-fp32", "p30-int8", "p60-fp32", "p60-int8")}
    assert "8.00 → 5.00 (−38 %)" in lines["local/gaitset/p30-fp32"]
    assert re.search(r"→ \d+\.\d \(−1\d\.\d; 95 %: −\d+\.\d to −\d+\.\d\)", lines["local/gaitset/p0-int8"])
    assert "**new**" in lines["local/gaitset/p60-fp32"]
    assert "As before: 1 of 6 variants." in posted
    assert "synthetic data" in posted
    assert (ci / "review/change.png").read_bytes().startswith(b"\x89PNG")
    assert not (ci / "results/benchmark").exists()
    # The other way round, two are gone.
    run(["git", "switch", "-q", "-c", "back", "origin/main"], ci)
    printed = review(ci, run(["git", "rev-parse", "origin/work"], ci).strip()).stdout
    assert "**gone**" not in printed  # main is where the branch began: it changes nothing against that
    edit(ci, r"percentiles: \[0, 30\]", "percentiles: [0]")
    lock = (ci / "dvc.lock").read_text()
    done = review(ci, "origin/main")
    assert (done.returncode, (ci / "dvc.lock").read_text()) == (1, lock)  # the report is of other percentiles
    assert done.stdout.count("**gone**, was") == 2
    assert "| `report` | `prune.percentiles` |" in done.stdout


@pytest.mark.slow
def test_a_stale_lock_fails_with_the_stages_and_what_differs(team: Team, tmp_path: Path) -> None:
    edit(team.where, SEED, r"\g<1>2")
    edit(team.where, r"percentiles: \[0, 30\]", "percentiles: [0, 30, 45]")
    with (team.where / "given.py").open("a") as code:
        code.write("# edited\n")
    commit(team.where, "no run")
    ci = team.clone(tmp_path / "ci")
    done = steps("review", ci, BASE="origin/main")
    assert done.returncode == 1
    summary = (ci / "summary.md").read_text(encoding="utf-8")
    assert "**dvc.lock is out of date: 5 of 9 stages are not as params.yaml and the code say.**" in summary
    rows = {line.split("`")[1]: line for line in summary.splitlines() if re.match(r"\| `([a-z]+@|report`)", line)}
    assert "`given.py`, `model.gaitset.seed`" in rows["train@gaitset"]
    assert (
        "`never run`" in rows["measured@local-gaitset-45-fp32"] and "`never run`" in rows["measured@local-gaitset-45-int8"]
    )
    assert "`prune.percentiles`" in rows["report"]
    assert rows.keys() - {"train@gaitset", "probe@local", "report"} == {
        f"measured@local-gaitset-45-{p}" for p in ("fp32", "int8")
    }
    assert "commit dvc.lock, and type `dvc push --run-cache`" in summary
    assert "Without a record yet: 2 of 6 variants." in summary
    assert "neither here nor in the store" not in summary


@pytest.mark.slow  # runs, pushes and clones a pipeline
def test_where_stages_ran_the_comment_says_how_long_they_will_take(team: Team) -> None:
    edit(team.where, SEED, r"\g<1>2")
    (team.where / "logs").mkdir()
    (team.where / "logs/durations.csv").write_text("train@gaitset,61.0\nmeasured@local-gaitset-0-fp32,5.0\n")
    done = review(team.where, "main")
    assert done.returncode == 1, done.stderr
    assert "6 of 7 stages run; fewer, if DVC's run-cache has some of them." in done.stdout
    assert re.search(r"train +1 +1 min 1 s", done.stdout)


@pytest.mark.slow  # runs, pushes and clones a pipeline
def test_results_that_nobody_pushed_are_named_as_such(team: Team, tmp_path: Path) -> None:
    edit(team.where, SEED, r"\g<1>2")
    run(["dvc", "repro", "-q"], team.where)
    commit(team.where, "not pushed")
    ci = team.clone(tmp_path / "ci")
    done = steps("review", ci, BASE="origin/main")
    assert done.returncode == 1
    posted = (ci / "review/comment.md").read_text(encoding="utf-8")
    assert "dvc.lock is as params.yaml and the code say." in posted
    assert re.search(r"\*\*Of `this branch`:\*\* [1-7] of 8 records are neither here nor in the store", posted)
    assert "whoever made them types `dvc push --run-cache`" in posted
    shutil.rmtree(tmp_path / "store")
    done = review(ci, "origin/main")
    assert "8 of 8 records are neither here nor in the store" in done.stdout
    assert "### Variants" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow  # runs, pushes and clones a pipeline
def test_a_branch_that_does_not_exist_says_what_to_type(team: Team) -> None:
    done = review(team.where, "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: nothing: fatal: Not a valid object name nothing; fetch it" in done.stderr


def test_the_comment_is_posted_as_it_is_with_the_address_of_the_picture(tmp_path: Path) -> None:
    (tmp_path / "review").mkdir()
    (tmp_path / "review/comment.md").write_text("## What $(this) `branch` changes\n")
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport json, sys\nopen('asked.json', 'w').write(json.dumps(sys.argv[1:]))\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "NUMBER": "7", "GITHUB_REPOSITORY": "lab/gait", "PICTURE": "https://example.org/a%20b"}
    done = steps("comment", tmp_path, **env)
    assert done.returncode == 0, done.stderr
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert " ".join(asked) == "pr comment 7 --repo lab/gait --edit-last --create-if-none --body-file review/comment.md"
    posted = (tmp_path / "review/comment.md").read_text()
    assert posted.startswith("## What $(this) `branch` changes\n\n[The picture")
    assert "(https://example.org/a%20b)" in posted


def test_the_workflow_gives_the_branch_neither_words_in_its_scripts_nor_rights() -> None:
    assert WORKFLOW["permissions"] == {}
    assert WORKFLOW["jobs"]["review"]["permissions"] == {"contents": "read"}
    assert "checkout" not in str(WORKFLOW["jobs"]["comment"])
    for job in WORKFLOW["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a `b` c", "a `b` c"),
        ("<img src=x> @team [a](b)", r"\<img src=x\> \@team \[a\](b)"),
        ("a ` b", "`a ' b`"),
        ("a\n| b", r"a \| b"),
    ],
)
def test_words_of_a_branch_mean_nothing_in_markdown(text: str, shown: str) -> None:
    assert comment._escaped(text) == shown


def test_a_folder_without_a_repository_is_reported_without_advice_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match=f"^{tmp_path} is not a git repository: a review needs its history; clone it$"):
        branching_point("main")
