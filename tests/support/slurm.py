"""A Slurm cluster of one node on this machine: real daemons, with their own keys, ports and state; no systemd or cgroups."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from simulator.ssh_server import free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
PATHS = "/usr/sbin:/usr/local/sbin:/sbin"
START_S = 60
TIME_LIMIT = (r"(?:(\d+)-)?\d+:\d+", r"(?:\d+-)?(\d+):\d+", r"(?:\d+-)?\d+:(\d+)")  # days, hours, minutes of 1-02:30:00
CONFIG = """
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={where}/munge.socket
StateSaveLocation={where}/state
SlurmdSpoolDir={where}/spool
SlurmctldPidFile={where}/slurmctld.pid
SlurmdPidFile={where}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=86400
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={node} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no cluster here; None if there can."""
    if lacking := [name for name in DAEMONS if shutil.which(name, path=PATHS) is None]:
        return f"there is no {' and no '.join(lacking)} here (Debian: apt install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "only root may start Slurm's daemons"


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job that has ended.

    Attributes:
        rule: of Snakemake.
        cpus, memory_mb, minutes, gpus: what it was given.
        start, end: when it ran, to the second.
    """

    rule: str
    cpus: int
    memory_mb: int
    minutes: int
    gpus: int
    start: datetime
    end: datetime

    @classmethod
    def read(cls, paragraph: str) -> Job:
        """From a paragraph of ``scontrol show job``."""

        def first(pattern: str) -> str:
            match = re.search(pattern, paragraph)
            return (match[1] if match else None) or "0"

        days, hours, minutes = (int(first(rf"TimeLimit={part}:")) for part in TIME_LIMIT)
        return cls(
            first(r"Comment=rule_([a-z]+)"),
            int(first(r"CPUs/Task=(\d+)")),
            int(first(r" *TRES=\S*mem=(\d+)M")),
            60 * (24 * days + hours) + minutes,
            int(first(r"TresPerJob=gres:gpu:(\d+)")),
            datetime.fromisoformat(first(r"StartTime=(\S+)")),
            datetime.fromisoformat(first(r"EndTime=(\S+)")),
        )


class Cluster:
    """The cluster, below ``where``; ``env`` is what its users have in their environment."""

    def __init__(self, where: Path) -> None:
        self.where = where
        for name in ("state", "spool", "bin"):
            (where / name).mkdir()
        key = where / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        node = socket.gethostname().partition(".")[0]
        config = where / "slurm.conf"
        config.write_text(CONFIG.format(where=where, node=node, controller=free_port(), daemon=free_port()))
        # Nobody opens them: to Slurm a GPU is a device file.
        (where / "gres.conf").write_text(
            "".join(f"NodeName={node} Name=gpu File=/dev/{file}\n" for file in ("null", "zero"))
        )
        # Jobs lose what is called SLURM_..., and with it where these settings are.
        srun = where / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        self.env = {"SLURM_CONF": str(config), "PATH": f"{where / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        files = [f"--{name}-file={self.where / f'munge.{name}'}" for name in ("key", "log", "pid", "seed")]
        self._run("munged", "--foreground", "--force", f"--socket={self.where / 'munge.socket'}", *files)
        self._until(lambda: (self.where / "munge.socket").exists(), "munged")
        self._run("slurmctld", "-D", "-f", self.env["SLURM_CONF"])
        self._run("slurmd", "-D", "-f", self.env["SLURM_CONF"])
        self._until(lambda: "idle" in self._ask("sinfo", "--noheader"), "slurmd")

    def stop(self) -> None:
        """End its jobs and its daemons."""
        self._ask("scancel", "--user", "root")
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait()

    def jobs(self) -> list[Job]:
        """All jobs that have ended, in the order of their submission."""
        printed = self._ask("scontrol", "show", "job")
        return [Job.read(paragraph) for paragraph in printed.split("\n\n") if "EndTime" in paragraph]

    def _run(self, name: str, *options: str) -> None:
        with (self.where / f"{name}.log").open("wb") as log:
            command = [shutil.which(name, path=PATHS), *options]
            self._daemons.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True))

    def _ask(self, *command: str) -> str:
        return subprocess.run(command, env=os.environ | self.env, capture_output=True, text=True).stdout

    def _until(self, ready: Callable[[], bool], name: str) -> None:
        for _ in range(5 * START_S):
            if ready():
                return
            time.sleep(0.2)
        raise AssertionError((self.where / f"{name}.log").read_text())
