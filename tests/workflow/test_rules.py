"""What the rule of a stage tells Snakemake, and what Snakemake hears of the run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.io import is_flagged

from tests.support.toy import ROOT
from workflow.dvc.stages import Pipeline, Stage
from workflow.snakemake.rules import AXES, Rules, resource_of
from workflow.snakemake.session import Session

DEVICES = ["local", "my-board"]
PIPELINE = Pipeline(
    {
        "train": Stage("train", {"model": ["gaitset"]}, (), ("trained/{model}",)),
        "times": Stage("times", {"device": DEVICES, "model": ["gaitset"]}, (), ("times/{device}/{model}.json",)),
        "benchmark": Stage(
            "benchmark", {"device": DEVICES, "model": ["gaitset"]}, ("trained/{model}",), ("records/{device}/{model}.json",)
        ),
        "recognise": Stage("recognise", {"device": DEVICES, "model": ["gaitset"]}, (), ("rates/{device}/{model}.json",)),
        "report": Stage("report", {}, ("records",), ("page",)),
    }
)
PARAMS = {
    "devices": DEVICES,
    "threads": {"train": 2},
    "train": {"processes": 3},
    "resources": {"train": {"mem": "32GB", "gpu": 1, "runtime": None}},
}


def item(**axes: str) -> Any:
    """A job's wildcards, of which Snakemake takes both ``x.model`` and ``x["model"]``."""

    class Wildcards(dict[str, str]):
        __getattr__ = dict.__getitem__

    return Wildcards(axes)


def snakemake(cores: int | None = 8, nodes: int | None = None, main: bool = True) -> Any:
    """As much of Snakemake's object as is looked at."""
    settings = SimpleNamespace(cores=cores, nodes=nodes)
    return SimpleNamespace(is_main_process=main, global_resources={"device_local": 5}, resource_settings=settings)


def rules(workflow: Any, on_processor: frozenset[str] = frozenset({"local"})) -> Rules:
    stale, here = {"benchmark@my-board-gaitset"}, {"local"}
    return Rules(PIPELINE, PARAMS, stale, stale, Path("marker"), here, on_processor, Session(workflow))


def test_only_of_a_job_that_is_out_of_date_do_dates_count() -> None:
    inputs = rules(snakemake()).inputs(PIPELINE.stages["benchmark"])
    stale, fresh = (inputs(item(device=device, model="gaitset")) for device in ("my-board", "local"))
    assert stale == fresh == ["trained/gaitset", "marker"]
    assert not any(is_flagged(file, "ancient") for file in stale)
    assert all(is_flagged(file, "ancient") for file in fresh)


def test_the_table_of_no_device_is_not_one_of_a_device_too() -> None:
    table = re.compile(f"results/times/{AXES['device']}/gaitset.json")
    assert table.fullmatch("results/times/local/gaitset.json") and table.fullmatch("results/times/none-2/gaitset.json")
    assert not table.fullmatch("results/times/none/gaitset.json")


def test_outputs_without_a_suffix_are_folders_and_the_report_is_shown() -> None:
    declared = rules(snakemake())
    (trained,), _, (record,), _, (page,) = (declared.outputs(stage) for stage in PIPELINE.stages.values())
    assert is_flagged(trained, "directory") and not is_flagged(record, "directory")
    assert is_flagged(page, "directory") and is_flagged(page, "report")


def test_a_measurement_of_this_machine_has_it_to_itself_and_a_board_is_not_kept_waiting() -> None:
    declared, benchmark = rules(snakemake()), PIPELINE.stages["benchmark"]
    here, there = (item(device=device, model="gaitset") for device in ("local", "my-board"))
    for stage in (benchmark, PIPELINE.stages["times"]):
        assert [declared.threads(stage)(job) for job in (here, there)] == [8, 1]
        assert declared.resources(stage)["device_local"](here) == 8
    assert [declared.priority(benchmark)(job) for job in (here, there)] == [1, 1000]
    assert rules(snakemake(cores=None)).threads(benchmark)(here) == os.cpu_count()
    taken = declared.resources(benchmark)
    assert [taken[name](there) for name in ("device_local", "device_my_board")] == [0, 1]


def test_engines_are_tested_beside_each_other_here_and_one_by_one_on_a_board() -> None:
    declared, stage = rules(snakemake()), PIPELINE.stages["recognise"]
    here, there = (item(device=device, model="gaitset") for device in ("local", "my-board"))
    taken = declared.resources(stage)
    assert [declared.threads(stage)(job) for job in (here, there)] == [1, 1]
    assert [taken["device_local"](job) for job in (here, there)] == [1, 0]
    assert [taken["device_my_board"](job) for job in (here, there)] == [0, 1]
    on_gpu = rules(snakemake(), on_processor=frozenset())
    assert {on_gpu.resources(PIPELINE.stages[name])["device_local"](here) for name in ("recognise", "times")} == {1}


def test_a_training_takes_as_much_for_each_of_its_processes() -> None:
    declared, train = rules(snakemake()), PIPELINE.stages["train"]
    assert declared.threads(train)(item(model="gaitset")) == 6
    assert declared.resources(train) == {"mem": "32GB", "gpu": 3}
    assert declared.priority(train)(item(model="gaitset")) == 2


def test_devices_have_one_job_that_is_alone_unless_the_user_says_more() -> None:
    workflow = snakemake()
    rules(workflow).limit_resources()
    limits = workflow.global_resources
    assert (limits["device_local"], limits["device_my_board"]) == (5, 1)
    del limits["device_local"]
    rules(workflow).limit_resources()
    assert limits["device_local"] == 8
    assert "gpu" in limits and "cores_here" not in limits


def test_devices_of_like_names_share_nothing() -> None:
    names = ["a-b", "a_b", "a-_b", "a__b", "a--b", "ab"]
    assert len({resource_of(name) for name in names}) == len(names)
    assert all(resource_of(name).isidentifier() for name in names)


def test_on_a_cluster_those_that_stay_share_the_cores_here() -> None:
    workflow = snakemake(cores=None, nodes=100)
    declared = rules(workflow)
    declared.limit_resources()
    assert workflow.global_resources["cores_here"] == os.cpu_count()
    assert "gpu" not in workflow.global_resources
    stay = {name: declared.stays_here(stage) for name, stage in PIPELINE.stages.items()}
    assert stay == {"train": False, "times": True, "benchmark": True, "recognise": True, "report": True}
    assert declared.resources(PIPELINE.stages["report"])["cores_here"](item()) == 1


def test_a_snakemake_without_what_is_needed_is_reported_with_the_versions_that_have_it() -> None:
    workflow = snakemake()
    del workflow.global_resources
    with pytest.raises(SystemExit, match=r"has no workflow\.global_resources; pip install 'snakemake>="):
        Session(workflow)


@pytest.mark.parametrize(("most", "kept"), [(100, False), (5, True)])
def test_only_the_default_limit_of_jobs_in_a_second_is_lifted(most: int, kept: bool) -> None:
    workflow = snakemake()
    workflow.scheduler = SimpleNamespace(job_rate_limiter=SimpleNamespace(max_jobs=most, timespan=1))
    Session(workflow).look_for_jobs_when_one_has_ended()
    assert (workflow.scheduler.job_rate_limiter is not None) is kept


def test_a_scheduler_without_such_a_limit_is_left_alone() -> None:
    workflow = snakemake()
    workflow.scheduler = SimpleNamespace()
    Session(workflow).look_for_jobs_when_one_has_ended()
    assert not vars(workflow.scheduler)


def test_no_other_file_has_names_of_snakemakes_own() -> None:
    imports = re.compile(r"^\s*(from|import) snakemake\b", re.MULTILINE)
    importing = [
        str(file.relative_to(ROOT)) for file in (ROOT / "workflow").rglob("*.py") if imports.search(file.read_text())
    ]
    assert importing == ["workflow/snakemake/session.py"]
