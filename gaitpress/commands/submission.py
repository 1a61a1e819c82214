"""Write what GREW's server asks for: the 20 nearest enrolled people of each of its probes.

    python -m gaitpress submission --model gaitset --out grew.csv
    python -m gaitpress submission --model gaitset --percentile 30 --out grew-p30.csv

GREW does not publish whose its probes are, so their rates come from its server alone. Both walks of each test person are
enrolled. The network is the dense one or, with --percentile, the pruned and fine-tuned one, in its framework. The command
never replaces a file.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from gait.data.prepared.sequences import SequenceStore
from gait.data.readers.grew import UNKNOWN
from gait.evaluation import neighbours
from gaitpress import command_line, inputs, outputs
from gaitpress.embedders import embedder
from gaitpress.errors import StageError
from gaitpress.frameworks import framework
from gaitpress.results.folders import Folders

LISTED = 20


def parts(store: SequenceStore) -> tuple[list[int], list[int]]:
    """Positions of the enrolled walks and of the probes.

    Raises:
        StageError: one of these is empty.
    """
    enrolled, probes = [], []
    for position, walk in enumerate(store.sequences):
        if walk.identity == UNKNOWN:
            probes.append(position)
        elif not walk.identity.endswith("train"):
            enrolled.append(position)
    if not enrolled or not probes:
        what = "walk of a test person" if not enrolled else "probe"
        raise StageError(
            f"{store.dataset}: has no usable {what}; a submission is for GREW's own form, test/gallery and test/probe"
        )
    return enrolled, probes


def main() -> None:
    parser = command_line.parser(__doc__, command="submission")
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--percentile", help="of the pruned network, such as 30; without it the dense one")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--test", type=Path, help="the model's test set (default: data/test/<model>.json)")
    parser.add_argument("--preprocessed", type=Path, default=Path("data/preprocessed"), help="default: data/preprocessed")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    options, settings = command_line.parse(parser)
    entry, folders = settings.entry(options.model), Folders(options.results)
    if options.out.exists():
        raise StageError(f"{options.out}: is there already; move it aside or choose another --out")
    test, store = inputs.open_test(options.test or Path(f"data/test/{options.model}.json"), options.preprocessed)
    pruned = folders.finetune / options.model / f"p{options.percentile}"
    source = pruned if options.percentile else folders.train / options.model
    if not source.is_dir():
        raise StageError(f"{source}: no such network; run `dvc repro` to make it, or `dvc pull`")
    inputs.of_same_store(source, test)
    enrolled, probes = parts(store)
    library = framework(entry.framework)
    library.use_threads(settings.threads.evaluate)
    signatures = embedder(entry.framework).embed(library.load(source), store, [*enrolled, *probes]).averaged()
    row_of = {position: row for row, position in enumerate(signatures.positions.tolist())}
    gallery_rows, probe_rows = (np.array([row_of[position] for position in part]) for part in (enrolled, probes))
    places, _ = neighbours.nearest(signatures.values, probe_rows, gallery_rows, LISTED, test.distance)
    lines = sorted(
        [store.sequences[probe].view, *(int(store.sequences[enrolled[place]].identity) for place in near)]
        for probe, near in zip(probes, places.tolist(), strict=True)
    )
    with outputs.new_file(options.out) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["videoId", *(f"rank{rank}" for rank in range(1, LISTED + 1))])
        writer.writerows(lines)
    print(f"{options.out}: {len(probes)} probes among {len(enrolled)} enrolled walks, by {test.distance} distance")
