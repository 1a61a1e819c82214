"""A real MLflow server, and measured variants to log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.ssh_server import free_port
from tests.support.device_world import World
from tests.support.toy import environment


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server with a database, which also keeps the artifacts."""
    where, port = tmp_path / "server", free_port()
    where.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{where}/runs.db", "--artifacts-destination", str(where / "artifacts")]
    env = environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven more processes, for language models
    with (where / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=where, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (where / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def world(measured_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two measured variants, an empty MLflow database and params.yaml that names it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    copy = measured_world.copy(tmp_path)
    copy.write_params({"mlflow": {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "gait"}})
    return copy
