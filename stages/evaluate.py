"""Measure the recognition rates of a dense model by its dataset's protocol, in the framework that trained it.

`recognise` measures with the engine itself what pruning, quantisation and a device's kernels make of them.
"""

from __future__ import annotations

from pathlib import Path

from gait.protocols import evaluate
from gaitpress import command_line, inputs, outputs
from gaitpress.embedders import embedder
from gaitpress.frameworks import framework


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--trained", type=Path, required=True, help="the model (results/train/<model>)")
    inputs.add_test(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write: the rates")
    options, settings = command_line.parse(parser)
    entry, threads = settings.entry(options.model), settings.threads.evaluate
    test_set, store = inputs.open_test(options.test, options.preprocessed)
    inputs.of_same_store(options.trained, test_set)
    library = framework(entry.framework)
    library.use_threads(threads)
    model = library.load(options.trained)
    signatures = embedder(entry.framework).embed(model, store, test_set.positions)
    rates = evaluate(signatures, store.sequences, test_set, threads=threads)
    outputs.write_json(options.out, {**rates, "test": inputs.test_facts(test_set, store)})
    print(f"{options.model}: mean rank-1 {rates['rank1']['mean']:.1f} % by {test_set.distance} distance")


if __name__ == "__main__":
    command_line.run(main)
