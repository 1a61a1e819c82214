"""How the rules and jobs of Snakemake follow from a dvc.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from workflow.dvc.stages import Pipeline, PipelineError, Stage

PARAMS = {"models": ["gaitset", "cnn2d"], "prune": {"percentiles": [0, 12.5]}, "dataset": "walkers"}
# Not in running order, which must not matter.
STAGES = {
    "report": {"deps": ["results", "stages/report.py"], "outs": ["page"]},
    "prune": {
        "matrix": {"model": "${models}", "percentile": "${prune.percentiles}"},
        "deps": ["trained/${item.model}"],
        "outs": ["results/${item.model}/p${item.percentile}"],
        "metrics": [{"metrics/${item.model}-${item.percentile}.json": {"cache": False}}],
    },
    "train": {"matrix": {"model": "${models}"}, "deps": ["raw/${dataset}"], "outs": ["trained/${item.model}"]},
    "dataset": {"outs": ["raw/${dataset}"]},
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    YAML().dump({"stages": STAGES}, tmp_path / "dvc.yaml")
    return Pipeline.read(tmp_path / "dvc.yaml", PARAMS)


def test_a_stage_has_a_job_for_each_item_of_its_matrix(pipeline: Pipeline) -> None:
    prune = pipeline.stages["prune"]
    assert [prune.address(item) for item in prune.items()] == [
        "prune@gaitset-0",
        "prune@gaitset-12.5",
        "prune@cnn2d-0",
        "prune@cnn2d-12.5",
    ]
    assert prune.log() == "logs/prune-{model}-{percentile}.log"
    assert prune.outs == ("results/{model}/p{percentile}", "metrics/{model}-{percentile}.json")
    assert pipeline.stages["dataset"].items() == [{}]
    assert pipeline.stages["dataset"].address({}) == "dataset"


def test_a_job_reads_what_others_make_whatever_the_order_of_the_stages(pipeline: Pipeline) -> None:
    assert list(pipeline.deps("train", {"model": "gaitset"})) == ["raw/walkers"]
    assert list(pipeline.deps("dataset", {})) == []
    assert "page" in pipeline.targets()


def test_a_folder_stands_for_all_outputs_in_it_and_for_no_other_of_a_similar_name(pipeline: Pipeline) -> None:
    assert list(pipeline.deps("report", {})) == [
        f"results/{model}/p{percentile}" for model in ("gaitset", "cnn2d") for percentile in (0, 12.5)
    ]
    similar = Pipeline({"a": Stage("a", {}, (), ("results2/x",)), "b": Stage("b", {}, ("results",), ("y",))})
    assert list(similar.deps("b", {})) == []


def test_the_height_of_a_job_is_the_longest_way_to_the_end(pipeline: Pipeline) -> None:
    assert [pipeline.height(job) for job in ("dataset", "train@cnn2d", "prune@cnn2d-0", "report")] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"foreach": "${models}"}, "dvc.yaml: prune uses foreach; write it as a matrix"),
        ({"matrix": {"model": "${mdoels}"}}, r"dvc.yaml: \$\{mdoels\} is not in params.yaml"),
        ({"outs": ["${prune.criterion}"]}, r"dvc.yaml: \$\{prune.criterion\} is not in params.yaml"),
    ],
)
def test_what_cannot_be_a_rule_is_reported(spec: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Stage.read("prune", spec, PARAMS)
