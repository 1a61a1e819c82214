"""The DAG on a Slurm cluster: jobs on nodes get what params.yaml says, and what is bound to a device stays here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.from_scratch import made_from_scratch
from tests.support.slurm import Cluster, Job, missing
from tests.support.toy import run
from tests.support.toy_pipeline import SMALL, Toy

pytestmark = pytest.mark.slow

# What docs/cluster.md says of a cluster that keeps no accounts; and this one's files are seen at once.
SNAKEMAKE = ["snakemake", "--profile", "profiles/slurm", "--slurm-status-command", "squeue", "--slurm-no-account"]
SNAKEMAKE += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5", "all"]


FAILING = "prune@cnn2d-60"


@dataclass(frozen=True)
class Story:
    """Two runs on a cluster: in the first a stage fails, in the second it does not.

    Attributes:
        printed: what Snakemake printed in each.
        ran: the addresses of the stages that ran in each.
        jobs: all that Slurm has run.
    """

    toy: Toy
    printed: tuple[str, str]
    ran: tuple[list[str], list[str]]
    jobs: list[Job]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs snakemake-executor-plugin-slurm")
    if reason := missing():
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def story(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Story:
    toy = Toy.make(tmp_path_factory.mktemp("toy"), declared=SMALL)
    toy.edit(r"threads: \{dataset: 2", "threads: {dataset: 3")
    toy.edit(r"processes: 1", "processes: 2")
    toy.edit(r"resources:\n", "resources:\n  prune: {mem: 1GB, runtime: 90m}\n")
    toy.edit(r"train: \{mem: .*?\}", "train: {mem: 6GB, runtime: 1d, gpu: 1}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.env.items():
            patch.setenv(name, value)
        (toy.where / "fail").mkdir()
        (toy.where / "fail" / FAILING).touch()
        first = toy.fails(SNAKEMAKE)
        (toy.where / "fail" / FAILING).unlink()
        ran = toy.ran()
        second = run(SNAKEMAKE, toy.where)
    return Story(toy, (first, second), (ran, toy.ran()[len(ran) :]), cluster.jobs())


def test_a_job_that_fails_on_a_node_costs_no_other_and_the_next_run_goes_on(story: Story) -> None:
    assert "Error in rule prune:" in story.printed[0]
    assert {"benchmark@local-gaitset-60", "benchmark@local-cnn2d-0"} <= set(story.ran[0])
    assert set(story.ran[1]) == {FAILING, "benchmark@local-cnn2d-60", "report", "track"}


def test_results_are_those_of_a_run_from_scratch_and_both_engines_agree(story: Story) -> None:
    made = made_from_scratch(story.toy.where).values()
    assert story.toy.results() == {file: text for files in made for file, text in files.items()}
    story.toy.agree()


def test_a_job_is_given_what_params_says_and_what_is_bound_to_a_device_stays_here(story: Story) -> None:
    assert Counter(job.rule for job in story.jobs) == {"dataset": 1, "train": 2, "prune": 5}
    given = {job.rule: (job.cpus, job.memory_mb, job.minutes, job.gpus) for job in story.jobs}
    assert given == {"dataset": (3, 4000, 120, 0), "train": (2, 6000, 1440, 2), "prune": (1, 1000, 90, 0)}


def test_jobs_wait_for_the_gpus_that_another_has(story: Story) -> None:
    first, second = sorted((job for job in story.jobs if job.gpus), key=lambda job: job.start)
    assert first.end <= second.start


def test_a_device_does_one_job_at_a_time(story: Story) -> None:
    running = most = 0
    for line in story.printed[0].splitlines():
        running += line == "localrule benchmark:"
        running -= line.startswith("Finished jobid") and line.endswith("(Rule: benchmark)")
        most = max(most, running)
    assert (most, running) == (1, 0)
