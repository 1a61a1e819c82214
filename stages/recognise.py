"""Measure the recognition rates of an engine by its dataset's protocol, with the engine itself on its device.

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
    """Measure the rates of an engine.

    Args:
        measured: the engine and where it is.
        test, preprocessed: the model's test set, and the folder of all modalities.
        threads: cores of this machine for computing the rates and, where it is the device, for the engine; they change no
            rate.

    Returns:
        The record: ``status`` and ``reason``, the ``variant``, the ``engine``, the ``settings`` of the test and, if the
        status is ok, what :func:`rates` returns.

    Raises:
        StageError: the engine has to be built again, or inputs do not belong together.
        DeviceError: the device is no longer what its facts say.
    """
    start = time.monotonic()
    test_set, store = inputs.open_test(test, preprocessed)
    inputs.of_same_store(measured.quantized, test_set)
    record: dict[str, Any] = {
        "status": "ok",
        "reason": None,
        "variant": {**asdict(measured.variant), "dataset": store.dataset},
        "engine": measured.identity(),
        "settings": inputs.test_facts(test_set, store),
        "accuracy": None,
        "rank1_by_view": None,
        "rank1_by_person": None,
    }
    try:
        if measured.build["status"] != "ok":
            raise EngineFailed(measured.build["reason"] or "the build failed")
        with measured.connected("the test", times=False) as (runtime, _):
            measured.check(runtime)
            record |= rates(runtime, measured.folder, store, test_set, measured.signature, threads)
    except EngineFailed as error:
        record |= {"status": measured.without_engine, "reason": str(error)}
    record["seconds"] = round(time.monotonic() - start, 1)
    return record


def rates(
    runtime: Runtime, engine: Path, store: SequenceStore, test_set: TestSet, signature: dict[str, Any], threads: int
) -> dict[str, Any]:
    """The engine's rates by the test's protocol.

    Returns:
        ``accuracy``; ``rank1_by_view``, None where there is a single view; and ``rank1_by_person``, from which the mean
        rank-1 follows for any choice of people (:class:`gait.people.ByPerson`). The last is None where a protocol's
        mean is not that of its hits.

    Raises:
        EngineFailed: a signature of the engine has another shape than declared or is not finite.
    """
    shape, positions = signature["input"]["shape"], test_set.positions
    walks = (store.sequences[position] for position in progress(positions, len(positions), "recognition, sequences"))
    network_inputs = (sample for walk in walks for sample in samples(store, walk, shape))

    def checked(output: np.ndarray) -> np.ndarray:
        if list(output.shape) != list(signature["output"]["shape"]) or not np.isfinite(output).all():
            raise EngineFailed(
                f"the engine's signature {list(output.shape)} is not finite or not {signature['output']['shape']}"
            )
        return output

    engine_outputs = map(checked, runtime.run(engine, network_inputs, threads))
    signatures = Signatures.collect(owners(store, positions, shape), engine_outputs)
    del engine_outputs  # a runtime may return a list of all outputs
    hits = protocols.identified(signatures, store.sequences, test_set, threads=threads)
    result = protocols.rates(hits, signatures, store.sequences, test_set, threads=threads)
    people = hits.by_person()
    return {
        "accuracy": {**result, "protocol": test_set.protocol, "distance": test_set.distance, "source": "engine"},
        "rank1_by_view": hits.by_view() if len(hits.gallery_views) > 1 else None,
        "rank1_by_person": people.to_json() if people.mean == result["rank1"]["mean"] else None,
    }


def main() -> None:
    parser = command_line.parser(__doc__)
    engine.add_options(parser)
    inputs.add_test(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write: the rates")
    options, settings = command_line.parse(parser)
    record = recognise(engine.named(options), options.test, options.preprocessed, settings.threads.recognise)
    outputs.write_json(options.out, record)
    rank1 = record["accuracy"] and f"mean rank-1 {record['accuracy']['rank1']['mean']:.1f} %"
    print(f"{options.out}: {rank1 or record['status'] + ': ' + record['reason']}")


if __name__ == "__main__":
    command_line.run(main)
