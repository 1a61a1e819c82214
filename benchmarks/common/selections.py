"""Pruning by our own selection of filters against Torch-Pruning's, with as many filters gone from each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.intervals import paired
from benchmarks.common.work import Work
from gaitpress import outputs, params
from gaitpress import settings as made_with
from gaitpress.inputs import open_training
from gaitpress.trainers import trainer

PEERS = ("magnitude", "taylor")  # importances of Torch-Pruning
GRADIENT_BATCHES = 8  # as many as our own Taylor criterion takes


def compared(
    work: Work, model: str, percentile: int, dense: Path, sections: Mapping[str, Any], seeds: Sequence[int]
) -> dict[str, Any]:
    """Mean rank-1 after fine-tuning of our selection and of Torch-Pruning's, for several seeds of the fine-tuning.

    Args:
        work: the folder of work, which has the model pruned by us in prune/p<percentile>.
        model: an entry of ``model``.
        percentile: how much was removed.
        dense: the trained model.
        sections: ``model`` and ``finetune`` of params.yaml for the fine-tuning.
        seeds: the seeds.
    """
    chosen = {"ours": work.where / f"prune/p{percentile}"}
    chosen |= {f"torch-pruning-{name}": by_torch_pruning(work, model, percentile, dense, name) for name in PEERS}
    means: dict[str, list[float]] = {name: [] for name in chosen}
    for seed in seeds:
        models = {**sections["model"], model: {**sections["model"][model], "seed": seed}}
        settings = work.params(f"seed{seed}", model=models, finetune=sections["finetune"])
        for name, pruned in chosen.items():
            words = ["--model", model, "--percentile", str(percentile), "--pruned", str(pruned), *work.training(model)]
            tuned = work.stage("finetune", f"finetune/{name}-seed{seed}", settings, *words)
            words = ["--model", model, "--trained", str(tuned), *work.test(model)]
            rates = outputs.read_json(work.stage("evaluate", f"evaluate/{name}-seed{seed}.json", settings, *words))
            means[name].append(rates["rank1"]["mean"])
    differences = {name: np.subtract(means["ours"], means[f"torch-pruning-{name}"]) for name in PEERS}
    return {
        "rank1_over_torch_pruning": {name: paired(values) for name, values in differences.items()},
        "compared_at_percentile": percentile,
        "seeds": {name: [round(value, 2) for value in values] for name, values in means.items()},
    }


def by_torch_pruning(work: Work, model_name: str, percentile: int, dense: Path, name: str) -> Path:
    """The dense model pruned by an importance of Torch-Pruning: as many filters of each group as by our selection."""
    import torch_pruning

    from compress.pruning import torch_surgery
    from compress.pruning.select import Selection
    from gait.networks import torch_model

    out = work.where / f"prune/torch-pruning-{name}-p{percentile}"
    if out.exists():
        return out
    model = torch_model.load(dense)
    if name == "taylor":
        _add_gradients(work, model_name, model)
    importance = torch_pruning.importance
    scored = importance.GroupMagnitudeImportance(p=2) if name == "magnitude" else importance.GroupTaylorImportance()
    ours = outputs.read_json(work.where / f"prune/p{percentile}/pruning.json")
    kept = {layer: row["after"] for layer, row in ours["layers"].items()}
    selections = {}
    for group in model.filter_groups():
        scores = scored(_as_torch_pruning_has_it(torch_pruning, model, group)).numpy(force=True)
        stay = np.sort(np.argsort(-scores, kind="stable")[: kept[group.name]])
        selections[group.name] = Selection(len(scores), stay, float("nan"), tuple(group.units))
    pruned = torch_surgery.remove(model, selections)
    with outputs.new_directory(out) as partial:
        torch_model.save(pruned, partial)
        made_with.write(partial, made_with.read(dense))
    return out


def _add_gradients(work: Work, name: str, model: Any) -> None:
    """Add up the gradients of the training loss over a few batches, which Torch-Pruning's Taylor importance takes."""
    entry = params.load(work.params("data")).model[name]
    training_set, store = open_training(work.where / f"training/{name}.json", work.where / "preprocessed")
    batches = trainer("torch").gradient_batches(model, store, training_set.train, entry)
    for frames, loss in islice(batches, GRADIENT_BATCHES):
        loss(model(frames)).backward()


def _as_torch_pruning_has_it(library: Any, model: Any, group: Any) -> Any:
    """A group of filters with the convolutions that make and those that read them, and the batch norms between.

    By the model's own account: Torch-Pruning's tracing miscounts where frames are folded into the batch.
    """
    units = {name: model.get_submodule(name) for name in model.architecture.channels}
    readers = [name.removesuffix(".conv.weight") for name, axis, blocks in group.readers if axis == blocks == 1]
    makes = [(library.prune_conv_out_channels, units[name].conv) for name in group.units]
    makes += [(library.prune_batchnorm_out_channels, unit.bn) for name in group.units if hasattr(unit := units[name], "bn")]
    reads = [(library.prune_conv_in_channels, units[name].conv) for name in readers if name in units]
    filters = list(range(makes[0][1].out_channels))
    known = library.dependency.Group()
    for prune, layer in [*makes, *reads]:
        node = library.dependency.Node(module=layer, grad_fn=None)
        known.add_dep(library.dependency.Dependency(trigger=prune, handler=prune, source=node, target=node), filters)
        known.items[-1].root_idxs = filters
    return known
