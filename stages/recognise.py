"""Measure the recognition rates of an engine by its dataset's protocol, with the very engine on its device.

An engine that was not built, or that breaks, has no rates: ``status`` says so, with the reason.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gait import protocols
from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet
from gait.data.samples import owners, samples
from gait.evaluation.signatures import Signatures
from gaitpress import command_line, engine, inputs, outputs
from gaitpress.progress import progress
from remote.errors import EngineFailed
from remote.runtimes import Runtime


def recognise(measured: engine.Engine, test: Path, preprocessed: Path, threads: int) -> dict[str, Any]:
    """The rates of an engine.

    Args:
        measured: the engine and where it is.
        test, preprocessed: the model's test set, and the folder of all modalities.
        threads: of the rates and, on processors, of the engine; neither changes a rate.

    Returns:
        ``status`` and ``reason``, the ``variant``, the ``engine``, the settings it was tested with and, if it is ok,
        ``accuracy`` and ``rank1_by_view``, which is None where all views are one.

    Raises:
        StageError: the engine has to be built again, or inputs do not belong together.
        DeviceError: the device is no longer what its facts say.
    """
    start = time.monotonic()
    test_set, store = inputs.open_test(test, preprocessed)
    inputs.of_same_store(measured.quantized, test_set)
    found: dict[str, Any] = {
        "status": "ok",
        "reason": None,
        "variant": {**asdict(measured.variant), "dataset": store.dataset},
        "engine": measured.identity(),
        "settings": inputs.test_facts(test_set, store),
        "accuracy": None,
        "rank1_by_view": None,
    }
    try:
        if measured.build["status"] != "ok":
            raise EngineFailed(measured.build["reason"] or "the build failed")
        with measured.connected("the test") as (runtime, _):
            measured.check(runtime)
            found |= rates(runtime, measured.folder, store, test_set, measured.signature, threads)
    except EngineFailed as error:
        found |= {"status": measured.without_engine, "reason": str(error)}
    found["seconds"] = round(time.monotonic() - start, 1)
    return found


def rates(
    runtime: Runtime, engine: Path, store: SequenceStore, test_set: TestSet, signature: dict[str, Any], threads: int
) -> dict[str, Any]:
    """What the test's protocol says of the engine itself: its rates, and rank-1 of each pair of views if there are any.

    Raises:
        EngineFailed: the engine's signatures have another shape than declared or are not finite.
    """
    shape, positions = signature["input"]["shape"], test_set.positions
    walks = (store.sequences[position] for position in progress(positions, len(positions), "recognition, sequences"))
    inputs_of_all = (sample for walk in walks for sample in samples(store, walk, shape))

    def checked(output: np.ndarray) -> np.ndarray:
        if list(output.shape) != list(signature["output"]["shape"]) or not np.isfinite(output).all():
            raise EngineFailed(
                f"the engine's signature {list(output.shape)} is not finite or not {signature['output']['shape']}"
            )
        return output

    outputs = map(checked, runtime.run(engine, inputs_of_all, threads))
    signatures = Signatures.collect(owners(store, positions, shape), outputs)
    del outputs  # a runtime may hand over a list of all outputs
    hits = protocols.identified(signatures, store.sequences, test_set, threads=threads)
    result = protocols.rates(hits, signatures, store.sequences, test_set, threads=threads)
    return {
        "accuracy": {**result, "protocol": test_set.protocol, "distance": test_set.distance, "source": "engine"},
        "rank1_by_view": hits.by_view() if len(hits.gallery_views) > 1 else None,
    }


def main() -> None:
    parser = command_line.parser(__doc__)
    engine.add_options(parser)
    inputs.add_test(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write: the rates")
    given, settings = command_line.parse(parser)
    found = recognise(engine.named(given), given.test, given.preprocessed, settings.threads.recognise)
    outputs.write_json(given.out, found)
    rank1 = found["accuracy"] and f"mean rank-1 {found['accuracy']['rank1']['mean']:.1f} %"
    print(f"{given.out}: {rank1 or found['status'] + ': ' + found['reason']}")


if __name__ == "__main__":
    command_line.run(main)
