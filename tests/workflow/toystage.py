"""Stands for every stage of a toy pipeline: its outputs are a digest of what it reads, and it says that it ran.

A file ``fail/<address>`` makes the stage of that address fail. GAITPRESS_TOY_SLEEP is how many seconds the stages take that
need one core. What each stage needed of the processor itself is noted in cpu.txt, in seconds.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

ONE_CORE = ("train", "prune", "finetune", "export", "quantize", "build")


def contents(path: Path) -> list[str]:
    if path.is_dir():
        return [
            text
            for entry in sorted(path.rglob("*"))
            if entry.is_file() and entry.name != ".snakemake_timestamp"
            for text in (str(entry), *contents(entry))
        ]
    return [hashlib.sha256(path.read_bytes()).hexdigest()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--deps", nargs="*", default=[], type=Path)
    parser.add_argument("--params", nargs="*", default=[])
    parser.add_argument("--outs", nargs="+", type=Path)
    options = parser.parse_args()
    with Path("ran.txt").open("a") as ran:
        ran.write(f"{options.address}\n")
    if Path("fail", options.address).exists():
        sys.exit(f"error: {options.address} was told to fail")
    if options.address.startswith(ONE_CORE):
        time.sleep(float(os.environ.get("GAITPRESS_TOY_SLEEP", 0)))
    values = []
    for named in options.params:
        file, _, dotted = named.partition(":")
        value = YAML(typ="safe", pure=True).load(Path(file))
        for key in dotted.split("."):
            value = value[key]
        values.append(value)
    read = [text for dep in options.deps for text in contents(dep)]
    digest = hashlib.sha256(json.dumps([options.address, values, read]).encode()).hexdigest()
    for out in options.outs:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix:
            out.write_text(digest)
        else:
            out.mkdir(exist_ok=True)
            (out / "content").write_text(digest)
    with Path("cpu.txt").open("a") as used:
        used.write(f"{time.process_time()}\n")


if __name__ == "__main__":
    main()
