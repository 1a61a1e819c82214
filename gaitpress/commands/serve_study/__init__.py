"""Measure how many people a device serves at once with a variant: batches, streams and a limit of latency.

    python -m gaitpress serve-study --variant local/gaitset/p60-fp32
    python -m gaitpress serve-study --device local --max-loss 1 --rate 25 --limit 100ms --streams 1 2 --batches 1 2 4 8

Each person asks for --rate inferences a second. A stream answers up to a batch of questions together, and waits for them at
most --wait. For each number of streams and each batch the device itself looks for the most people whose latency, from the
question to its answer, is within --limit in 99 of 100 cases. Streams share the cores of the device. Without --variant it
takes the variant that `python -m gaitpress select` names for the same limits.

It writes results/serve/<device>/<model>/p<percentile>-<precision>/: study.json, and people.png with a heat map. Batches
above 1 need `export: {max_batch: 8}` in params.yaml. TensorRT's trtexec cannot do this; a board's processor can, by
onnxruntime or openvino. `select --people` goes by the study of an engine, and the page has its heat map once
`dvc repro -f -s report` has made it anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gaitpress import command_line, outputs, params
from gaitpress.built import engine_of
from gaitpress.commands import bundle, select
from gaitpress.commands.serve_study import picture, study
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from gaitpress.results.records import STUDY, Row


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the load."""
    ms = select.amount_option("max_latency")
    parser.add_argument("--variant", help="such as local/gaitset/p60-int8, instead of limits")
    parser.add_argument("--rate", type=_positive, default=25.0, help="inferences a second of each person (default: 25)")
    parser.add_argument("--limit", type=ms, default=100.0, help="of the latency's 99th percentile (default: 100ms)")
    parser.add_argument("--wait", type=ms, default=10.0, help="the longest wait for a full batch (default: 10ms)")
    parser.add_argument("--streams", type=_count, nargs="+", help="default: 1, 2, 4, ... up to the device's cores")
    parser.add_argument("--batches", type=_count, nargs="+", help="default: 1, 2, 4, ... up to export.max_batch")
    parser.add_argument("--seconds", type=_positive, default=2.0, help="of each trial, at least (default: 2)")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(command_line.number(text.strip()))
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return value


def _row(options: argparse.Namespace, settings: params.Params) -> Row:
    if options.variant:
        row = bundle.named(options.variant, options.results, settings)
    else:
        chosen, limits = select.chosen(options, settings)
        if chosen.best is None:
            raise StageError(f"no variant to study; {select.in_words(chosen, limits, False)}".replace("\n", "; "))
        row = chosen.best
    return row.same_as or row


def main() -> None:
    parser = command_line.parser(__doc__, command="serve-study")
    select.add_options(parser)
    add_options(parser)
    parser.add_argument("--out", type=Path, help="the folder to write; never replaced (default: below results/serve)")
    parser.add_argument("--json", action="store_true", help="print what study.json holds")
    options, settings = command_line.parse(parser)
    folders = Folders(options.results)
    row = _row(options, settings)
    out = options.out or folders.serve / row.key
    if out.exists():
        raise StageError(f"{out}: is there already; move it aside or choose another --out")
    measured = engine_of(row, folders)
    batches = options.batches or study.doublings(measured.signature["max_batch"])
    if max(batches) > measured.signature["max_batch"]:
        most = measured.signature["max_batch"]
        raise StageError(f"--batches {max(batches)}: the network takes at most {most}; set export.max_batch in params.yaml")
    inputs = study.inputs(folders, row, measured.signature, max(batches))
    load = study.Asked(options.rate, options.limit, options.wait, options.seconds)
    result: dict[str, Any] = {"variant": asdict(measured.variant), "engine": measured.identity()}
    result |= study.measured(measured, inputs, load, options.streams, batches)
    out.parent.mkdir(parents=True, exist_ok=True)
    with outputs.new_directory(out) as partial:
        outputs.write_json(partial / STUDY, result)
        picture.write(partial, result)
    print(json.dumps(result, indent=1) if options.json else study.in_words(result))
    print(f"{out / 'people.png'}: the same as a picture", file=sys.stderr)
    if options.out is None:
        print("`dvc repro -f -s report`: the same on the page", file=sys.stderr)
