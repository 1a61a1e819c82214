"""Choose a model's training, gallery and probe sequences from the modality it needs, and name the losses it trains with.

The distance that it is tested by stands there too: every stage that tests the model reads it from there.

Both results name content, so that the stages of a model depend on its own modality and losses alone: a loss that is added
for one model leaves the others as they are.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from gait import losses
from gait.data.partitions import POSITIONS, doubts, partition_for
from gait.data.sequences import SequenceStore
from stages import inputs, io


def _losses(names: Iterable[str]) -> dict[str, str]:
    """The sha256 of the code of each loss."""
    return {name: hashlib.sha256(losses.source(name).read_bytes()).hexdigest() for name in sorted(set(names))}


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--preprocessed", type=Path, required=True, help="folder of all modalities (data/preprocessed)")
    parser.add_argument("--losses", type=Path, required=True, help="JSON file to write (data/losses/<model>.json)")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write (data/partition/<model>.json)")
    options, settings = io.parse(parser)
    entry = inputs.entry_of(settings, options.model)
    store = SequenceStore.open(options.preprocessed / entry.modality)
    rules = settings.datasets[settings.dataset].partition.model_dump()
    partition = partition_for(options.model, store, rules, entry.distance)
    io.write_json(options.losses, _losses(term.name for phase in entry.phases() for term in phase.loss))
    io.write_json(options.out, partition.to_json())
    counts = ", ".join(f"{len(getattr(partition, part))} {part.replace('_', ' ')}" for part in POSITIONS)
    print(f"{options.model}: {counts} sequences, protocol {partition.protocol}, {partition.distance} distance")
    positions = {part: getattr(partition, part) for part in POSITIONS}
    for doubt in doubts(store.sequences, positions, partition.protocol):
        print(f"warning: {doubt}", file=sys.stderr)


if __name__ == "__main__":
    io.run(main)
