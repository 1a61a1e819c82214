"""The stages of dvc.yaml: one rule of Snakemake a stage, one job an item of its matrix.

dvc.yaml is the only declaration of the DAG. DVC decides by content what is out of date and restores what it has computed
before; Snakemake decides what runs when and where.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

Item = Mapping[str, Any]


class PipelineError(Exception):
    """dvc.yaml uses something that cannot be turned into a rule, or DVC cannot say what is out of date."""


def read_yaml(path: Path | str) -> Any:
    """Read YAML 1.2, as DVC does; other readers take 1e-4 for text and ``no`` for false."""
    return YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))


def _lookup(params: Mapping[str, Any], dotted: str) -> Any:
    value: Any = params
    for key in dotted.split("."):
        try:
            value = value[key]
        except (KeyError, TypeError):
            raise PipelineError(f"dvc.yaml: ${{{dotted}}} is not in params.yaml") from None
    return value


def _template(text: str, params: Mapping[str, Any]) -> str:
    """DVC's ``${item.x}`` as Snakemake's ``{x}``, with the values of params.yaml put in for all else."""

    def replaced(match: re.Match[str]) -> str:
        inner = match[1].strip()
        return f"{{{inner.removeprefix('item.')}}}" if inner.startswith("item.") else str(_lookup(params, inner))

    return re.sub(r"\$\{(.*?)\}", replaced, text)


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        name: as in dvc.yaml.
        axes: the values of each axis of its matrix; empty for a stage without one.
        deps, outs: paths with ``{axis}`` in them.
        cached: whether DVC keeps its outputs in the cache.
        params: file and key of each parameter, with ``{axis}`` in them.
    """

    name: str
    axes: Mapping[str, list[Any]]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    cached: bool = True
    params: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, name: str, spec: Mapping[str, Any], params: Mapping[str, Any]) -> Stage:
        """A stage from its section of dvc.yaml.

        Raises:
            PipelineError: it uses ``foreach``, or names a parameter that is not there.
        """
        if "foreach" in spec:
            raise PipelineError(f"dvc.yaml: {name} uses foreach; write it as a matrix")
        axes = {
            axis: _lookup(params, values[2:-1]) if isinstance(values, str) else values
            for axis, values in spec.get("matrix", {}).items()
        }

        def paths(entries: Iterable[Any]) -> tuple[str, ...]:
            return tuple(_template(entry if isinstance(entry, str) else next(iter(entry)), params) for entry in entries)

        keys = [
            (file, key)
            for entry in spec.get("params", [])
            for file, keys in (entry.items() if isinstance(entry, Mapping) else [("params.yaml", [entry])])
            for key in keys
        ]
        outs = [entry for section in ("outs", "metrics", "plots") for entry in spec.get(section, [])]
        return cls(
            name,
            axes,
            paths(spec.get("deps", [])),
            paths(outs),
            all(isinstance(out, str) or next(iter(out.values())).get("cache", True) for out in outs),
            tuple((_template(file, params), _template(key, params)) for file, key in keys),
        )

    def items(self) -> list[dict[str, Any]]:
        """The items of the matrix, as DVC lists them; one empty item without a matrix."""
        return [dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values())]

    def address(self, item: Item) -> str:
        """The stage's name on DVC's command line, such as ``prune@gaitset-30``."""
        return f"{self.name}@{'-'.join(str(item[axis]) for axis in self.axes)}" if self.axes else self.name

    def log(self) -> str:
        """The path of a job's log, with ``{axis}`` in it."""
        return f"logs/{'-'.join([self.name, *(f'{{{axis}}}' for axis in self.axes)])}.log"


@dataclass
class Pipeline:
    """All stages, and the jobs that follow from one another.

    Attributes:
        stages: by name, in dvc.yaml's order, which need not be the running order.
    """

    stages: dict[str, Stage]
    _producers: dict[str, str] = field(init=False)
    _heights: dict[str, int] = field(init=False, default_factory=dict)

    @classmethod
    def read(cls, dvc_yaml: Path | str, params: Mapping[str, Any]) -> Pipeline:
        """The pipeline that a dvc.yaml declares, for the parameters given."""
        specs = read_yaml(dvc_yaml)["stages"]
        return cls({name: Stage.read(name, spec, params) for name, spec in specs.items()})

    def __post_init__(self) -> None:
        self._producers = {
            out.format(**item): stage.address(item)
            for stage in self.stages.values()
            for item in stage.items()
            for out in stage.outs
        }

    def targets(self) -> list[str]:
        """Every output of every job."""
        return list(self._producers)

    def deps(self, name: str, item: Item) -> Iterator[str]:
        """The outputs of other jobs that a job reads; a folder stands for all outputs in it.

        Files that no job makes, such as code, are left to DVC.
        """
        for dep in self.stages[name].deps:
            yield from self._outs_in.get(dep.format(**item), [])

    def height(self, address: str) -> int:
        """How many jobs must follow one another once a job is done."""
        if address not in self._heights:
            readers = self._readers.get(address, [])
            self._heights[address] = max((1 + self.height(reader) for reader in readers), default=0)
        return self._heights[address]

    def in_running_order(self) -> list[tuple[str, list[str]]]:
        """The address of every job, and those of the jobs that it follows from."""
        before = _turned(self._readers)
        addresses = [stage.address(item) for stage in self.stages.values() for item in stage.items()]
        return [(address, before.get(address, [])) for address in sorted(addresses, key=self.height, reverse=True)]

    def needed(self, words: Collection[str]) -> set[str]:
        """Addresses of the jobs that a command line asks for, and of all jobs before them.

        Args:
            words: among which are targets: outputs, or names of stages without a matrix. None of them, or the word ``all``,
                stands for all outputs.
        """
        makers = self._producers | {name: name for name, stage in self.stages.items() if not stage.axes}
        named = {makers[word] for word in words if word in makers}
        return _reached(named if named and "all" not in words else makers.values(), _turned(self._readers))

    def outdated(self, changed: Collection[str]) -> set[str]:
        """Addresses of the jobs whose content has changed, and of all jobs downstream of them."""
        return _reached(changed, self._readers)

    @cached_property
    def _outs_in(self) -> dict[str, list[str]]:
        """By the path of an output, or of a folder around it, all outputs there."""
        found: dict[str, list[str]] = {}
        for out in self._producers:
            for path in (out, *map(str, PurePosixPath(out).parents)):
                found.setdefault(path, []).append(out)
        return found

    @cached_property
    def _readers(self) -> dict[str, list[str]]:
        """The addresses of the jobs that read what a job makes, by its address."""
        readers: dict[str, list[str]] = {}
        for stage in self.stages.values():
            for item in stage.items():
                for dep in self.deps(stage.name, item):
                    readers.setdefault(self._producers[dep], []).append(stage.address(item))
        return readers


def _turned(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The edges of a graph the other way round."""
    turned: dict[str, list[str]] = {}
    for start, ends in edges.items():
        for end in ends:
            turned.setdefault(end, []).append(start)
    return turned


def _reached(starts: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """The nodes of a graph that can be reached, starts included."""
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += edges.get(node, [])
    return reached
