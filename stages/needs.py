"""Name what `prune` needs beside the trained network: nothing, or training data and the code that makes batches of them.

dvc.yaml lists the same dependencies whatever `prune` does, so `prune` depends on this small file in place of the data: an
edit of the data, or of how models train, reruns `prune` only if the criterion or the reconstruction asks for data.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from compress.pruning import criteria
from gaitpress import command_line, outputs
from gaitpress.params.prune import Prune


def needs_data(settings: Prune) -> bool:
    """Whether pruning by the section `prune` of params.yaml looks at training sequences."""
    return settings.mode != "published" and (settings.reconstruct or criteria.needs_data(settings.criterion))


def digests(training: Path, code: Path) -> dict[str, str]:
    """The sha256 of each file that makes the batches of a model's training, by its path.

    Args:
        training: the model's training set, which names the content of the prepared sequences.
        code: the file that names the code of its training.
    """
    return {training.as_posix(): hashlib.sha256(training.read_bytes()).hexdigest(), **outputs.read_json(code)}


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--training", type=Path, required=True, help="the model's training set (data/training/<model>.json)")
    parser.add_argument("--code", type=Path, required=True, help="the file that names its code (data/code/<model>.json)")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write (data/needs/<model>.json)")
    options, settings = command_line.parse(parser)
    needed = needs_data(settings.prune)
    outputs.write_json(options.out, digests(options.training, options.code) if needed else {})
    print(f"{options.model}: prune needs {'training data' if needed else 'no data'}")


if __name__ == "__main__":
    command_line.run(main)
