"""Measure live recognition on a device: from a picture to a name, with 1, 4 and 8 people at once.

    python -m gaitpress watch-study --variant local/gaitset/p60-fp32
    python -m gaitpress watch-study --variant orin/gaitset/p60-fp32 --people 1 2 4 8 --seconds 60

It renders films of walkers who follow each other through the picture, and lets the variant's bundle watch them on its device
at their own rate, 25 pictures a second: how long it takes from a window's last picture to its name (median, 99th
percentile), pictures a second, pictures and windows that were dropped, the share of each part, and how long processors
worked. Bundle and films go to a device over SSH, whose Python needs OpenCV too: it is installed into our own environment
there, and the message says what to type where the device has another Python. Nobody else should use the device meanwhile.

It writes results/watch/<device>/<model>/p<percentile>-<precision>.json; the page has it once `dvc repro -f -s report` has
made it anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gait.live.crowd import crowd
from gaitpress import command_line, outputs
from gaitpress.built import engine_of
from gaitpress.commands import bundle
from gaitpress.commands.bundle.places import Places
from gaitpress.commands.watch_study import films
from gaitpress.commands.watch_study.there import There, way
from gaitpress.engine import Engine
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from gaitpress.results.machines import described

MOST = 8  # people who do not touch in the film
FIRST = "first"  # the film of one walker who is enrolled: whoever is looked for is compared with somebody


def studied(of: Engine, shipped: Path, people: Sequence[int], seconds: float, where: Path) -> dict[str, Any]:
    """The record of live recognition with an engine, on its device.

    Args:
        of: the engine.
        shipped: the .zip file of its bundle.
        people: how many are in the picture at once, for each film.
        seconds: the length of each film, once all are there.
        where: a folder for files.

    Raises:
        DeviceError, StageError: the device, its Python or its engine does not do.
    """
    shown = {FIRST: where / f"{FIRST}.avi", **{str(count): where / f"{count}.avi" for count in people}}
    films.write(crowd(1, 0.0), shown[FIRST])
    for count in people:
        films.write(crowd(count, seconds), shown[str(count)])
    with of.connected("the study of live recognition") as (runtime, facts):
        of.check(runtime)
        there = There(*way(runtime), shipped, shown)
        there.enrol(FIRST, FIRST)
        cells = []
        for count in people:
            cells.append({"people": count, **there.watch(str(count), where)})
            print(in_words(cells[-1]), flush=True)
        return {
            "variant": asdict(of.variant),
            "engine": of.identity(),
            "device": facts,
            "evidence": of.device.evidence(facts),
            "machine": described(facts),
            "data": "synthetic",
            "opencv": there.opencv,
            "seconds": seconds,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cells": cells,
        }


def in_words(cell: dict[str, Any]) -> str:
    """One line of the study."""
    latency, rate = cell["latency_ms"], cell["frames_per_s"]
    name = "no window" if latency is None else f"name after {latency['median']:.0f} ms, 99 % within {latency['p99']:.0f} ms"
    speed = "" if rate is None else f"{rate:.1f} pictures/s, "
    shares = ", ".join(f"{part} {share:.0%}" for part, share in cell["share"].items() if share)
    return (
        f"{cell['people']} at once (most {cell['most_people']}): {name}; {speed}"
        f"{cell['frames_dropped']} of {cell['frames'] + cell['frames_dropped']} dropped, {cell['windows_dropped']} of "
        f"{cell['windows'] + cell['windows_dropped']} windows; {shares}"
    )


def main() -> None:
    parser = command_line.parser(__doc__, command="watch-study")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--variant", required=True, help="such as local/gaitset/p60-fp32")
    parser.add_argument("--people", type=_people, nargs="+", default=[1, 4, 8], help="at once (default: 1 4 8)")
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="of each film, once all are there (default: 20)")
    parser.add_argument("--out", type=Path, help="the file to write; never replaced (default: below results/watch)")
    options, settings = command_line.parse(parser)
    folders = Folders(options.results)
    row = bundle.named(options.variant, options.results, settings)
    row = row.same_as or row
    out = options.out or folders.watch / f"{row.key}.json"
    if out.exists():
        raise StageError(f"{out}: is there already; move it aside or choose another --out")
    of = engine_of(row, folders)
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        bundle.bundle(row, Places.of(row, folders), where / "bundle.zip")
        record = studied(of, where / "bundle.zip", list(dict.fromkeys(options.people)), options.seconds, where)
    outputs.write_json(out, record)
    print(f"{out}: the record", file=sys.stderr)
    if options.out is None:
        print("`dvc repro -f -s report`: the same on the page", file=sys.stderr)


def _people(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1 to {MOST}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(command_line.number(text))
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return value
