"""What a stage started from: the parameters, code and inputs that dvc.yaml lists for it, as they were when it began.

DVC hashes what a stage read once the stage has ended. After an edit meanwhile, DVC would record the old result as made of
the new files, say "up to date", and later restore the wrong result from its run-cache. So a stage that DVC runs looks at
everything before it loads any code, and again before it puts an output in place. After an edit it puts the output aside, and
takes it up as it stands once the edit is taken back.

:mod:`gaitpress.command_line` and :mod:`gaitpress.putting_aside` do this for all stages. A stage that runs by hand is no
concern of DVC's.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workflow.dvc.links import refuse_folders_elsewhere
from workflow.dvc.stages import PipelineError, Stage, read_yaml

# The digest of what the process that starts a stage saw: the stage must see the same.
EXPECTED = "GAITPRESS_STARTED_FROM"
SMALL = 1 << 20  # bytes; a larger file is known by its size, time and inode, and read only where that does not suffice
ABSENT = object()
# The folders of files that name code, or a training set, by its content, and the stage that makes each.
CODE = {"data/code": "partition", "data/protocol": "partition", "data/needs": "needs", "data/runtime": "runtime"}


class Edited(Exception):
    """A parameter, module or input changed under a stage; the message names it and says what to type.

    Attributes:
        kept: whether the stage put its output aside whole.
    """

    kept = False


@dataclass(frozen=True)
class Listed:
    """What DVC hashes for a stage.

    Attributes:
        address: the stage, as `dvc repro` takes it.
        files: files and folders.
        keys: parameters by file; dots stand between the keys of sections.
    """

    address: str
    files: Sequence[str]
    keys: Mapping[str, Sequence[str]]


class State:
    """The content of everything that is listed for a stage, at one moment."""

    def __init__(self, listed: Listed) -> None:
        """Look at it all; it reads small files, so that it sees an edit within the same tick of the clock too."""
        self._listed = listed
        self._texts = {file: _read(Path(file)) for file in listed.keys}
        ignored = _ignored()
        self._files = {
            path: seen
            for name in [*listed.files, *_named(listed.files)]
            for path, seen in sorted(_seen(Path(name), ignored))
            if path not in listed.keys
        }

    @cached_property
    def values(self) -> dict[str, Any]:
        """The value of each parameter, by "file: key"; a file that cannot be read is one value."""
        values = {}
        for file, keys in self._listed.keys.items():
            try:
                content = YAML(typ="safe").load((self._texts[file] or b"").decode())
            except (YAMLError, UnicodeError):
                values[file] = "cannot be read"
                continue
            values |= {f"{file}: {key}": _value(content, key) for key in keys}
        return values

    def digest(self) -> str:
        """A hash of all of it, which stays the same for as long as no file is moved or touched."""
        return _digest([self._listed.address, _plain(self.values), self._files])

    @cached_property
    def content(self) -> str:
        """A hash of the contents of all of it. It reads the large files, which must not have changed since this state."""
        files = {path: seen if isinstance(seen, str) else _sha256(Path(path)) for path, seen in self._files.items()}
        return _digest([self._listed.address, _plain(self.values), files])

    def forgotten(self, now: State) -> bool:
        """Whether a file that was too large to read for this state has changed since."""
        return any(not isinstance(seen, str) and now._files.get(path) != seen for path, seen in self._files.items())

    def edits(self, now: State) -> list[str]:
        """The differences to another state, in words."""
        edits = []
        if now._texts != self._texts:
            for key in {**self.values, **now.values}:
                edits += _differences(key, self.values.get(key, ABSENT), now.values.get(key, ABSENT))
        for path in sorted({*self._files, *now._files}):
            if self._files.get(path) != now._files.get(path):
                gone, new = path not in now._files, path not in self._files
                edits.append(f"{path} (removed)" if gone else f"{path} (added)" if new else path)
        return edits


class Started:
    """A stage that DVC runs, and the state that it started from.

    Attributes:
        address: as `dvc repro` takes it.
        outs: its outputs.
        keeps: whether a finished output may be taken up later. An output that is made of no input, or is not for DVC's
            cache, depends on what DVC does not see: the user's files, a device, a server.
        placed: the outputs that this process has put in place.
        last_look: the last call of a process that has done its work; returns the exit status.
    """

    def __init__(self, listed: Listed, outs: Sequence[str], cached: bool) -> None:
        self.address = listed.address
        self.outs = outs
        self.keeps = cached and not all(_is_code(Path(file)) for file in listed.files)
        self.placed: list[Path] = []
        self.last_look: Callable[[], int] | None = None
        self._listed = listed
        self._state = State(listed)
        self._as_expected = os.environ.get(EXPECTED) in (None, self._state.digest())
        os.environ[EXPECTED] = self._state.digest()  # for further processes of this stage

    def check(self) -> None:
        """Make sure early that the stage need not run in vain.

        Raises:
            Edited: something has changed.
        """
        edits = "; ".join(self._state.edits(State(self._listed)))
        if not edits and not self._as_expected:
            edits = "a parameter, module or input"
        if edits:
            raise Edited(f"{edits}: edited as {self.address} began; nothing was made yet. Run the same again")

    def confirm(self) -> None:
        """Make sure that DVC may still record the result.

        Raises:
            Edited: something has changed.
        """
        if edits := self._state.edits(State(self._listed)):
            raise Edited(f"{'; '.join(edits)}: edited while {self.address} ran, so its result is not recorded")

    def declares(self, path: Path) -> bool:
        """Whether a path is an output."""
        return os.path.normpath(path) in self.outs

    def content(self) -> str | None:
        """A hash of the contents of all that the stage started from.

        Returns:
            None if a large input has changed since, so that its content at the start is lost.
        """
        if self._state.forgotten(State(self._listed)):
            return None
        return self._state.content


def aside(output: Path, content: str) -> Path:
    """Where an output that was made from this content is put aside."""
    return output.with_name(f".{output.name}.{content[:12]}.finished")


def asides(output: Path) -> Iterator[Path]:
    """The paths of all results that are put aside for an output."""
    return output.parent.glob(f".{output.name}.*.finished")


this: Started | None = None  # the stage that DVC runs this process for


def end() -> None:
    """End the process, if it has done its work, after everything else that runs at its end.

    DVC hashes what the stage read as soon as it is gone, and Python with a framework loaded may take seconds to go.
    """
    if this is not None and this.last_look is not None:
        status = this.last_look()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def begin() -> Started | None:
    """The stage that DVC runs this process for; None if DVC does not run it.

    Raises:
        PipelineError: dvc.yaml and params.yaml do not fit each other, or an output would be where DVC records nothing.
        YAMLError: one of them cannot be read.
        Edited: code that a dependency names is no longer what it names.
    """
    address = os.environ.get("DVC_STAGE")
    # A process that multiprocessing starts belongs to a process that looks itself.
    if address is None or "--multiprocessing-fork" in sys.orig_argv or not Path("dvc.yaml").is_file():
        return None
    name = address.rpartition(":")[2].partition("@")[0]
    specs = read_yaml("dvc.yaml")["stages"]
    if name not in specs:
        raise PipelineError(f"dvc.yaml: has no stage {name}")
    stage = Stage.read(name, specs[name], read_yaml("params.yaml"))
    item = _item(stage, address, sys.argv)
    keys: dict[str, list[str]] = {}
    for file, key in stage.params:
        keys.setdefault(file, []).append(key.format(**item))
    deps = [dep.format(**item) for dep in stage.deps]
    for dep in deps:
        named = _named([dep])
        if edits := [file for file, digest in named.items() if not Path(file).is_file() or _sha256(Path(file)) != digest]:
            maker, item_name = CODE[os.path.dirname(dep)], os.path.basename(dep).removesuffix(".json")
            raise Edited(f"{'; '.join(edits)}: edited since {dep} was made; run `dvc repro {maker}@{item_name}`")
    outs = [os.path.normpath(out.format(**item)) for out in stage.outs]
    refuse_folders_elsewhere(outs)
    return Started(Listed(address, deps, keys), outs, stage.cached)


def _named(deps: Sequence[str]) -> dict[str, str]:
    """The sha256 of each code file that dependencies name by its content; see :mod:`gaitpress.naming`."""
    named: dict[str, str] = {}
    for dep in deps:
        if os.path.dirname(dep) in CODE:
            named |= json.loads(_read(Path(dep)) or b"{}")
    return named


def _item(stage: Stage, address: str, argv: Sequence[str]) -> Mapping[str, Any]:
    """The item of a stage's matrix, from the command line first: params.yaml may have lost it since DVC read it."""
    options = dict(pairwise(argv))
    if all(f"--{axis}" in options for axis in stage.axes):
        return {axis: options[f"--{axis}"] for axis in stage.axes}
    for item in stage.items():
        if stage.address(item) == address.rpartition(":")[2]:
            return item
    raise PipelineError(f"params.yaml: nothing in it makes {address} any more")


def _is_code(path: Path) -> bool:
    return path.suffix == ".py" or any(path.glob("*.py"))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _ignored() -> list[str]:
    """The name patterns that DVC ignores."""
    lines = (_read(Path(".dvcignore")) or b"").decode().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _seen(top: Path, ignored: Sequence[str]) -> Iterator[tuple[str, str | tuple[int, ...]]]:
    """The path of a file, or of each file of a folder, and its sha256; for a large file its size, time and inode."""
    for folder, names, files in os.walk(top) if top.is_dir() else [(str(top.parent), [], [top.name])]:
        names[:] = [name for name in names if not any(fnmatch(name, pattern) for pattern in ignored)]
        for name in files:
            if any(fnmatch(name, pattern) for pattern in ignored):
                continue
            path = Path(folder, name)
            try:
                status = path.stat()
                large = status.st_size > SMALL
                yield str(path), (status.st_size, status.st_mtime_ns, status.st_ino) if large else _sha256(path)
            except FileNotFoundError:
                continue


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _value(content: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        if not isinstance(content, dict) or key not in content:
            return ABSENT
        content = content[key]
    return content


def _differences(key: str, before: Any, now: Any) -> list[str]:
    """The innermost keys whose values differ, with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = {**before, **now}
        return [
            difference
            for name in names
            for difference in _differences(f"{key}.{name}", before.get(name, ABSENT), now.get(name, ABSENT))
        ]
    if before == now:
        return []
    was, new = ("nothing" if value is ABSENT else json.dumps(_plain(value)) for value in (before, now))
    return [f"{key} ({was} at its start, {new} now)"]


def _plain(value: Any) -> Any:
    """A value in JSON's types."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return None if value is ABSENT else value if isinstance(value, str | int | float | bool | None) else str(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
