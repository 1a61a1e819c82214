"""Compare the variants in MLflow: start its interface if none runs, and print the address.

    python -m gaitpress compare        # the same as `make mlflow`

The interface is that of the store to which the stage `track` writes: MLFLOW_TRACKING_URI, else mlflow.tracking_uri of
params.yaml. One that runs on this machine is used; one that is started here ends by Ctrl-C. Shown are the variants that
params.yaml lists now, with charts of rank-1 against time, percentile and size. Where there is a display, a browser opens.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from gaitpress import command_line, params
from gaitpress.commands.compare import view
from gaitpress.commands.compare.interface import LOG, Interface, running, started
from gaitpress.errors import StageError
from gaitpress.variant import Variant
from tracking.server import TrackingServer, address, without_credentials

FIRST_PORT = 5000
TYPE = "`snakemake --cores 2 all` or `dvc repro` measures and tracks the others"


@dataclass(frozen=True)
class Found:
    """What a store has to show.

    Attributes:
        server: its experiment of the variants, or of the trainings if there is no other.
        shared: the view of the variants; None if none is tracked.
        current, missing: how many of the variants that params.yaml lists are tracked, and how many are not.
        training: the experiment of the trainings; None if there is none.
    """

    server: TrackingServer
    shared: Mapping[str, Any] | None
    current: int
    missing: int
    training: str | None


def look(settings: params.Params) -> Found:
    """Find what there is to compare, mark the runs of the variants that params.yaml lists now, and share a view of them.

    Raises:
        StageError: nothing is tracked yet, or the store cannot be reached.
    """
    uri = address(settings.mlflow)
    variants = TrackingServer(uri, settings.mlflow.experiment)
    trainings = TrackingServer(uri, settings.mlflow.training_experiment)
    with variants.errors_in_one_line():
        there = variants.find()
        current, missing = _mark(variants, settings) if there else (0, len(_listed(settings)))
        training = trainings.experiment_id if trainings.find() else None
        if not current and training is None:
            raise StageError(
                f"MLflow at {without_credentials(uri)}: no variant of params.yaml is tracked in experiment "
                f"{settings.mlflow.experiment} yet; `snakemake --cores 2 all` or `dvc repro` measures and tracks them"
            )
        shared = view.state(settings) if current else None
        if shared is not None:
            variants.tag(*view.tag(shared))
    return Found(variants if there else trainings, shared, current, missing, training)


def _listed(settings: params.Params) -> set[str]:
    axes = (settings.devices, settings.models, settings.prune.percentiles, settings.precisions)
    return {f"{settings.dataset}/{Variant(*of).key}" for of in itertools.product(*axes)}


def _mark(server: TrackingServer, settings: params.Params) -> tuple[int, int]:
    """Mark which runs are of variants that params.yaml lists; how many of these are there, and how many are not."""
    listed, runs = _listed(settings), server.runs()
    for variant, of_variant in runs.items():
        for run in of_variant:
            if run.listed != (variant in listed):
                server.mark_listed(run.run_id, variant in listed)
    current = {
        variant for variant, of_variant in runs.items() if any(run.complete and not run.superseded for run in of_variant)
    }
    return len(listed & current), len(listed - current)


def pages(found: Found, at: Interface) -> dict[str, str]:
    """The addresses of what there is to see, the first of them first."""
    listed = {}
    if found.shared is not None:
        listed["compare"] = view.address(at.address, found.server.experiment_id, found.shared, charts=True)
        listed["table"] = view.address(at.address, found.server.experiment_id, found.shared)
    if found.training is not None:
        listed["training"] = view.address(at.address, found.training, charts=True)
    return listed


def told(found: Found, at: Interface) -> str:
    """What to say of it on a terminal."""
    lines = [f"{found.current} of the {found.current + found.missing} variants of params.yaml are tracked in MLflow"]
    if found.missing:
        lines[0] += f"; {TYPE}"
    return "\n".join([*lines, *(f"  {name:<10}{page}" for name, page in pages(found, at).items())])


def _show(found: Found, at: Interface) -> None:
    """Open a browser, if somebody sits before this machine; else say how to reach it from elsewhere."""
    if "SSH_CONNECTION" in os.environ:
        port = urlsplit(at.address).port
        print(f"these addresses hold where you sit after: ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}")
    elif sys.stdout.isatty() and (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        webbrowser.open(next(iter(pages(found, at).values())))


def _serve(process: subprocess.Popen[bytes]) -> None:
    try:
        print("Ctrl-C ends it", flush=True)
        process.wait()
    except KeyboardInterrupt:
        print("\nMLflow's interface has ended")
        return
    raise StageError(f"MLflow's interface has ended by itself; {LOG} may say why")


def _ended(*_: object) -> NoReturn:
    raise SystemExit("error: terminated")


def main() -> None:
    parser = command_line.parser(__doc__, command="compare")
    parser.add_argument("--port", type=int, default=FIRST_PORT, help=f"the first one to try (default: {FIRST_PORT})")
    parser.add_argument("--no-start", action="store_true", help="only say where the comparison is, or would be")
    given, settings = command_line.parse(parser)
    found = look(settings)
    uri = found.server.uri
    if urlsplit(uri).scheme in ("http", "https"):
        print(told(found, Interface(without_credentials(uri), True)))
        return
    with found.server.errors_in_one_line():
        if given.no_start:
            at = running(found.server, given.port)
            print(told(found, at))
            if not at.running:
                print("these pages are there while `make mlflow` runs")
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _ended)  # such as when the terminal is closed: what was started here ends, too
        with started(found.server, given.port) as at:
            print(told(found, at), flush=True)
            _show(found, at)
            if at.process is not None:
                _serve(at.process)
