"""Check training, embedding and testing on a GPU: is it right, how fast is it, and how fast could it be?

At most eight minutes, unattended. Each part runs in a process of its own within its own time; one that fails, hangs or runs
out of memory leaves the others alone. Progress goes to stderr, one JSON object to stdout at the end; with --out also to a
file, after every part. The exit status is 1 if anything failed.

It needs PyTorch, numpy, scipy, OpenCV and safetensors only. Without a GPU, `--device cpu --tiny` shows in seconds that every
part runs; its speeds say nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import correctness, parts, processes, speed, table, testing
from benchmarks.gpu.parts import Part, say

LIMIT_S = 480.0
PAGE = Path(__file__).parent.parent.parent / "docs/training.md"
# The most important ones first, because time may run out.
PARTS: dict[str, Part] = {
    "correctness": Part(correctness.part, 70),
    "processes": Part(processes.part, 30),
    "speed-gaitset": Part(speed.part_of("gaitset"), 40),
    "casia-b-test": Part(testing.casia_b, 60),
    "data": Part(speed.data, 50),
    "speed-gaitbase": Part(speed.part_of("gaitbase"), 35),
    "oumvlp-test": Part(testing.oumvlp, 40),
    "speed-baseline": Part(speed.part_of("baseline"), 35),
    "speed-gaitgl": Part(speed.part_of("gaitgl"), 35),
    "speed-gaitpart": Part(speed.part_of("gaitpart"), 30),
    "speed-gln": Part(speed.part_of("gln"), 45),
    "compiled": Part(speed.compiled, 120),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON object, not the table before it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON object there too, after every part")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="default: cuda")
    parser.add_argument("--tiny", action="store_true", help="narrow networks and small batches: only to show that all runs")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="only this part; may be repeated")
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help=f"at most, for all parts (default: {LIMIT_S:.0f})")
    saved = parser.add_mutually_exclusive_group()
    saved.add_argument(
        "--markdown", type=Path, metavar="FILE", help="print the table of a JSON file of --out, and check nothing"
    )
    saved.add_argument("--fill", type=Path, metavar="FILE", help="put that table into docs/training.md, and check nothing")
    options = parser.parse_args()
    if options.markdown:
        print(table.table(json.loads(options.markdown.read_text(encoding="utf-8"))))
        return
    if options.fill:
        try:
            table.fill(PAGE, json.loads(options.fill.read_text(encoding="utf-8")))
        except ValueError as error:
            sys.exit(f"error: {error}")
        return
    result = checked(options)
    if not options.json:
        print(table.table(result))
    print(json.dumps(result))
    sys.exit(int(any(part["status"] in ("failed", "stopped") for part in result["parts"].values())))


def checked(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all parts, which run one after the other as long as there is time."""
    start = time.monotonic()
    device = torch.device(options.device)
    # In a process of its own: a process that has touched the GPU cannot be forked.
    card = parts.run(Part(_about, 60), device, options.tiny, options.seconds)
    if card["status"] != "passed":
        remedy = "`--device cpu --tiny` shows on the CPU that all parts run"
        sys.exit(f"error: no GPU that PyTorch can use ({'; '.join(map(str, card['failures'].values()))}); {remedy}")
    result: dict[str, Any] = {
        **card["figures"],
        "tiny": options.tiny,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "parts": {},
    }
    chosen = {name: part for name, part in PARTS.items() if not options.part or name in options.part}
    for name, part in chosen.items():
        left = options.seconds - (time.monotonic() - start) - parts.GRACE_S
        if left <= 0:
            result["parts"][name] = {"status": "left out", "seconds": 0, "figures": {}, "failures": {}, "left_out": {}}
            say(f"== {name}: no time left")
            continue
        say(f"== {name}: up to {min(part.seconds, left):.0f} s of {left:.0f} s left")
        part_result = parts.run(part, device, options.tiny, left)
        result["parts"][name] = part_result
        say(f"== {name}: {part_result['status']} after {part_result['seconds']} s")
        result["seconds"] = round(time.monotonic() - start, 1)
        if options.out:
            partial = options.out.with_name(options.out.name + ".part")
            partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
            partial.replace(options.out)
    return result


def _about(context: parts.Context) -> None:
    """Note the facts that figures depend on."""
    facts: dict[str, Any] = {"device": f"CPU ({platform.machine()})", "gpu_gib": None, "cuda": torch.version.cuda}
    if context.device.type == "cuda":
        card = torch.cuda.get_device_properties(0)
        facts |= {"device": card.name, "gpu_gib": round(card.total_memory / 2**30, 1)}
    facts |= {"torch": torch.__version__, "python": platform.python_version(), "cpus": os.cpu_count()}
    for name, fact in facts.items():
        context.note(name, fact)


if __name__ == "__main__":
    main()
