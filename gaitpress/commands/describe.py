"""Show what a model is made of: layers, output shapes, parameters and multiply-adds.

    python -m gaitpress describe gaitset            the entry of params.yaml
    python -m gaitpress describe --all              every model of every published recipe, at its size there

Parameters are those of training, a classifier of the identities included; multiply-adds are those of one inference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gait import protocols
from gaitpress import command_line, params, recipes
from gaitpress.errors import StageError
from gaitpress.frameworks import framework, multiply_adds


def classes(settings: params.Params) -> int:
    """The number of identities that train, by the rules of the chosen dataset."""
    protocol, chosen = protocols.chosen(settings.datasets[settings.dataset].partition.model_dump())
    return protocol.training_identities(chosen)


def described(settings: params.Params, name: str, identities: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """For each phase of a model's training what it is as a whole, and its layers."""
    entry = settings.entry(name)
    library = framework(entry.framework)
    phases = entry.phases()
    identities -= entry.validation.identities if entry.validation else 0
    for number, phase in enumerate(phases, start=1):
        model = library.build(name, phase, identities)
        layers = library.layers(model, phase)
        whole = {
            "model": name,
            "dataset": settings.dataset,
            "params": sum(layer["params"] for layer in layers),
            "deployed_params": library.parameters(model),
            "macs": multiply_adds(layers),
            "input": library.benchmark_shape(model, phase)[1:],
            "embedding": library.signature_shape(model),
        }
        yield (whole | {"phase": number} if len(phases) > 1 else whole), layers


def table(whole: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> str:
    """The layers of a model, a line each, and their sum."""
    rows = [
        (
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["output"])),
            f"{layer['params']:,}",
            "training only" if layer.get("training_only") else f"{layer['macs'] / 1e6:,.1f}",
        )
        for layer in layers
    ]
    rows = [("layer", "kind", "output", "parameters", "M multiply-adds"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([line.rstrip() for line in lines] + ["", summary(whole)])


def summary(whole: Mapping[str, Any]) -> str:
    """A model in one line."""
    phase = f", phase {whole['phase']}" if "phase" in whole else ""
    sizes = {key: "x".join(map(str, whole[key])) for key in ("input", "embedding")}
    return (
        f"{whole['model']}{phase} ({whole['dataset']}): {whole['params']:,} parameters, "
        f"{whole['deployed_params']:,} of them deployed; {whole['macs'] / 1e6:,.1f} M multiply-adds for {sizes['input']}; "
        f"signature {sizes['embedding']}"
    )


def main() -> None:
    parser = command_line.parser(__doc__, command="describe")
    parser.add_argument("model", nargs="?", help="entry of `model` in params.yaml")
    parser.add_argument("--all", action="store_true", help="every model of every recipe instead")
    parser.add_argument("--identities", type=int, help="how many train (default: what the dataset's partition says)")
    parser.add_argument("--json", action="store_true", help="print a JSON list, an object a model, last")
    options = parser.parse_args()
    if options.all == bool(options.model):
        raise StageError("give the name of a model, or --all")
    sources = map(recipes.load, recipes.published()) if options.all else [params.load(options.params)]
    models = []
    for settings in sources:
        identities = options.identities or classes(settings)
        for name in settings.model if options.all else [options.model]:
            for whole, layers in described(settings, name, identities):
                models.append(whole)
                if not options.json:
                    print(summary(whole) if options.all else table(whole, layers))
    if options.json:
        print(json.dumps(models, indent=1))
