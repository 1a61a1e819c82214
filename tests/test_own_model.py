"""docs/own-model.md: its files and entries are taken from the page and run through the whole DAG."""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
import torch
from ruamel.yaml import YAML

from compress.errors import CompressionError
from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings
from stages import params
from stages.prune import TOLERANCE
from tests.toy import ROOT, copy_repository, make_small, run

PAGE = (ROOT / "docs/own-model.md").read_text(encoding="utf-8")
FILES = {
    match[1]: match[0].removeprefix("```python\n").removesuffix("```")
    for match in re.finditer(r"```python\n# (\S+)\n.*?```", PAGE, re.DOTALL)
}
ENTRIES = [YAML(typ="safe", pure=True).load(StringIO(block)) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
MODELS = ["mygait", "mycnn"]
PRUNING = PruneSettings(50, "mean-l1", "layer", 4, 4)


def write_files(where: Path) -> None:
    for name, code in FILES.items():
        (where / name).write_text(code, encoding="utf-8")


def write_entries(where: Path) -> None:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    content = yaml.load((where / "params.yaml").read_text(encoding="utf-8"))
    for block in ENTRIES:
        for section, entries in block.items():
            content[section].update(entries)
    with (where / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def test_the_page_has_two_models_and_two_losses() -> None:
    assert list(FILES) == ["gait/models/mygait.py", "gait/losses/supcon.py", "gait/models/mycnn.py", "gait/losses/focal.py"]
    assert [set(block) for block in ENTRIES] == [{"model", "finetune"}] * 2


def test_the_entries_are_valid(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_entries(tmp_path)
    make_small(tmp_path / "params.yaml", models=MODELS)
    assert params.load(tmp_path / "params.yaml").models == MODELS


def module(monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str]) -> ModuleType:
    """The page's PyTorch model as if its file were there, with one piece of the text replaced."""
    code = FILES["gait/models/mygait.py"]
    assert changed[0] in code
    made = ModuleType("gait.models.mygait")
    monkeypatch.setitem(sys.modules, "gait.models.mygait", made)
    exec(code.replace(*changed), made.__dict__)
    return made


RIGHT = ("torch.cat([maps.mean(1), maps.amax(1)], 1)", "torch.cat([maps.mean(1), maps.amax(1)], 1)")
INTERLEAVED = (RIGHT[0], "torch.stack([maps.mean(1), maps.amax(1)], 2).flatten(1, 2)")


@pytest.mark.parametrize(("changed", "equal"), [(RIGHT, True), (INTERLEAVED, False)])
def test_pruning_finds_ties_that_do_not_hold(monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str], equal: bool) -> None:
    torch.manual_seed(0)
    model = module(monkeypatch, changed).build({"channels": [16, 32], "embedding": 64}, 1, 3).eval()
    pruned, selections = torch_surgery.prune(model, PRUNING)
    assert (torch_surgery.proof_error(model, pruned, selections, (1, 3, 64, 44)) < TOLERANCE) == equal


@pytest.mark.parametrize(
    "changed",
    [
        ('("fc.weight", 1, 2)', '("fc.weight", 1)'),
        ('("conv2.conv.weight", 1), ("conv3.conv.weight", 1)', '("conv3.conv.weight", 1)'),
        ('("fc.weight", 1, 2)', '("fc.wait", 1, 2)'),
    ],
)
def test_ties_that_cannot_be_cut_are_told(monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str]) -> None:
    model = module(monkeypatch, changed).build({"channels": [16, 32], "embedding": 64}, 1, 3).eval()
    with pytest.raises(CompressionError, match="mygait: filter_groups"):
        torch_surgery.prune(model, PRUNING)


@pytest.mark.slow
def test_the_pages_models_go_through_the_whole_dag(tmp_path: Path) -> None:
    where = copy_repository(tmp_path)
    write_files(where)
    write_entries(where)
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
        record = json.loads((where / f"results/benchmark/local/{model}/p50-fp32.json").read_text())
        assert record["accuracy"]["rank1_mean"] >= 0
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
    assert stale() == {"train@mygait", "finetune@mygait-50"}
