"""Which snakemake command lines run jobs, and what they ask for."""

import pytest

from tests.support.toy import ROOT
from workflow.dvc.stages import Pipeline, read_yaml
from workflow.snakemake.command_line import runs_jobs


@pytest.mark.parametrize(
    "words", ["--cores 2 all", "-c2", "-j 4 --executor slurm", "-k -p results/report", "--cores all --forcerun train"]
)
def test_runs_jobs(words: str) -> None:
    assert runs_jobs(["/venv/bin/snakemake", *words.split()])
    assert not runs_jobs(["/venv/bin/pytest", *words.split()])


@pytest.mark.parametrize(
    "words",
    ["-n", "-np all", "-c2 -n", "--dry-run", "--dryrun", "--touch", "-t", "--lint", "--list-rules", "-l", "--summary", "-S",
     "-D", "--dag", "--rulegraph", "--report x.html", "--unlock", "--delete-all-output", "--archive x", "--help"],
)  # fmt: skip
def test_queries_run_none(words: str) -> None:
    assert not runs_jobs(["snakemake", *words.split(), "--cores", "2"])


def test_targets_are_asked_for_with_all_that_comes_before_them() -> None:
    pipeline = Pipeline.read(ROOT / "dvc.yaml", read_yaml(ROOT / "params.yaml"))
    everything = pipeline.needed([])
    assert {"report", "track", "train@gaitset"} <= everything
    assert pipeline.needed(["--cores", "2", "all"]) == everything
    no_other_reads = {"evaluate@gaitset", "evaluate@cnn2d", "times@local-gaitset", "times@local-cnn2d"}
    assert pipeline.needed(["report", "track"]) == everything - no_other_reads
    assert pipeline.needed(["--cores", "2", "data/preprocessed/flow"]) == {"dataset", "preprocess@flow"}
