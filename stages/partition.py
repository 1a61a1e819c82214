"""Choose a model's training, gallery and probe sequences from the modality it needs.

The result names that modality's content, so that the stages of a model depend on its own modality alone.
"""

from __future__ import annotations

from pathlib import Path

from gait.data.partitions import POSITIONS, partition_for
from gait.data.sequences import SequenceStore
from stages import inputs, io


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--preprocessed", type=Path, required=True, help="folder of all modalities (data/preprocessed)")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write (data/partition/<model>.json)")
    options, settings = io.parse(parser)
    modality = inputs.entry_of(settings, options.model).modality
    store = SequenceStore.open(options.preprocessed / modality)
    partition = partition_for(options.model, store, settings.datasets[settings.dataset].partition.model_dump())
    io.write_json(options.out, partition.to_json())
    counts = ", ".join(f"{len(getattr(partition, part))} {part.replace('_', ' ')}" for part in POSITIONS)
    print(f"{options.model}: {counts} sequences, protocol {partition.protocol}")


if __name__ == "__main__":
    io.run(main)
