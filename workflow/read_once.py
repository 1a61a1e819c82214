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
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta

from workflow import lock_file


@contextmanager
def params() -> Iterator[None]:
    """Let DVC parse params.yaml once."""
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


class Hashes:
    """Hashes of files, as DVC computed them when it first asked."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[Meta, HashInfo]] = {}

    def of(self, file: Output, compute: Callable[[Output], tuple[Meta, HashInfo]]) -> tuple[Meta, HashInfo]:
        """What is known of a file, or of a folder."""
        key = file.fs_path, file.fs.protocol, file.hash_name
        if key not in self._known:
            self._known[key] = compute(file)
        return self._known[key]

    def forget(self, changed: Iterable[Output]) -> None:
        """Ask DVC anew for these, for what is in them and for what they are in."""
        paths = [out.fs_path for out in changed]
        for key in [key for key in self._known if any(localfs.overlaps(key[0], path) for path in paths)]:
            del self._known[key]

    def expect(self, file: Output, hash_info: HashInfo) -> None:
        """Take it that a file or folder has a hash, whatever is on the disk."""
        self._known[file.fs_path, file.fs.protocol, file.hash_name] = Meta(), hash_info


@contextmanager
def files() -> Iterator[Hashes]:
    """Let DVC parse params.yaml once, pick a parameter once, and look for a file, what dvc.lock has of it and its hash once.

    A hundred stages have the same modules for dependencies, and those of one name the same parameters, for each of which DVC
    walks through all of params.yaml.
    """
    pick, parse = param.read_param_file, strictyaml.parse_yaml
    place_of, hash_of = output.get_cloud_fs, Output._get_hash_meta
    picked: dict[Any, Any] = {}
    places: dict[Any, Any] = {}
    hashes = Hashes()

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

    param.read_param_file, strictyaml.parse_yaml = picked_once, parsed_once
    output.get_cloud_fs, Output._get_hash_meta = placed_once, lambda self: hashes.of(self, hash_of)
    try:
        with params():
            yield hashes
    finally:
        param.read_param_file, strictyaml.parse_yaml = pick, parse
        output.get_cloud_fs, Output._get_hash_meta = place_of, hash_of
