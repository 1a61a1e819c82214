"""Stands for every stage of a toy pipeline: its outputs are a digest of what it reads, and it says that it ran.

A file ``fail/<address>`` makes the stage of that address fail in the middle of writing, a file ``hold/<address>`` makes it
take as long as the file is there, and ``last/<address>`` the same once its outputs are in place. GAITPRESS_TOY_SLEEP is how
many seconds every stage sleeps. What each stage needed of the processor itself is noted in cpu.txt, in seconds.
"""

import argparse
import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import stages  # noqa: F401 - as every stage, it looks at what it starts from
from gaitpress import started

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def contents(path: Path) -> list[str]:
    """Of a file its digest; of a folder the name and the digest of every file."""
    if path.is_dir():
        return [
            text
            for entry in sorted(path.rglob("*"))
            if entry.is_file() and entry.name != ".snakemake_timestamp"
            for text in (str(entry), *contents(entry))
        ]
    return [hashlib.sha256(path.read_bytes()).hexdigest()]


def values(named: Iterable[str], where: Path = Path()) -> list[Any]:
    """What stands at each file:dotted.key."""
    files: dict[str, Any] = {}
    read = []
    for name in named:
        file, _, dotted = name.partition(":")
        if file not in files:
            files[file] = YAML(typ="safe").load(where / file)
        value = files[file]
        for key in dotted.split("."):
            value = value[key]
        read.append(value)
    return read


def digest(address: str, given: Sequence[Any], read: Sequence[str]) -> str:
    """What a stage makes of its parameters and of all that it reads."""
    return hashlib.sha256(json.dumps([address, given, read]).encode()).hexdigest()


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of a stage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--deps", nargs="*", default=[], type=Path)
    parser.add_argument("--params", nargs="*", default=[])
    parser.add_argument("--outs", nargs="+", type=Path)
    return parser.parse_args(arguments)


def write(outs: Iterable[Path], text: str) -> None:
    """Write the outputs: a name with a suffix is a file, any other a folder with one file."""
    for out in outs:
        file = out if out.suffix else out / "content"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(named(out)) if str(out.parent) in started.CODE else text)


def named(out: Path) -> dict[str, str]:
    """The real content of a file that names code: what depends on it must see which edits change it."""
    if out.parent.name == "code":
        from gaitpress import params
        from stages.partition import training_code

        settings = params.load("params.yaml")
        return training_code(settings.entry(out.stem), settings.datasets[settings.dataset].partition)
    if out.parent.name == "protocol":
        from gaitpress import params
        from stages.partition import protocol_code

        settings = params.load("params.yaml")
        return protocol_code(settings.datasets[settings.dataset].partition)
    if out.parent.name == "needs":
        from gaitpress import params
        from stages import needs

        needed = needs.needs_data(params.load("params.yaml").prune)
        return needs.digests(Path("data/training", out.name), Path("data/code", out.name)) if needed else {}
    from remote import inventory
    from stages.runtime import code_on

    return code_on(inventory.find(Path("remote/devices.yaml"), out.stem), is_jetson=False)


def main() -> None:
    start = time.monotonic()
    options = parsed()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # ends with DVC, as the real ones do
    with Path("ran.txt").open("a") as ran:
        ran.write(f"{options.address}\n")
    if Path("fail", options.address).exists():
        write(options.outs, "half of it")
        sys.exit(f"error: {options.address} was told to fail")
    if started.this is not None:  # as gaitpress/command_line.py does
        started.this.check()
    made = digest(options.address, values(options.params), [text for dep in options.deps for text in contents(dep)])
    time.sleep(float(os.environ.get("GAITPRESS_TOY_SLEEP", 0)))
    while Path("hold", options.address).exists():
        time.sleep(0.02)
    if started.this is not None:
        started.this.confirm()
    write(options.outs, made)
    if options.address == "track":
        Path("mlflow.db").touch()
    while Path("last", options.address).exists():
        time.sleep(0.02)
    with Path("cpu.txt").open("a") as used:
        used.write(f"{time.process_time()}\n")
    Path("logs").mkdir(exist_ok=True)
    with Path("logs/durations.csv").open("a") as took:  # as gaitpress/command_line.py does
        took.write(f"{options.address},{time.monotonic() - start:.1f}\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
    except started.Edited as error:
        sys.exit(f"error: {error}")
