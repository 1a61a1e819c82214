"""docs/own-model.md: its files and entries are taken from the page and run through the whole DAG."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from compress.errors import CompressionError
from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings
from gait.networks import torch_model
from gaitpress import outputs, params
from gaitpress.__main__ import COMMANDS
from gaitpress.params import values
from stages.prune import TOLERANCE
from tests.support.guides import Guide, python
from tests.support.toy import ROOT, copy_repository, make_small, rates, run
from workflow.dvc.stages import read_yaml

GUIDE = Guide("own-model")
PAGE, FILES = GUIDE.page, GUIDE.files
MODELS = ["mygait", "mycnn"]
PRUNING = PruneSettings(50, "mean-l1", "layer", 4, 4)


def test_the_page_has_two_models_and_two_losses() -> None:
    assert list(FILES) == ["gait/models/mygait.py", "gait/losses/supcon.py", "gait/models/mycnn.py", "gait/losses/focal.py"]
    assert [set(block) for block in GUIDE.entries] == [{"model", "finetune"}] * 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the page's files and entries."""
    where = copy_repository(tmp_path_factory.mktemp("home"))
    GUIDE.write_files(where)
    GUIDE.write_entries(where)
    make_small(where / "params.yaml", models=MODELS)
    return where


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where the names of losses are looked up as well."""
    monkeypatch.setattr(values, "ROOT", home)
    return home


def test_the_entries_are_valid(at_home: Path) -> None:
    assert params.load(at_home / "params.yaml").models == MODELS


def module(changed: tuple[str, str] = ("", "")) -> ModuleType:
    """The page's PyTorch model as if its file were there, with one piece of the text replaced."""
    code = FILES["gait/models/mygait.py"]
    assert changed[0] in code
    made = ModuleType("gait.models.mygait")
    exec(code.replace(*changed), made.__dict__)
    return made


def network(made: ModuleType) -> Any:
    torch.manual_seed(0)
    return made.build({"channels": [16, 32], "embedding": 64}, 1, 3).eval()


RIGHT = ("torch.cat([maps.mean(1), maps.amax(1)], 1)", "torch.cat([maps.mean(1), maps.amax(1)], 1)")
INTERLEAVED = (RIGHT[0], "torch.stack([maps.mean(1), maps.amax(1)], 2).flatten(1, 2)")
READ_BY_BOTH = 'filter_group("conv1 conv2", ("conv2.conv.weight", 1), ("conv3.conv.weight", 1))'
UNTIED = (
    READ_BY_BOTH,
    'filter_group("conv1", ("conv2.conv.weight", 1)), filter_group("conv2", ("conv3.conv.weight", 1))',
)
READ_ONCE = ('("fc.weight", 1, 2)', '("fc.weight", 1)')


@pytest.mark.parametrize(("changed", "equal"), [(RIGHT, True), (INTERLEAVED, False), (UNTIED, False)])
def test_pruning_finds_ties_that_do_not_hold(monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str], equal: bool) -> None:
    made = module(changed)
    monkeypatch.setitem(sys.modules, "gait.models.mygait", made)
    model = network(made)
    pruned, selections = torch_surgery.prune(model, PRUNING)
    assert (torch_surgery.proof_error(model, pruned, selections, (1, 3, 64, 44)) < TOLERANCE) == equal


@pytest.mark.parametrize(
    "changed",
    [
        READ_ONCE,
        ('("conv2.conv.weight", 1), ("conv3.conv.weight", 1)', '("conv3.conv.weight", 1)'),
        ('("fc.weight", 1, 2)', '("fc.wait", 1, 2)'),
        ('("fc.weight", 1, 2)', '("fc.weight", 3, 2)'),
        ('filter_group("conv3"', 'filter_group("conv4"'),
        ('filter_group("conv3"', 'filter_group("conv2"'),
        ('filter_group("conv1 conv2"', 'filter_group("conv1 conv3"'),
    ],
)
def test_ties_that_cannot_be_cut_are_reported(monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str]) -> None:
    made = module(changed)
    monkeypatch.setitem(sys.modules, "gait.models.mygait", made)
    with pytest.raises(CompressionError, match="mygait: filter_groups"):
        torch_surgery.prune(network(made), PRUNING)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (RIGHT, None),
        pytest.param(UNTIED, "error: mygait: the pruned network differs from the masked one by", marks=pytest.mark.slow),
        pytest.param(
            READ_ONCE,
            "error: mygait: filter_groups says that axis 1 of fc.weight has 1 x 32 channels of conv3; it has 64",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_stage_prune_says_what_the_page_says(
    home: Path, tmp_path: Path, changed: tuple[str, str], message: str | None
) -> None:
    file = home / "gait/models/mygait.py"
    (tmp_path / "dense").mkdir()
    outputs.write_json(tmp_path / "dense/settings.json", {})
    torch_model.save(network(module()), tmp_path / "dense")  # the weights do not depend on filter_groups
    try:
        file.write_text(FILES["gait/models/mygait.py"].replace(*changed), encoding="utf-8")
        settings = tmp_path / "params.yaml"  # without reconstruction, which needs data
        text = (home / "params.yaml").read_text(encoding="utf-8")
        by_weights = text.replace("reconstruct: true", "reconstruct: false").replace(
            "criterion: reconstruction-error", "criterion: mean-l1"
        )
        settings.write_text(by_weights, encoding="utf-8")
        stage = ("-m", "stages.prune", "--params", settings, "--model", "mygait", "--percentile", 50)
        done = python(home, *stage, "--dense", tmp_path / "dense", "--out", tmp_path / "out")
    finally:
        file.write_text(FILES["gait/models/mygait.py"], encoding="utf-8")
    assert (tmp_path / "out").exists() == (message is None), done.stderr
    assert (done.returncode == 0) == (message is None)
    if message:
        assert message in PAGE
        assert message in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model, layer", [("mygait", "conv3.conv"), ("mycnn", "conv2")])
def test_describe_shows_the_layers(home: Path, model: str, layer: str) -> None:
    done = python(home, "-m", "gaitpress", "describe", model)
    assert done.returncode == 0, done.stderr
    assert any(line.split()[0] == layer for line in done.stdout.splitlines() if line)
    assert f"{model} (walkers): " in done.stdout


@pytest.mark.slow
def test_the_files_need_no_more_of_ours_than_stages_list(home: Path) -> None:
    file = home / "gait/models/mygait.py"
    assert python(home, "-m", "workflow.code_deps").returncode == 0
    try:
        file.write_text(FILES["gait/models/mygait.py"] + "\nimport gait.models.gaitbase\n", encoding="utf-8")
        done = python(home, "-m", "workflow.code_deps")
    finally:
        file.write_text(FILES["gait/models/mygait.py"], encoding="utf-8")
    assert "train: deps lack gait/models/gaitbase.py" in done.stdout


def test_the_entries_for_published_weights_are_valid(at_home: Path, tmp_path: Path) -> None:
    """Each line of the page's last section, within the entry that it is for."""
    part = PAGE[PAGE.index("## Published weights") :]
    inits, schedules = (re.findall(rf"^    ({key}: .*)$", part, re.MULTILINE) for key in ("init", "schedule"))
    assert (len(inits), len(schedules)) == (2, 2)
    reader = YAML(typ="safe", pure=True)
    for line in [*inits, *schedules]:
        content = reader.load((at_home / "params.yaml").read_text(encoding="utf-8"))
        given = reader.load(line.replace(", ...}", "}"))
        entry = content["model"]["mycnn" if "epochs" in line else "mygait"]
        entry |= {"schedule": entry["schedule"] | given["schedule"]} if "schedule" in given else given
        YAML().dump(content, tmp_path / "params.yaml")
        params.load(tmp_path / "params.yaml")


def test_the_pages_commands_are_there(home: Path) -> None:
    assert set(re.findall(r"python -m gaitpress (\w+)", PAGE)) == {"describe", "recipe"} <= set(COMMANDS)
    assert set(re.findall(r"python -m (\w+\.[\w.]+)", PAGE)) == {"workflow.code_deps"}
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert {"prune", "export", "partition", *re.findall(r"dvc repro .*?(\w+)@", PAGE)} <= set(stages)
    for path in re.findall(r"`((?:gait|results|stages)/\w+/\w+\.py)`", PAGE):
        assert (home / path).is_file()


@pytest.mark.slow
def test_the_pages_models_go_through_the_whole_dag(tmp_path: Path) -> None:
    where = copy_repository(tmp_path)
    GUIDE.write_files(where)
    GUIDE.write_entries(where)
    small = {
        "model.mygait.schedule.iterations": 10,
        "model.mygait.schedule.milestones": [8],
        "finetune.mygait.iterations": 2,
    }
    small |= {"finetune.mygait.milestones": [1], "model.mycnn.schedule.epochs": 2, "finetune.mycnn.epochs": 1}
    make_small(where / "params.yaml", models=MODELS, precisions=["fp32"], **small)
    run(["snakemake", "--cores", "2", "all"], where)

    history = {model: json.loads((where / f"results/train/{model}/history.json").read_text()) for model in MODELS}
    assert {"supcon", "cross_entropy", "accuracy"} <= history["mygait"][0].keys()
    for rows in history.values():
        assert rows[-1]["loss"] < rows[0]["loss"]
    for model in MODELS:
        assert rates(where, "local", model, 50)["rank1"]["mean"] >= 0
        pruned = json.loads((where / f"results/prune/{model}/p50/metrics.json").read_text())
        assert pruned["filters"] < pruned["filters_before"]
    assert "every stage lists the code" in run([sys.executable, "-m", "workflow.code_deps"], where)

    def stale() -> set[str]:
        return set(json.loads(run(["dvc", "status", "--json"], where)))

    # A loss that nobody names changes nothing once the partitions are written again; an edit of one trains who names it.
    assert stale() == set()
    (where / "gait/losses/another.py").write_text("def compute(signatures, outputs, identities):\n    return 0, {}\n")
    assert stale() == {"partition@mygait", "partition@mycnn"}
    run(["dvc", "repro", "partition@mygait", "partition@mycnn"], where)
    assert stale() == set()
    (where / "gait/losses/supcon.py").write_text(FILES["gait/losses/supcon.py"] + "\n# edited\n")
    run(["dvc", "repro", "partition@mygait", "partition@mycnn"], where)
    assert stale() == {"needs@mygait", "train@mygait", "finetune@mygait-50"}
