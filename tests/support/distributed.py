"""A program of tests: trains, or embeds, in as many processes as torchrun starts it in.

torchrun --nproc-per-node 2 -m tests.support.distributed STORE OUT steps|losses|embed|classifier|tested
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet
from gait.embedding import embed
from gait.evaluation.signatures import Signatures
from gait.networks.torch_model import TorchModel
from gait.processes import Processes
from gait.training.torch import loop as torch_loop
from gait.training.validation import Validation
from tests.gait import test_torch_training as alone

SGD = replace(alone.TRAINING, iterations=1, optimizer="sgd", lr=0.05, momentum=0.0)
STEPS = 4
BOTH = [{"name": "triplet", "weight": 1, "margin": 0.2}, {"name": "cross_entropy", "weight": 1, "scale": 16}]


def steps(
    store: SequenceStore, processes: Processes, weights: list[dict[str, torch.Tensor]]
) -> list[dict[str, torch.Tensor]]:
    """The weights after one step in float64 from each of ``weights``."""
    states = []
    for seed, start in enumerate(weights):
        model = alone.network().double()
        model.load_state_dict(start)
        training = replace(SGD, seed=seed, sampling=replace(SGD.sampling, seed=seed))
        torch_loop.fit(model, store, range(len(store.sequences)), training, processes=processes)
        states.append(model.state_dict())
    return states


def main() -> None:
    store, out, what = SequenceStore.open(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    with Processes.joined() as processes:
        if what == "steps":
            given = torch.load(out / "weights.pt", weights_only=True)
            states = steps(store, processes, given)
            if processes.first:
                torch.save(states, out / "computed.pt")
        elif what == "embed":
            collected = embed(alone.network().eval(), store, range(len(store.sequences)), processes)
            if processes.first:
                torch.save(torch.from_numpy(collected.values), out / "computed.pt")
            else:
                assert collected is None
        elif what == "tested":
            everyone = range(len(store.sequences))
            collected = []

            def signatures(model: TorchModel) -> Signatures | None:
                collected.append(embed(model, store, everyone, processes))
                return collected[-1]

            walks = [[at for at in everyone if store.sequences[at].condition == name] for name in ("nm-01", "nm-02")]
            test = TestSet("any", "any", "0", "made", "synthetic", "all-views", "euclidean", *walks)
            asked = Validation(3, "last", None, signatures, store.sequences, test)
            model, _ = alone.trained(
                store, replace(SGD, iterations=3), alone.residual(), processes=processes, validation=asked
            )
            if processes.first:
                after = embed(model, store, everyone, Processes())
                torch.save([torch.from_numpy(made.values) for made in (collected[-1], after)], out / "computed.pt")
        else:
            training = replace(alone.TRAINING, iterations=5)
            model = alone.network()
            if what == "classifier":  # with batch norms, and for once a classifier that no loss reads
                training = replace(training, loss=BOTH if out.name == "both" else training.loss)
                model = alone.residual()
            _, history = alone.trained(store, training, model, processes=processes)
            if processes.first:
                (out / "found.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main()
