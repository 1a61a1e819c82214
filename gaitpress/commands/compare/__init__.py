"""Compare the variants in MLflow: start its interface if none runs, and print the address.

    python -m gaitpress compare        # the same as `make mlflow`

The interface is that of the store to which the stage `track` writes: MLFLOW_TRACKING_URI, else mlflow.tracking_uri of
params.yaml. The command uses an interface that runs on this machine, else it starts one, which ends by Ctrl-C. The pages
show the variants that params.yaml lists now, with charts of rank-1 against time, percentile and size. Where there is a
display, a browser opens.
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
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from gaitpress import command_line, params
from gaitpress.commands.compare import view
from gaitpress.commands.compare.interface import LOG, Interface, running, started
from gaitpress.errors import StageError
from gaitpress.variant import Variant
from tracking.addresses import address, is_server, without_credentials
from tracking.server import TrackingServer

FIRST_PORT = 5000
RECEIPT = Path("results/track/receipt.json")  # of the stage track
TYPE = "`snakemake --cores 2 all` or `dvc repro` measures and tracks the others"


@dataclass(frozen=True)
class Tracked:
    """The variants and trainings that a store has to show.

    Attributes:
        server: its experiment of the variants, or of the trainings if there is no experiment of variants.
        shared: the view of the variants; None if none is tracked.
        current, missing: how many of the variants that params.yaml lists are tracked, and how many are not.
        training: the experiment of the trainings; None if there is none.
    """

    server: TrackingServer
    shared: Mapping[str, Any] | None
    current: int
    missing: int
    training: str | None


def look(settings: params.Params) -> Tracked:
    """Find tracked variants and trainings, mark the runs of variants that params.yaml lists, and share a view of them.

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
            none = f"MLflow at {without_credentials(uri)}: no variant of params.yaml is tracked in experiment "
            none += settings.mlflow.experiment
            if RECEIPT.exists():
                raise StageError(f"{none} any more, though {RECEIPT} says so; `dvc repro -f -s track` tracks them again")
            raise StageError(f"{none} yet; `snakemake --cores 2 all` or `dvc repro` measures and tracks them")
        shared = view.state(settings) if current else None
        if shared is not None:
            variants.tag(*view.tag(shared))
    return Tracked(variants if there else trainings, shared, current, missing, training)


def _listed(settings: params.Params) -> set[str]:
    axes = (settings.devices, settings.models, settings.prune.percentiles, settings.precisions)
    return {f"{settings.dataset}/{Variant(*values).key}" for values in itertools.product(*axes)}


def _mark(server: TrackingServer, settings: params.Params) -> tuple[int, int]:
    """Mark the runs of variants that params.yaml lists; returns how many of these variants have a run, how many do not."""
    listed, runs = _listed(settings), server.runs()
    for variant, variant_runs in runs.items():
        for run in variant_runs:
            if run.listed != (variant in listed):
                server.mark_listed(run.run_id, variant in listed)
    current = {
        variant for variant, variant_runs in runs.items() if any(run.complete and not run.superseded for run in variant_runs)
    }
    return len(listed & current), len(listed - current)


def pages(tracked: Tracked, interface: Interface) -> dict[str, str]:
    """The addresses of the pages by name, the first to open first."""
    addresses = {}
    if tracked.shared is not None:
        addresses["compare"] = view.address(interface.address, tracked.server.experiment_id, tracked.shared, charts=True)
        addresses["table"] = view.address(interface.address, tracked.server.experiment_id, tracked.shared)
    if tracked.training is not None:
        addresses["training"] = view.address(interface.address, tracked.training, charts=True)
    return addresses


def summary(tracked: Tracked, interface: Interface) -> str:
    """The tracked variants and the addresses of their pages, for a terminal."""
    lines = [f"{tracked.current} of the {tracked.current + tracked.missing} variants of params.yaml are tracked in MLflow"]
    if tracked.missing:
        lines[0] += f"; {TYPE}"
    return "\n".join([*lines, *(f"  {name:<10}{page}" for name, page in pages(tracked, interface).items())])


def _show(tracked: Tracked, interface: Interface) -> None:
    """Open a browser if somebody sits at this machine; over SSH, print how to reach the pages from elsewhere."""
    if "SSH_CONNECTION" in os.environ:
        port = urlsplit(interface.address).port
        print(f"these addresses hold where you sit after: ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}")
    elif sys.stdout.isatty() and (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        webbrowser.open(next(iter(pages(tracked, interface).values())))


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
    parser.add_argument("--port", type=int, default=FIRST_PORT, help=f"the first port to try (default: {FIRST_PORT})")
    parser.add_argument("--no-start", action="store_true", help="only say where the comparison is, or would be")
    options, settings = command_line.parse(parser)
    tracked = look(settings)
    uri = tracked.server.uri
    if is_server(uri):
        print(summary(tracked, Interface(without_credentials(uri), True)))
        return
    with tracked.server.errors_in_one_line():
        if options.no_start:
            interface = running(tracked.server, options.port)
            print(summary(tracked, interface))
            if not interface.running:
                print("these pages are there while `make mlflow` runs")
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            # When the terminal closes, an interface that this command started ends too.
            signal.signal(number, _ended)
        with started(tracked.server, options.port) as interface:
            print(summary(tracked, interface), flush=True)
            _show(tracked, interface)
            if interface.process is not None:
                _serve(interface.process)
