"""What DVC reads several times for every stage, read once in a process that asks for many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from dvc import output
from dvc.dependency import param
from dvc.fs import localfs
from dvc.output import Output
from dvc.utils import strictyaml
from dvc.utils.serialize import LOADERS

from workflow import lock_file


@contextmanager
def params() -> Iterator[None]:
    """Let DVC parse params.yaml once.

    A stage reads its parameters when it starts. Were they edited while it runs, DVC would note the new ones as its own.
    """
    load, parsed = LOADERS[".yaml"], {}

    def remembered(path: Any, fs: Any = None, **options: Any) -> Any:
        if str(path) not in parsed:
            parsed[str(path)] = load(path, fs=fs, **options)
        return deepcopy(parsed[str(path)])

    LOADERS[".yaml"] = remembered
    try:
        yield
    finally:
        LOADERS[".yaml"] = load


@contextmanager
def files() -> Iterator[Callable[[Iterable[Output]], None]]:
    """Let DVC parse params.yaml once, pick a parameter once, and look for a file, what dvc.lock has of it and its hash once.

    A hundred stages have the same modules for dependencies, and those of one name the same parameters, for each of which DVC
    walks through all of params.yaml.

    Yields:
        What is to be called with outputs that have changed since.
    """
    pick, parse = param.read_param_file, strictyaml.parse_yaml
    place_of, hash_of = output.get_cloud_fs, Output._get_hash_meta
    picked: dict[Any, Any] = {}
    places: dict[Any, Any] = {}
    hashed: dict[Any, Any] = {}

    def picked_once(fs: Any, path: str, keys: list[str] | None = None, flatten: bool = False) -> Any:
        if not (keys and flatten):
            return pick(fs, path, keys, flatten=flatten)
        for key in keys:
            if (path, key) not in picked:
                picked[path, key] = pick(fs, path, [key], flatten=True)
        return deepcopy({name: value for key in keys for name, value in picked[path, key].items()})

    def parsed_once(text: str, path: str, typ: str = "safe") -> Any:
        return parse(lock_file.with_aliases(text) if typ == "safe" else text, path, typ)

    def placed_once(config: Any, **asked: Any) -> Any:
        key = tuple(asked.items())
        if key not in places:
            places[key] = place_of(config, **asked)
        kind, options, path = places[key]
        return kind, dict(options), path

    def hashed_once(self: Output) -> Any:
        asked = self.fs_path, self.fs.protocol, self.hash_name, self.use_cache
        if asked not in hashed:
            hashed[asked] = hash_of(self)
        return hashed[asked]

    def forget(changed: Iterable[Output]) -> None:
        paths = [out.fs_path for out in changed]
        for asked in [asked for asked in hashed if any(localfs.overlaps(asked[0], path) for path in paths)]:
            del hashed[asked]

    param.read_param_file, strictyaml.parse_yaml = picked_once, parsed_once
    output.get_cloud_fs, Output._get_hash_meta = placed_once, hashed_once
    try:
        with params():
            yield forget
    finally:
        param.read_param_file, strictyaml.parse_yaml = pick, parse
        output.get_cloud_fs, Output._get_hash_meta = place_of, hash_of
