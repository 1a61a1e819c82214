"""Results on a shared folder, an SSH server and S3: what one has computed, nobody else computes again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.ssh_server import Server, free_port
from tests.support.toy import commit, run
from tests.support.toy_pipeline import SMALL, Toy

NEVER_SHARED = {"probe@local", "track"}  # this machine's own facts, and what went to its MLflow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository in which a setting was tried and then another: two sets of results, each committed."""
    toy = Toy.make(tmp_path_factory.mktemp("made"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    toy.dvc("repro")
    commit(toy.where, "results")
    toy.edit("lr: 4e-3, weight_decay", "lr: 2e-3, weight_decay")
    toy.dvc("repro")
    commit(toy.where, "other results")
    return toy


@pytest.fixture
def toy(made: Toy, tmp_path: Path) -> Toy:
    return made.copy(tmp_path / "mine")


def shared(toy: Toy, url: str, **settings: str) -> None:
    """Name a store, and push each commit's results to it as one does after every run, by docs/sharing.md."""
    run(["dvc", "remote", "add", "-d", "store", url], toy.where)
    for key, value in settings.items():
        run(["dvc", "remote", "modify", "store", key, value], toy.where)
    commit(toy.where, "a store")
    for revision in ("HEAD~2", "HEAD"):
        run(["git", "checkout", "-q", revision, "--", "params.yaml", "dvc.lock"], toy.where)
        run(["dvc", "push", "--run-cache"], toy.where)


def assert_a_colleague_computes_nothing(toy: Toy, where: Path) -> None:
    """In a fresh clone that pulls: neither for the settings that stand there nor for those of an earlier commit."""
    run(["git", "clone", "-q", str(toy.where), str(where)], toy.where)
    run(["dvc", "pull", "--run-cache", "--allow-missing"], where)
    colleague = Toy(where)
    assert colleague.snakemake() == NEVER_SHARED
    assert colleague.results() == toy.results()
    colleague.edit("lr: 2e-3, weight_decay", "lr: 4e-3, weight_decay")
    assert colleague.dvc("repro", "--pull") == {"track"}


@pytest.mark.slow
def test_a_folder(toy: Toy, tmp_path: Path) -> None:
    shared(toy, str(tmp_path / "store"))
    assert_a_colleague_computes_nothing(toy, tmp_path / "colleague")


@pytest.mark.slow
def test_an_ssh_server(toy: Toy, tmp_path: Path, client: Path, servers: Callable[..., Server]) -> None:
    pytest.importorskip("dvc_ssh", reason="needs dvc-ssh: pip install 'gaitpress[sharing]'")
    server = servers("store")
    server.kill()
    server.settings["Subsystem"] = "sftp internal-sftp"  # by which DVC moves files; boards need not have it
    server.start()
    shared(toy, f"{server.address}{server.where}/results", verify="true")
    assert (server.where / "results/files/md5").is_dir()
    assert_a_colleague_computes_nothing(toy, tmp_path / "colleague")


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server with a bucket "gait", to which this process's environment has the key."""
    for package in ("dvc_s3", "moto"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'gaitpress[sharing,dev]'")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "moto.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        import boto3
        from botocore.exceptions import EndpointConnectionError

        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                boto3.client("s3", endpoint_url=address).create_bucket(Bucket="gait")
                break
            except EndpointConnectionError:
                assert process.poll() is None, (tmp_path / "moto.log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_s3(toy: Toy, tmp_path: Path, s3: str) -> None:
    shared(toy, "s3://gait/results", endpointurl=s3)
    assert "secret" not in (toy.where / ".dvc/config").read_text()
    assert_a_colleague_computes_nothing(toy, tmp_path / "colleague")
