"""Recipes hold what differs, make whole and valid params files, and replace nothing without keeping it."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gaitpress import params, recipes
from gaitpress.recipes import commented
from tests.support import commands
from tests.support.families import some
from tests.support.toy import ROOT

PUBLISHED = ["casia-b", "ccpg", "gait3d", "oumvlp", "sustech1k", "tum-gaid"]
NAMES = sorted([*PUBLISHED, "embedded-gait"])


def call(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return commands.command("recipe", "--params", where / "params.yaml", *words)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def own(where: Path, text: str) -> str:
    """The path of a recipe of the user's own."""
    (where / "site.yaml").write_text(text, encoding="utf-8")
    return str(where / "site.yaml")


def test_all_recipes_are_listed_with_what_they_are() -> None:
    assert list(recipes.available()) == ["demo", *NAMES]
    assert recipes.published() == NAMES
    listed = commands.command("recipe").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["demo", *NAMES]
    assert sum("as published" in line for line in listed.splitlines()) == len(PUBLISHED)


def test_the_demo_is_the_params_file_as_it_is_delivered() -> None:
    assert (recipes.FOLDER / "demo.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert recipes.whole("demo") == (ROOT / "params.yaml").read_text(encoding="utf-8")


def repeated(entries: dict[str, Any], base: dict[str, Any], section: str = "") -> Iterator[str]:
    """The keys to which a recipe gives the value that they have in its base, if they are not there for a comment's sake."""
    for key, entry in entries.items():
        if key not in base:
            continue
        if entry.block:
            yield from repeated(entry.value, base[key].value, f"{section}{key}.")
        elif not entry.beside and not any(entry.above):
            if entry.value in ({}, base[key].value):
                yield f"{section}{key}"
            elif isinstance(entry.value, dict):
                yield from repeated(entry.value, base[key].value, f"{section}{key}.")


@pytest.mark.parametrize("name", some(NAMES, "embedded-gait", "gait3d"))
def test_a_recipe_says_only_what_differs(name: str) -> None:
    text = recipes.path_of(name).read_text(encoding="utf-8")
    base = recipes.whole(str(params.parse(text, Path(name))["from"]))
    assert list(repeated(commented.parse(text).entries, commented.parse(base).entries)) == []


@pytest.mark.parametrize("name", some(["demo", *NAMES], "demo", "casia-b", "embedded-gait"))
def test_what_a_recipe_makes_has_the_form_of_params_yaml(name: str) -> None:
    whole = recipes.whole(name)
    assert commented.parse(whole).text() == whole
    assert list(params.parse(whole, Path(name))) == list(params.parse(recipes.whole("demo"), Path("demo")))
    # The guide's lines at the top, and the heading of each section.
    for line in recipes.whole("demo").splitlines()[1:]:
        assert not line.startswith("# ") or line in whole.splitlines()


@pytest.mark.parametrize("name", some(NAMES, "casia-b", "embedded-gait"))
def test_the_sources_of_a_recipes_figures_stand_in_what_it_makes(name: str) -> None:
    text, whole = recipes.path_of(name).read_text(encoding="utf-8"), recipes.whole(name)
    assert whole.startswith(text[: text.index("\n\n")] + f"\n# Taken by `python -m gaitpress recipe {name}`.\n\n")
    for comment in re.findall(r"# .+", text[text.index("\ndataset:") :]):
        assert comment in whole
    source = "Sustainable Computing" if name in ("tum-gaid", "embedded-gait") else "https://github.com/ShiqiYu/OpenGait"
    assert source in whole


@pytest.mark.parametrize("name", some(PUBLISHED, "casia-b", "tum-gaid"))
def test_a_recipe_makes_a_valid_params_file_at_the_published_width(name: str) -> None:
    settings = recipes.load(name)
    assert settings.dataset == name
    assert settings.datasets[name].partition.protocol == name
    assert {entry.width for entry in settings.model.values()} == {1}
    assert set(settings.model) == set(settings.finetune), "every model can be chosen"
    assert {entry.modality for entry in settings.model.values()} <= set(settings.preprocess)


def test_gaitset_has_its_published_schedules() -> None:
    casia, oumvlp = (recipes.load(name).model["gaitset"] for name in ("casia-b", "oumvlp"))
    assert (casia.schedule.iterations, casia.schedule.milestones) == (40000, [10000, 20000, 30000])
    assert (casia.optimizer.name, casia.optimizer.lr, casia.optimizer.momentum, casia.optimizer.weight_decay) == (
        "sgd", 0.1, 0.9, 5e-4,
    )  # fmt: skip
    assert (casia.sampling.identities, casia.sampling.sequences, casia.sampling.frames) == (8, 16, 30)
    assert (oumvlp.schedule.iterations, oumvlp.schedule.milestones) == (250000, [150000])
    assert (oumvlp.optimizer.name, oumvlp.optimizer.lr, oumvlp.sampling.identities) == ("adam", 1e-4, 32)
    assert oumvlp.architecture["channels"] == [64, 128, 256]


@pytest.mark.parametrize(("name", "dense"), [("casia-b", 4096), ("tum-gaid", 2048)])
def test_the_2d_cnn_has_its_published_schedule(name: str, dense: int) -> None:
    model = recipes.load(name).model["cnn2d"]
    schedule = model.schedule
    assert model.architecture["dense"] == dense
    assert (model.optimizer.name, model.optimizer.lr, model.optimizer.momentum, model.batch) == ("sgd", 0.01, 0.9, 150)
    assert (schedule.epochs, schedule.extra_epochs, schedule.extra_lr, schedule.min_lr) == (150, 50, 1e-3, 1e-5)
    assert (schedule.plateau_factor, schedule.plateau_patience, schedule.stop_patience) == (0.2, 3, 5)
    assert model.augment


def test_a_recipe_is_taken_and_the_former_file_kept(where: Path) -> None:
    mine = (where / "params.yaml").read_text()
    done = call(where, "casia-b")
    assert done.returncode == 0
    assert "-dataset: walkers" in done.stdout
    assert "+dataset: casia-b" in done.stdout
    assert (where / "params.yaml").read_text() == recipes.whole("casia-b")
    assert params.load(where / "params.yaml") == recipes.load("casia-b")
    assert (where / "params.before-casia-b.yaml").read_text() == mine
    assert "already" in call(where, "casia-b").stdout
    # Again, with another file of the user's: the first one kept stays.
    (where / "params.yaml").write_text("mine: too\n")
    assert call(where, "casia-b").returncode == 0
    assert (where / "params.before-casia-b.yaml").read_text() == mine
    assert (where / "params.before-casia-b-2.yaml").read_text() == "mine: too\n"


def test_the_demo_takes_one_back(where: Path) -> None:
    assert call(where, "tum-gaid").returncode == 0
    taken = (where / "params.yaml").read_bytes()
    assert call(where, "demo").returncode == 0
    assert (where / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert (where / "params.before-demo.yaml").read_bytes() == taken


def test_showing_prints_the_whole_file_its_changes_and_the_plan_and_changes_nothing(where: Path) -> None:
    before = (where / "params.yaml").read_bytes()
    done = call(where, "tum-gaid", "--show")
    whole, changes, plan = re.split(r"^==== .+\n", done.stdout, flags=re.M)
    assert whole == recipes.whole("tum-gaid") + "\n"
    assert "\n-dataset: walkers" in changes
    assert "\n+dataset: tum-gaid" in changes
    assert plan.startswith("trainings           1  cnn2d\n")
    assert (where / "params.yaml").read_bytes() == before
    assert [path.name for path in where.iterdir()] == ["params.yaml"]


def test_a_recipe_that_is_taken_already_is_shown_too(where: Path) -> None:
    shown = call(where, "demo", "--show").stdout
    assert shown.startswith(recipes.whole("demo"))
    assert "is the recipe demo already" in shown
    assert "\nnetworks            6  " in shown


def test_the_whole_deployment_study_is_planned(where: Path) -> None:
    settings = recipes.load("embedded-gait")
    assert (settings.models, settings.devices) == (["cnn2d", "cnn3d", "gaitset"], ["nano", "xavier"])
    assert settings.precisions == ["fp32", "fp16", "int8", "best"]
    assert settings.prune.mode == "published"
    assert {10, 20, 30, 40, 50, 80} < set(settings.prune.percentiles)
    assert {entry.width for entry in settings.model.values()} == {1}
    assert {1, 8} == set(settings.benchmark.sweep)
    printed = call(where, "embedded-gait", "--show").stdout
    # 3 models at 7 percentiles, in 4 precisions, on 2 boards.
    for name, count in (("trainings", 3), ("networks", 21), ("precisions", 84), ("engines", 168)):
        assert re.search(rf"^{name} +{count} ", printed, flags=re.M)
    for board in ("nano", "xavier"):
        assert f"python -m remote add {board} ssh://you@host --runtime tensorrt" in printed


def test_an_unknown_recipe_is_reported_with_what_there_is(where: Path) -> None:
    done = call(where, "casiab")
    assert done.returncode == 1
    assert done.stderr == "error: no recipe casiab; did you mean casia-b?\n"


SITE = """\
# Our laboratory.

from: casia-b
without: [datasets.oumvlp, model.gln, finetune.gln]

models: [gaitset]                   # for now
devices: [board]
datasets:
  casia-b:
    path: /data/CASIA-B             # of the file server
select: {device: board, min_rank1: 90}
"""


def test_a_recipe_of_ones_own_is_taken_by_its_path(where: Path) -> None:
    path = own(where, SITE)
    assert call(where, path).returncode == 0
    text, settings = (where / "params.yaml").read_text(), params.load(where / "params.yaml")
    assert text.startswith(f"# Our laboratory.\n# Taken by `python -m gaitpress recipe {path}`.\n\n# Everything you edit")
    assert (settings.models, settings.devices, settings.select.min_rank1) == (["gaitset"], ["board"], 90)
    assert settings.datasets["casia-b"].path == "/data/CASIA-B"
    assert settings.datasets["casia-b"].partition.train_subjects == 74
    published = recipes.load("casia-b")
    assert settings.model == {name: entry for name, entry in published.model.items() if name != "gln"}
    assert set(settings.datasets) == set(published.datasets) - {"oumvlp"}
    assert "    path: /data/CASIA-B             # of the file server\n" in text
    assert "models: [gaitset]                   # for now\n" in text
    assert (where / "params.before-site.yaml").exists()


def test_the_guides_example_is_a_recipe_and_its_fault_is_refused_as_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    example = textwrap.dedent("".join(re.findall(r"^(?:    (?!python|error).*\n|\n)", page, flags=re.M)))
    settings = recipes.load(own(tmp_path, example))
    assert (settings.devices, settings.benchmark.repeats, "gln" in settings.model) == (["door"], 10, False)
    fault = re.search(r"^    error: my/site.yaml: (.+)$", page, flags=re.M)
    assert fault is not None
    with pytest.raises(params.ParamsError, match=re.escape(fault[1])):
        recipes.load(own(tmp_path, example.replace("repeats:", "repeat:")))


def test_a_whole_params_file_is_a_recipe_too(where: Path) -> None:
    mine = recipes.whole("oumvlp").replace("percentiles: [0, 10, 30, 60]", "percentiles: [ 0, 5 ]")
    assert call(where, own(where, mine)).returncode == 0
    assert (where / "params.yaml").read_text() == mine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from: demo\nprune: {round_two: 8}\n", "prune.round_two = 8: unknown key; did you mean round_to?"),
        ("from: demo\nprune: {round_to: eight}\n", "prune.round_to = eight: must be a whole number"),
        ("from: demo\nquantize: {method: null}\n", "quantize.method = None: must be 'minmax', 'entropy' or 'percentile'"),
        ("from: demo\nmodels: [gaitset, gaitsett]\n", "models[1] = gaitsett: no such entry under model"),
        (
            "from: demo\nwithout: [model.gaitsett]\n",
            "without = model.gaitsett: the recipe demo has no such key; did you mean model.gaitset?",
        ),
        ("from: demo\nwithout: [prune.round_to]\n", "prune.round_to: is missing"),
        ("from: demo\nwithout: prune\n", "without: must be a list of keys, such as [datasets.walkers, model.gaitgl]"),
        (
            "prune: {round_to: 8}\n",
            "must start from another recipe, such as `from: demo`, or have dataset, modalities, models, ",
        ),
        (
            "from: casia\n",
            "from = casia: must be one of demo, casia-b, ccpg, embedded-gait, gait3d, oumvlp, sustech1k, tum-gaid",
        ),
        ("- demo\n", "must be a mapping of sections"),
        ("from: demo\nfrom: demo\n", "not valid YAML: "),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(params.ParamsError) as refused:
        recipes.load(path)
    assert str(refused.value).startswith(f"{path}: {message}")


def test_a_wrong_recipe_changes_nothing(where: Path) -> None:
    before, path = (where / "params.yaml").read_bytes(), own(where, "from: demo\nprune: {round_two: 8}\n")
    done = call(where, path)
    assert done.returncode == 1
    assert done.stderr == f"error: {path}: prune.round_two = 8: unknown key; did you mean round_to?\n"
    assert (where / "params.yaml").read_bytes() == before
    assert sorted(path.name for path in where.iterdir()) == ["params.yaml", "site.yaml"]


def test_a_recipe_that_starts_from_itself_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gaitpress.recipes.composing.FOLDER", tmp_path)
    for name, base in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.yaml").write_text(f"from: {base}\n")
    with pytest.raises(params.ParamsError, match=r"one.yaml: from: the recipe starts from itself"):
        recipes.whole("one")


def test_a_recipe_that_is_not_there_is_named(where: Path) -> None:
    assert call(where, "my/site.yaml").stderr == "error: my/site.yaml: no such file\n"
