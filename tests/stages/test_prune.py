"""The stage `prune`: what it writes, prints and warns of, for a model of either framework."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compress.pruning.select import PruneSettings
from gait.networks import torch_model
from gaitpress import outputs, params, recipes
from gaitpress.frameworks import framework, multiply_adds
from stages.prune import TOLERANCE, proof_shape
from tests.support import commands
from tests.support.families import some
from tests.support.published import SMALLER, small
from tests.support.toy import ROOT, make_small


def prune(where: Path, model: str, percentile: int, **settings: object) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    """What the stage says on both streams for the model in ``where``/dense, its pruning.json and its metrics."""
    shutil.copy("params.yaml", where)
    outputs.write_json(where / "dense/settings.json", {"model": {"width": 0.5}})
    make_small(where / "params.yaml", **{"prune.criterion": "mean-l1", "prune.reconstruct": False, **settings})
    words = ["--params", where / "params.yaml", "--model", model]
    words += ["--percentile", str(percentile), "--dense", where / "dense", "--out", where / "pruned"]
    if params.load(where / "params.yaml").model[model].framework == "torch":
        done = commands.stage("prune", *words)
    else:  # TensorFlow takes its number of threads once in a process
        done = subprocess.run([sys.executable, "-m", "stages.prune", *words], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    made_with = json.loads((where / "pruned/settings.json").read_text())
    assert made_with["model"] == {"width": 0.5}
    assert made_with["prune"]["percentile"] == percentile
    written = (json.loads((where / "pruned" / name).read_text()) for name in ("pruning.json", "metrics.json"))
    return done.stdout, done.stderr, *written


def test_gaitset_as_published_with_a_warning_of_the_layer_that_collapsed(tmp_path: Path) -> None:
    dense = small(SMALLER["gaitset"], 0.5)
    (tmp_path / "dense").mkdir()
    torch_model.save(dense, tmp_path / "dense")
    printed, warned, pruning, metrics = prune(
        tmp_path, "gaitset", 10, **{"prune.mode": "published", "prune.spare": ["global4", "conv9"]}
    )
    lines = printed.splitlines()
    assert lines[0] == (
        "mode published: the study's own algorithm; not used: prune.criterion, prune.scope, prune.round_to, prune.keep_min, "
        "prune.reconstruct"
    )
    assert lines[1] == "spared: frame6 with global4"
    assert lines[2].startswith("layer    filters      left  parameters")
    assert "warning: gaitset, percentile 10: frame1: 1 of 16 filters left, where percentile 10 leaves 90 %" in warned

    assert pruning["warnings"] == [warned.splitlines()[-1].removeprefix("warning: gaitset, percentile 10: ")]
    assert pruning["mode"] == "published"
    assert pruning["percentile"] == 10
    assert pruning["proof_error"] == metrics["proof_error"] < TOLERANCE
    threshold = pruning["layers"]["frame2"]["threshold"]
    assert pruning["layers"]["frame1"] == {
        "before": 16, "after": 1, "threshold": threshold, "spared": False, "units": ["frame1"],
    }  # fmt: skip
    assert pruning["layers"]["frame6"] == {
        "before": 64, "after": 64, "threshold": None, "spared": True, "units": ["frame6", "global4"],
    }  # fmt: skip
    assert {row["layer"] for row in pruning["table"]} == {*dense.architecture.channels, "fc"}

    pruned = torch_model.load(tmp_path / "pruned")
    assert sum(dense.architecture.channels.values()) == metrics["filters_before"] == 416
    assert sum(pruned.architecture.channels.values()) == metrics["filters"]
    library, entry = framework("torch"), params.load("params.yaml").model["gaitset"]
    for key, model in (("", pruned), ("_before", dense)):
        assert metrics[f"params{key}"] == library.parameters(model)
        assert metrics[f"macs{key}"] == multiply_adds(library.layers(model, entry))
    assert {key: pruning["totals"][f"{key}_after"] for key in ("filters", "params", "macs")} == {
        key: metrics[key] for key in ("filters", "params", "macs")
    }
    assert metrics["collapsed_layers"] == 1


@pytest.mark.slow
def test_a_keras_model_without_a_warning(tmp_path: Path) -> None:
    library = pytest.importorskip("gaitpress.frameworks.keras_models", reason="needs TensorFlow")
    entry = params.load("params.yaml").model["cnn3d"].model_copy(update={"width": 0.125})
    dense = library.build("cnn3d", entry, 5)
    (tmp_path / "dense").mkdir()
    library.save(dense, tmp_path / "dense")
    printed, warned, pruning, metrics = prune(tmp_path, "cnn3d", 50, **{"prune.spare": ["frame1"]})
    assert printed.startswith("spared: none; no layer of this model is called frame1\nlayer")
    assert "warning" not in warned
    assert pruning["warnings"] == []
    assert metrics["collapsed_layers"] == 0
    assert metrics["proof_error"] < TOLERANCE
    pruned = library.load(tmp_path / "pruned")
    assert metrics["params_before"] == library.parameters(dense)
    assert metrics["params"] == library.parameters(pruned)
    assert metrics["macs"] == multiply_adds(library.layers(pruned, entry))
    assert [row["layer"] for row in pruning["table"]] == [*(f"conv{n}" for n in range(1, 7)), "grayCode", "code_1"]
    assert [row["filters_after"] for row in pruning["table"]] == [4, 8, 16, 32, 32, 32, None, None]


def test_every_setting_reaches_the_selection() -> None:
    """The stage passes them on by name."""
    section = params.load("params.yaml").prune.model_dump(exclude={"percentiles", "reconstruct", "device"})
    assert {"percentile", "seed", "widths", *section} == set(PruneSettings.__dataclass_fields__)


@pytest.mark.parametrize(("name", "shape"), [("gaitset", (2, 9, 64, 44)), ("gln", (2, 9, 128, 88))])
def test_the_proof_takes_two_samples_of_a_few_frames(name: str, shape: tuple[int, ...]) -> None:
    entry = params.load("params.yaml").model[name]
    assert proof_shape(framework("torch"), small(SMALLER[name]), entry) == shape


PAGE = (ROOT / "docs/pruning.md").read_text(encoding="utf-8")
WAYS = (
    PruneSettings(10, "l1", "global", 1, 1),
    PruneSettings(10, "mean-l1", "layer", 8, 8, "published"),
    PruneSettings(10, "mean-l1", "layer", 8, 8),
)


@pytest.mark.parametrize(
    ("name", "recipe", "column"), some([("gaitset", "casia-b", 0), ("cnn3d", "tum-gaid", 6)], ("gaitset", "casia-b", 0))
)
def test_the_page_shows_what_stays_of_fresh_weights(name: str, recipe: str, column: int) -> None:
    table = PAGE[PAGE.index("| GaitSet | before") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    on_page = {
        row[column]: [int(cell.strip("*")) for cell in row[column + 1 : column + 5]] for row in rows[2:] if row[column]
    }

    entry = recipes.load(recipe).model[name]
    if entry.framework == "keras":
        pytest.importorskip("tensorflow")
    surgery = importlib.import_module(f"compress.pruning.{entry.framework}_surgery")
    dense = framework(entry.framework).build(name, entry, 150)
    by_way = [surgery.prune(dense, how)[1] for how in WAYS]
    assert on_page == {
        ", ".join(first.units): [first.filters, *(len(selections[layer].kept) for selections in by_way)]
        for layer, first in by_way[0].items()
    }


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("mode", "study", "prune.mode = study: must be 'percentile', 'published' or 'latency'"),
        (
            "criterion",
            "l3",
            "prune.criterion = l3: must be 'batch-norm', 'fpgm', 'l1', 'l2', 'mean-l1', 'random', 'reconstruction-error' "
            "or 'taylor'",
        ),
        ("spare", "frame1", "prune.spare = frame1: must be a list, such as [a, b]"),
        ("spare", ["conv1", "two words"], "prune.spare[1] = two words: must be a name, where * stands for any letters"),
        ("spare", [1], "prune.spare[0] = 1: must be text; put it in quotes"),
        ("round_to", 0, "prune.round_to = 0: must be at least 1"),
    ],
)
def test_wrong_settings_are_reported(tmp_path: Path, key: str, value: object, said: str) -> None:
    shutil.copy("params.yaml", tmp_path)
    make_small(tmp_path / "params.yaml", **{f"prune.{key}": value})
    with pytest.raises(params.ParamsError) as caught:
        params.load(tmp_path / "params.yaml")
    assert said in str(caught.value)
