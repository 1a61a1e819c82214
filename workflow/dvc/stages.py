"""The stages of dvc.yaml: Snakemake has a rule for each stage, and a job for each item of its matrix.

dvc.yaml alone declares the DAG. DVC decides by content what is out of date and restores what it has computed before;
Snakemake decides what runs when and where.
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
    """Write DVC's ``${item.x}`` as Snakemake's ``{x}``, and replace every other ``${key}`` by its value in params.yaml."""

    def replacement(match: re.Match[str]) -> str:
        key = match[1].strip()
        return f"{{{key.removeprefix('item.')}}}" if key.startswith("item.") else str(_lookup(params, key))

    return re.sub(r"\$\{(.*?)\}", replacement, text)


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml.

    Attributes:
        name: its name in dvc.yaml.
        axes: the values of each axis of its matrix; empty for a stage without one.
        deps, outs: paths with ``{axis}`` in them.
        cached: whether DVC keeps its outputs in the cache.
        params: the file and the key of each parameter, with ``{axis}`` in them.
    """

    name: str
    axes: Mapping[str, list[Any]]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    cached: bool = True
    params: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, name: str, spec: Mapping[str, Any], params: Mapping[str, Any]) -> Stage:
        """Read a stage from its section of dvc.yaml.

        Raises:
            PipelineError: it uses ``foreach``, or names a parameter that params.yaml lacks.
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
    """All stages, and the jobs that follow from each other.

    Attributes:
        stages: the stages by name, in dvc.yaml's order, which need not be the running order.
    """

    stages: dict[str, Stage]
    _producers: dict[str, str] = field(init=False)
    _heights: dict[str, int] = field(init=False, default_factory=dict)

    @classmethod
    def read(cls, dvc_yaml: Path | str, params: Mapping[str, Any]) -> Pipeline:
        """The pipeline that a dvc.yaml declares for these parameters."""
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

    def outs_of(self, addresses: Collection[str]) -> list[str]:
        """The outputs of some jobs."""
        return [out for out, address in self._producers.items() if address in addresses]

    def missing(self, path: str) -> bool:
        """Whether a path is an output, or a folder of outputs, and not all that is declared is there."""
        return not all(Path(out).exists() for out in self._outs_in.get(path, []))

    def height(self, address: str) -> int:
        """The length of the longest chain of jobs that follow a job."""
        if address not in self._heights:
            readers = self._readers.get(address, [])
            self._heights[address] = max((1 + self.height(reader) for reader in readers), default=0)
        return self._heights[address]

    def in_running_order(self) -> list[tuple[str, list[str]]]:
        """The address of every job, and the addresses of the jobs that it follows from."""
        makers = _turned(self._readers)
        addresses = [stage.address(item) for stage in self.stages.values() for item in stage.items()]
        return [(address, makers.get(address, [])) for address in sorted(addresses, key=self.height, reverse=True)]

    def needed(self, words: Collection[str]) -> set[str]:
        """Addresses of the jobs that a command line asks for, and of all jobs before them.

        Args:
            words: the words of the command line. Its targets are outputs, or names of stages without a matrix. No target,
                or the word ``all``, stands for all outputs.
        """
        makers = self._producers | {name: name for name, stage in self.stages.items() if not stage.axes}
        targets = {makers[word] for word in words if word in makers}
        return _reached(targets if targets and "all" not in words else makers.values(), _turned(self._readers))

    def outdated(self, changed: Collection[str]) -> set[str]:
        """Addresses of the jobs whose content has changed, and of all jobs downstream of them."""
        return _reached(changed, self._readers)

    @cached_property
    def _outs_in(self) -> dict[str, list[str]]:
        """The outputs at each path: of an output, or of a folder around it."""
        outs_in: dict[str, list[str]] = {}
        for out in self._producers:
            for path in (out, *map(str, PurePosixPath(out).parents)):
                outs_in.setdefault(path, []).append(out)
        return outs_in

    @cached_property
    def _readers(self) -> dict[str, list[str]]:
        """The addresses of the jobs that read a job's outputs, by the address of that job."""
        readers: dict[str, list[str]] = {}
        for stage in self.stages.values():
            for item in stage.items():
                for dep in self.deps(stage.name, item):
                    readers.setdefault(self._producers[dep], []).append(stage.address(item))
        return readers


def _turned(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The edges of a graph in the opposite direction."""
    turned: dict[str, list[str]] = {}
    for start, ends in edges.items():
        for end in ends:
            turned.setdefault(end, []).append(start)
    return turned


def _reached(starts: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """The nodes of a graph that edges lead to from the starts, and the starts themselves."""
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += edges.get(node, [])
    return reached
