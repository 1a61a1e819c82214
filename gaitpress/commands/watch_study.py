"""Measure live recognition on this computer: from a picture to a name, with 1, 4 and 8 people at once.

    python -m gaitpress watch-study --variant local/gaitset/p60-fp32
    python -m gaitpress watch-study --variant local/gaitset/p0-fp32 --people 1 2 4 8 --seconds 60

It renders films of walkers who follow each other through the picture, and lets the variant's bundle watch them at their own
rate, 25 pictures a second: how long it takes from a window's last picture to its name (median, 99th percentile), pictures a
second, pictures and windows that were dropped, the share of each part, and how many cores all of it kept busy. Nobody else
should use the computer meanwhile.

It writes results/watch/<device>/<model>/p<percentile>-<precision>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2

from gait.data.walkers import FPS
from gait.live.crowd import crowd
from gait.live.scene import Scene
from gaitpress import command_line, outputs
from gaitpress.commands import bundle
from gaitpress.commands.bundle.contents import Places
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from gaitpress.variant import Variant
from remote import inventory

DEVICES = Path("remote/devices.yaml")
MOST = 8  # people who do not touch in the film


def filmed(scene: Scene, path: Path) -> None:
    """Write a scene as a film.

    Raises:
        StageError: OpenCV cannot write it here.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (scene.width, scene.height))
    if not writer.isOpened():
        raise StageError(f"{path}: OpenCV cannot write videos here")
    for frame, _ in scene.frames():
        writer.write(frame)
    writer.release()


def watched(shipped: Path, film: Path, where: Path) -> dict[str, Any]:
    """The figures of a bundle's watch.py for a film that plays at its own rate.

    Raises:
        StageError: watch.py failed.
    """
    figures = where / f"{film.stem}.json"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _watch(shipped, film, where, "--live", "--figures", str(figures))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found: dict[str, Any] = outputs.read_json(figures)
    found["cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found


def _watch(shipped: Path, film: Path, where: Path, *words: str) -> None:
    """Run a bundle's watch.py with its engine and the gallery of the study.

    Raises:
        StageError: it failed.
    """
    command = [sys.executable, str(shipped / "watch.py"), "--source", str(film), "--headless", "--engine"]
    command += ["--gallery", str(where / "gallery.json"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StageError(f"watch.py failed: {done.stderr.strip() or done.returncode}")


def in_words(people: int, found: dict[str, Any]) -> str:
    """One line of the study."""
    latency = found["latency_ms"]
    name = "no window" if latency is None else f"name after {latency['median']:.0f} ms, 99 % within {latency['p99']:.0f} ms"
    shares = ", ".join(f"{part} {share:.0%}" for part, share in found["share"].items() if share)
    return (
        f"{people} at once (most {found['most_people']}): {name}; {found['frames_per_s']:.1f} pictures/s, "
        f"{found['frames_dropped']} of {found['frames'] + found['frames_dropped']} dropped, {found['windows_dropped']} of "
        f"{found['windows'] + found['windows_dropped']} windows; {shares}"
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
    if inventory.find(DEVICES, row.device).transport != "local":
        raise StageError(f"--variant {row.key}: {row.device} is not this computer; ship a bundle there: docs/watch.md")
    cells = []
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        bundle.bundle(row, Places.of(row, folders), where / "bundle")
        _enrol_somebody(where)
        for people in options.people:
            film = where / f"{people}.avi"
            filmed(crowd(people, options.seconds), film)
            cells.append({"people": people, **watched(where / "bundle", film, where)})
            film.unlink()
            print(in_words(people, cells[-1]), flush=True)
    variant = asdict(Variant(row.device, row.model, row.percentile, row.precision))
    record = {"variant": variant, "engine": row.get("engine"), "evidence": "host", "data": "synthetic"}
    record |= {"machine": platform.processor() or platform.machine(), "cores": len(os.sched_getaffinity(0))}
    record |= {"seconds": options.seconds, "measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "cells": cells}
    out.parent.mkdir(parents=True, exist_ok=True)
    with outputs.new_file(out) as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{out}: the record", file=sys.stderr)


def _enrol_somebody(where: Path) -> None:
    """A gallery of the first walker: whoever is looked for is compared with somebody."""
    film = where / "first.avi"
    filmed(crowd(1, 0.0), film)
    _watch(where / "bundle", film, where, "--enrol", "first")


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
