"""Choose the sequences that a model trains on and is tested on, and name the code of its training and protocol.

The test set holds the protocol and the distance too: they change without any training.

All results name content, so that the stages of a model depend on its own modality, losses, augmentations and framework
alone. A new loss of another model, or an edit of the other framework's training loop or of another protocol, reruns none of
them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gait import losses, protocols
from gait.data.partitions import doubts, partition_for
from gait.data.prepared.sequences import SequenceStore
from gait.training.torch import augmentations
from gaitpress import command_line, naming, outputs


def training_code(entry: Any, rules: Any) -> dict[str, str]:
    """The sha256 of each file of Gaitpress that trains a model, by its path, without the model's own file.

    With `validation`, these are also the files that test the training.

    Args:
        entry: the model's entry of `model` in params.yaml.
        rules: ``partition`` of a dataset's entry in params.yaml.
    """
    sources = {losses.source(term.name) for phase in entry.phases() for term in phase.loss}
    if entry.framework == "torch":  # a Keras model's entry says only whether training changes samples
        sources |= {augmentations.source(change.name) for change in entry.augment}
    if entry.validation is not None:
        sources |= {protocols.source(rules.protocol), *naming.modules(naming.VALIDATION_CODE[entry.framework])}
    return naming.digests([*naming.TRAINING_CODE[entry.framework], *sources])


def protocol_code(rules: Any) -> dict[str, str]:
    """The sha256 of each file of Gaitpress that belongs to a protocol, by its path.

    Args:
        rules: ``partition`` of a dataset's entry in params.yaml.
    """
    return naming.digests([*naming.PROTOCOL_CODE, protocols.source(rules.protocol)])


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--preprocessed", type=Path, required=True, help="folder of all modalities (data/preprocessed)")
    parser.add_argument("--training", type=Path, required=True, help="JSON file to write (data/training/<model>.json)")
    parser.add_argument("--test", type=Path, required=True, help="JSON file to write (data/test/<model>.json)")
    parser.add_argument("--code", type=Path, required=True, help="JSON file to write (data/code/<model>.json)")
    parser.add_argument("--protocol", type=Path, required=True, help="JSON file to write (data/protocol/<model>.json)")
    options, settings = command_line.parse(parser)
    entry = settings.entry(options.model)
    store = SequenceStore.open(options.preprocessed / entry.modality)
    rules = settings.datasets[settings.dataset].partition
    set_aside = entry.validation.identities if entry.validation else 0
    training, test = partition_for(options.model, store, rules.model_dump(), entry.distance, set_aside, entry.seed)
    outputs.write_json(options.code, training_code(entry, rules))
    outputs.write_json(options.protocol, protocol_code(rules))
    outputs.write_json(options.training, training.to_json())
    outputs.write_json(options.test, test.to_json())
    parts = training.parts() | test.parts()
    counts = ", ".join(f"{len(positions)} {part.replace('_', ' ')}" for part, positions in parts.items() if positions)
    print(f"{options.model}: {counts} sequences, protocol {test.protocol}, {test.distance} distance")
    for doubt in doubts(store.sequences, parts, test.protocol):
        print(f"warning: {doubt}", file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
