"""MLflow's interface on this machine: the running one that serves a store, else a new one."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gaitpress.errors import StageError
from tracking.addresses import cleared
from tracking.server import TrackingServer

HOST = "127.0.0.1"
PORTS = 50  # ports to try, from the first port on
ANSWER_S = 5.0
ANSWER_BYTES = 10**7
START_S = 180.0  # a busy machine takes a minute
END_S = 10.0
PROOF = "mlflow.gaitpress.proof"
LOG = Path("logs/mlflow.log")


@dataclass(frozen=True)
class Interface:
    """The address of MLflow's pages, and the process that serves them if this process started it.

    Attributes:
        address: such as "http://127.0.0.1:5000".
        running: whether anything answers there.
    """

    address: str
    running: bool
    process: subprocess.Popen[bytes] | None = None


def running(server: TrackingServer, first_port: int) -> Interface:
    """The interface that serves a store on this machine; if there is none, the address at which it would start.

    Raises:
        StageError: all ports are taken by other programs.
    """
    with _proof(server) as serves:
        return _look(serves, first_port)


@contextmanager
def started(server: TrackingServer, first_port: int) -> Iterator[Interface]:
    """The interface that serves a store on this machine; if there is none, it starts one and ends it again.

    Raises:
        StageError: the interface does not start; or all ports are taken by other programs.
    """
    process = None
    try:
        with _proof(server) as serves:
            while not (interface := _look(serves, first_port)).running:
                port = int(interface.address.rpartition(":")[2])
                print(f"starting MLflow's interface at {interface.address} ...", file=sys.stderr)
                process = _start(server.uri, port)
                if _wait(process, partial(serves, port), server.uri):
                    interface = Interface(interface.address, True, process)
                    break
                if not _taken(port):
                    raise StageError(f"MLflow's interface did not start; {LOG} ends with: {_last_words(server.uri)}")
                process = None  # another program was faster; it may be an interface to the same store
        yield interface
    finally:
        if process is not None:
            _end(process)


@contextmanager
def _proof(server: TrackingServer) -> Iterator[Callable[[int], bool]]:
    """Yield a function that says whether a port serves the store: it looks for a tag which only this store can have."""
    value = secrets.token_hex(16)
    server.tag(PROOF, value)
    try:
        yield lambda port: _tag(port, server.experiment_id) == value
    finally:
        server.untag(PROOF)


def _look(serves: Callable[[int], bool], first_port: int) -> Interface:
    free = None
    for port in range(first_port, min(first_port + PORTS, 2**16)):
        if not _taken(port):
            free = free or port
        elif serves(port):
            return Interface(_address(port), True)
    if free is None:
        raise StageError(f"ports {first_port} to {port} are taken by other programs; name another one by --port")
    return Interface(_address(free), False)


def _address(port: int) -> str:
    return f"http://{HOST}:{port}"


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(ANSWER_S)
        return probe.connect_ex((HOST, port)) == 0


def _tag(port: int, experiment_id: str) -> str | None:
    """The proof that a port's program has in an experiment; None if the program is not MLflow."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)
    try:
        connection.request("GET", f"/api/2.0/mlflow/experiments/get?experiment_id={experiment_id}")
        answer = json.loads(connection.getresponse().read(ANSWER_BYTES))
        return next((tag["value"] for tag in answer["experiment"]["tags"] if tag["key"] == PROOF), None)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def _start(uri: str, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning --timeout-graceful-shutdown 1"]
    # The address may hold a password, which nobody must see in the list of processes. Jobs are for language models.
    env = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        # A group of its own, so that Ctrl-C reaches this process alone, which then ends the whole group.
        return subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )


def _wait(process: subprocess.Popen[bytes], serves: Callable[[], bool], uri: str) -> bool:
    """Wait until a started process serves the store; False if it ended."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        if serves():
            # If another program had the port, this one is about to end.
            time.sleep(0.5)
            return process.poll() is None
        time.sleep(0.2)
    raise StageError(f"MLflow's interface has not started within {START_S:.0f} s; {LOG} ends with: {_last_words(uri)}")


def _last_words(uri: str) -> str:
    lines = LOG.read_text(encoding="utf-8", errors="replace").split("\n")
    return cleared(" ".join(" ".join(lines[-10:]).split()), uri)[-400:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and the processes that it started."""
    try:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    finally:
        _signal(process, signal.SIGKILL)  # also after a second Ctrl-C
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(process.pid, number)
