"""Prune a network with fresh weights at many percentiles, and time each resulting shape on a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from compress.errors import CompressionError
from compress.pruning.select import PruneSettings
from gaitpress import outputs, params
from gaitpress.commands import describe
from gaitpress.frameworks import framework
from gaitpress.progress import progress
from gaitpress.surgery import surgery
from gaitpress.timing.bench import Bench
from gaitpress.timing.shapes import Shape, build, digest, key_of_times, measure
from remote.errors import EngineFailed
from stages.prune import prune_settings


@dataclass
class Scouted:
    """The shapes of a model by percentile, of which several may share one. ``refused``: why the others cannot be pruned."""

    shapes: dict[int | float, Shape]
    refused: dict[int | float, str]


@contextmanager
def scout(
    model: str, percentiles: Sequence[int | float], bench: Bench, settings: params.Params, path: Path
) -> Iterator[Scouted]:
    """Measure a model; it takes over the turns of an interrupted run, which are beside ``path``.

    The caller writes ``path`` within this context, which throws the turns away only when that is done.
    """
    prune = settings.prune.model_dump(mode="json", exclude={"percentiles"})
    benchmark = settings.benchmark.model_dump(mode="json", exclude={"sweep"})
    with outputs.begun(path, key_of_times(model, bench, settings, benchmark, prune=prune)) as kept:
        scouted = _prepare(model, percentiles, bench, settings, kept)
        shapes = list({shape.key: shape for shape in scouted.shapes.values()}.values())
        measure(f"{model} on {bench.device.name}", shapes, bench, settings.benchmark, kept)
        yield scouted


def _prepare(model: str, percentiles: Sequence[int | float], bench: Bench, settings: params.Params, kept: Path) -> Scouted:
    """Prune at every percentile, and export and build every new shape."""
    entry = settings.entry(model).phases()[-1]  # the phase that is deployed
    library = framework(entry.framework)
    library.use_threads(1)
    dense = library.build(model, entry, describe.classes(settings))
    cuts = surgery(entry.framework)
    scouted, shapes = Scouted({}, {}), dict[str, Shape]()
    for percentile in progress(percentiles, len(percentiles), f"{model}: pruning and building"):
        try:
            pruned, selections = cuts.prune(dense, _of_weights(prune_settings(settings.prune, percentile, entry.seed)))
        except CompressionError as error:
            scouted.refused[percentile] = str(error)
            continue
        key = digest({name: len(chosen.kept) for name, chosen in selections.items()})[:16]
        if key not in shapes:
            filters = sum(len(chosen.kept) * len(chosen.units) for chosen in selections.values())
            shape = shapes[key] = Shape(key, filters)
            try:
                shape.network = build(library, pruned, entry, bench, settings, kept / key)
            except (CompressionError, EngineFailed) as error:
                shape.reason = str(error)
        scouted.shapes[percentile] = shapes[key]
    return scouted


def _of_weights(settings: PruneSettings) -> PruneSettings:
    """The settings with a criterion that fresh weights suffice for; under the scope "layer" all leave the same shapes."""
    return replace(settings, criterion="mean-l1") if settings.measures else settings
