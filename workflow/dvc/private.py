"""Ask DVC in this process. This file alone uses names that DVC documents nowhere.

Importing it tries these names. With a DVC that lacks one, or whose functions take other parameters, the import raises an
ImportError, and :mod:`workflow.dvc.way` asks the dvc command. They were tried with DVC 3.67.1.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from copy import deepcopy
from pathlib import Path, PurePath
from typing import Any, Generic, TypeVar

from dvc import output, rwlock
from dvc.dependency import ParamsDependency, param
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException, ReproductionError
from dvc.fs import FileSystem
from dvc.lock import LockError, make_lock
from dvc.output import Output
from dvc.repo import Repo, lock_repo
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK
from dvc.stage import PipelineStage
from dvc.stage import cache as stage_cache
from dvc.stage.serialize import to_lockfile
from dvc.utils import serialize, strictyaml
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree

from gaitpress import started
from workflow.dvc import lock_file, rwlock_file
from workflow.dvc.way import Fate, Foreseen

T = TypeVar("T")
Key = tuple[str, ...]  # the path of a file or folder, its file system and the kind of its hash

# The functions that this file calls, itself or through another one, or replaces, and their parameters.
FUNCTIONS = {
    "dvc.dependency.param:read_param_file": "fs path key_paths flatten load_kwargs",
    "dvc.dependency.param:ParamsDependency.get_hash": "self",
    "dvc.dependency.param:ParamsDependency.status": "self",
    "dvc.dvcfile:load_file": "repo path kwargs",
    "dvc.lock:make_lock": "lockfile tmp_dir friendly hardlink_lock wait",
    "dvc.output:get_cloud_fs": "repo_config kwargs",
    "dvc.output:Output._build": "self args no_progress_bar kwargs",
    "dvc.output:Output._get_hash_meta": "self",
    "dvc.output:Output.get_hash": "self",
    "dvc.output:Output.get_obj": "self filter_info kwargs",
    "dvc.repo:Repo": (
        "root_dir fs rev subrepos uninitialized config url repo_factory scm remote remote_config _wait_for_lock"
    ),
    "dvc.repo:Repo.reproduce": "self targets recursive pipeline all_pipelines downstream single_item glob on_error kwargs",
    "dvc.repo:lock_repo": "repo",
    "dvc.repo.reproduce:_reproduce": "stages graph force_downstream on_error force repro_fn kwargs",
    "dvc.rwlock:_check_blockers": "tmp_dir lock info mode waiters",
    "dvc.rwlock:_edit_rwlock": "lock_dir fs hardlink",
    "dvc.rwlock:rwlock": "tmp_dir fs cmd read write hardlink",
    "dvc.stage:PipelineStage.changed_deps": "self allow_missing upstream",
    "dvc.stage:PipelineStage.changed_outs": "self allow_missing",
    "dvc.stage:PipelineStage.changed_stage": "self",
    "dvc.stage:PipelineStage.dump": "self kwargs",
    "dvc.stage:PipelineStage.outs_cached": "self",
    "dvc.stage:PipelineStage.remove_outs": "self ignore_remove force",
    "dvc.stage:PipelineStage.reproduce": "self interactive kwargs",
    "dvc.stage:PipelineStage.save_deps": "self allow_missing",
    "dvc.stage:PipelineStage.save_outs": "self allow_missing",
    "dvc.stage:PipelineStage.status": "self check_updates filter_info",
    "dvc.stage.cache:StageCache._create_stage": "self cache wdir",
    "dvc.stage.cache:StageCache._load": "self stage",
    "dvc.stage.cache:StageCache.restore": "self stage run_cache pull dry",
    "dvc.stage.cache:_can_hash": "stage",
    "dvc.stage.run:cmd_run": "stage dry run_env",
    "dvc.stage.serialize:to_lockfile": "stage kwargs",
    "dvc.utils.serialize:dumps_yaml": "d",
    "dvc.utils.serialize:load_yaml": "path fs kwargs",
    "dvc.utils.serialize:loads_yaml": "s typ",
    "dvc.utils.strictyaml:parse_yaml": "text path typ",
    "dvc_data.hashfile.build:build": "odb path fs name upload dry_run ignore callback checksum_jobs kwargs",
    "dvc_data.hashfile.tree:Tree.add": "self key meta oid",
    "dvc_data.hashfile.tree:Tree.digest": "self with_meta name",
}
# The attributes of modules and objects.
ATTRIBUTES = {
    "dvc.dvcfile:ProjectFile": "lockfile_contents path stages",
    "dvc.fs:localfs": "exists join open protocol relparts",
    "dvc.repo.scm_context:SCMContext": "track_file",
    "dvc.output:Output": "def_path dvcignore fs fs_path hash_info hash_name local_cache meta",
    "dvc.dependency.param:ParamsDependency": "params",
    "dvc.repo:Repo": "config fs index scm_context stage_cache tmp_dir",
    "dvc.stage:PipelineStage": (
        "addressing always_changed cmd_changed deps dvcfile frozen is_callback outs params path_in_repo repo wdir"
    ),
    "dvc.stage.cache:StageCache": "cache_dir",
    "dvc.utils.serialize": "LOADERS",
}


def try_names() -> None:
    """Raise an ImportError unless DVC has all names and its functions take the parameters listed above."""
    for name, parameters in FUNCTIONS.items():
        member = _resolved(name)
        if list(inspect.signature(member).parameters) != parameters.split():
            raise ImportError(f"{name} takes {inspect.signature(member)}", name="dvc")
    for owner, names in ATTRIBUTES.items():
        member = _resolved(owner)
        for name in names.split():
            if not _has(member, name):
                raise ImportError(f"{owner} has no {name}", name="dvc")


def _resolved(name: str) -> Any:
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"{name} is not there", name="dvc") from error


def _has(owner: Any, name: str) -> bool:
    """Whether a module or class has a name, or a class gives it to its objects in ``__init__``."""
    makers = [vars(base)["__init__"] for base in getattr(owner, "__mro__", ()) if "__init__" in vars(base)]
    return hasattr(owner, name) or any(name in make.__code__.co_names for make in makers if hasattr(make, "__code__"))


try_names()

Failure, Busy = DvcException, LockError
OURS = "dvc.yaml"
log = logging.getLogger("dvc")  # its handlers print messages as dvc does: errors as a chain of causes, in one line


# The questions of workflow.dvc.way.


def changed() -> Collection[str]:
    """The addresses of all stages that are out of date."""
    with opened() as repo, lock_repo(repo), files_read_once(), only_looked_at(repo):
        return [stage.addressing for stage in repo.index.stages if _out_of_date(stage)]


def _out_of_date(stage: PipelineStage) -> bool:
    try:
        return bool(stage.status(check_updates=True))
    except LockError:
        return True  # another process is making its outputs or its inputs


def changed_after_restoring(wanted: Iterable[str]) -> Collection[str]:
    """Restore the wanted stages that DVC knows, and return the addresses of the stages that are still out of date.

    DVC knows nothing of a stage that follows from an outdated one before that one ran, so it is among them.
    """
    with opened() as repo, lock_repo(repo), files_read_once() as hashes:
        _mend_run_cache(repo)
        repo.index  # noqa: B018  DVC reads the index when it is first used
        restoration = Restoration(set(wanted), hashes)
        try:
            _call_in_running_order(repo, restoration)
        finally:
            _record(restoration.restored)
    return sorted(restoration.changed)


def run(address: str) -> None:
    """Run a stage, or restore its outputs from the run-cache, or find that there is nothing to do."""
    with opened() as repo, lock_repo(repo), repo.scm_context():
        _mend_run_cache(repo)
        with params_read_once():
            stage = _loaded(repo, address)
        state = started.State(_listed(stage))  # before DVC looks: what the stage finds unchanged, DVC saw too
        _save_deps_once(stage)
        try:
            with params_read_once():
                was_changed = stage.reproduce(run_env={started.EXPECTED: state.digest()})
        except LockError:
            raise
        except DvcException as error:
            raise ReproductionError(f"failed to reproduce '{address}'") from error
        if was_changed:
            _record([stage])


def foreseen() -> Iterator[Foreseen]:
    """Yield what a run of everything would do with each stage, in running order."""
    with opened() as repo, lock_repo(repo), files_read_once() as hashes, only_looked_at(repo):
        foresight = Foresight(hashes)
        _call_in_running_order(repo, foresight)
    yield from foresight.foreseen


def _call_in_running_order(repo: Repo, function: Callable[..., None]) -> None:
    """Let DVC call a function for each stage of dvc.yaml, in place of running it."""

    def of_ours(stage: PipelineStage, **facts: Any) -> None:
        if stage.path_in_repo == OURS:
            function(stage, **facts)

    # With dvc.yaml as its target DVC would load all stages a second time, which takes as long as all the rest.
    repo.reproduce(all_pipelines=True, repro_fn=of_ours)


def tell(failure: Exception) -> None:
    """Print a failure in DVC's words."""
    log.error("", exc_info=failure)


# The repository, and its list of the processes that read and write files: workflow/dvc/rwlock_file.py.


@contextmanager
def opened() -> Iterator[Repo]:
    """Open this repository; wait for other processes that use it."""
    with Repo(_wait_for_lock=True) as repo, _list_replaced_at_once():
        mend_list(repo)
        yield repo


@contextmanager
def _list_replaced_at_once() -> Iterator[None]:
    """Let DVC, in this process, replace the list by a complete one: the file stays readable however the process ends."""
    edit = rwlock._edit_rwlock

    def edit_whole(folder: str, fs: FileSystem, hardlinks: bool) -> AbstractContextManager[Any]:
        return edit(folder, rwlock_file.WholeFiles(fs), hardlinks)

    rwlock._edit_rwlock = edit_whole
    try:
        yield
    finally:
        rwlock._edit_rwlock = edit


@contextmanager
def only_looked_at(repo: Repo) -> Iterator[None]:
    """Let DVC, in this process, see who writes the files that it reads, without listing itself as their reader.

    So it need not rewrite the list twice a stage. The repository must be locked until the end: other processes wait for
    that lock before they write and after they have written.
    """
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    with rwlock._edit_rwlock(repo.tmp_dir, repo.fs, hardlinks) as listed:
        writers = {"write": dict(listed["write"])}
    declare = rwlock.rwlock

    @contextmanager
    def look_at(
        folder: str, _fs: FileSystem, command: str, read: list[str], write: list[str], _hardlinks: bool
    ) -> Iterator[None]:
        reader = {"pid": os.getpid(), "cmd": command}
        rwlock._check_blockers(folder, writers, reader, mode="write", waiters=read + write)
        yield

    rwlock.rwlock = look_at
    try:
        yield
    finally:
        rwlock.rwlock = declare


def mend_list(repo: Repo) -> None:
    """Drop the entries that no running process can have written from the list."""
    path = Path(repo.tmp_dir or "", RWLOCK_FILE)
    if rwlock_file.mended(path) is None:
        return
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    with make_lock(str(path.with_name(RWLOCK_LOCK)), tmp_dir=repo.tmp_dir, hardlink_lock=hardlinks):
        mended = rwlock_file.mended(path)  # again, now that no other process is writing it
        if mended is not None:
            with rwlock_file.WholeFiles(repo.fs).open(str(path), "w", encoding="utf-8") as file:
                json.dump(mended, file)


def _mend_run_cache(repo: Repo) -> None:
    """Remove the empty folders that a full disk leaves: DVC fails on a run's folder without an entry.

    The repository must be locked: DVC makes a folder and its entry under that lock.
    """
    for folder in Path(repo.stage_cache.cache_dir).glob("*/*"):
        with suppress(OSError):  # folders that hold an entry stay
            folder.rmdir()


# DVC reads some files several times for every stage. A process that asks for many stages reads them once.


@contextmanager
def params_read_once() -> Iterator[None]:
    """Let DVC parse params.yaml once."""
    load, parsed = serialize.LOADERS[".yaml"], {}

    def load_once(path: Any, fs: Any = None, **options: Any) -> Any:
        if str(path) not in parsed:
            parsed[str(path)] = load(path, fs=fs, **options)
        return deepcopy(parsed[str(path)])

    serialize.LOADERS[".yaml"] = load_once
    try:
        yield
    finally:
        serialize.LOADERS[".yaml"] = load


class Places(Generic[T]):
    """Things by the paths that they belong to.

    A study has thousands of outputs. Who looked through all of them for each would take hours.
    """

    def __init__(self) -> None:
        self._at: dict[str, dict[T, None]] = {}
        self._within: dict[str, dict[T, None]] = {}

    def add(self, path: str, thing: T) -> None:
        self._at.setdefault(path, {})[thing] = None
        for folder in _with_parents(path):
            self._within.setdefault(folder, {})[thing] = None

    def within(self, path: str) -> list[T]:
        """What belongs to a path or to one in it, in the order in which it was added."""
        return list(self._within.get(path, ()))

    def around(self, path: str) -> list[T]:
        """What belongs to a path or to a folder around it."""
        return [thing for folder in _with_parents(path) for thing in self._at.get(folder, ())]


def _with_parents(path: str) -> list[str]:
    return [path, *map(str, PurePath(path).parents)]


class Hashes:
    """Hashes of files, as DVC computed them when it first asked."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[Meta, HashInfo]] = {}
        self._places: Places[Key] = Places()

    def of(self, file: Output, compute: Callable[[Output], tuple[Meta, HashInfo]]) -> tuple[Meta, HashInfo]:
        """The hash of a file or folder, computed if it is not known yet."""
        known = self._known.get(_key(file))
        return known if known is not None else self._keep(file, compute(file))

    def forget(self, changed: Iterable[Output]) -> None:
        """Forget the hashes of these files and folders, of all in them and of the folders around them."""
        for out in changed:
            for key in (*self._places.within(out.fs_path), *self._places.around(out.fs_path)):
                self._known.pop(key, None)

    def expect(self, file: Output, hash_info: HashInfo) -> None:
        """Take ``hash_info`` for the hash of a file or folder, whatever is on the disk."""
        self._keep(file, (Meta(), hash_info))

    def _keep(self, file: Output, known: tuple[Meta, HashInfo]) -> tuple[Meta, HashInfo]:
        self._places.add(file.fs_path, _key(file))
        self._known[_key(file)] = known
        return known


def _key(file: Output) -> Key:
    return file.fs_path, file.fs.protocol, file.hash_name


@contextmanager
def files_read_once() -> Iterator[Hashes]:
    """Let DVC parse params.yaml once, pick each parameter once, and look up each file, its place and its hash once.

    A hundred stages depend on the same modules, and all items of a stage on the same parameters. For each parameter DVC
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

    def placed_once(config: Any, **remote_options: Any) -> Any:
        key = tuple(remote_options.items())
        if key not in places:
            places[key] = place_of(config, **remote_options)
        kind, options, path = places[key]
        return kind, dict(options), path

    param.read_param_file, strictyaml.parse_yaml = picked_once, parsed_once
    output.get_cloud_fs, Output._get_hash_meta = placed_once, lambda self: hashes.of(self, hash_of)
    try:
        with params_read_once():
            yield hashes
    finally:
        param.read_param_file, strictyaml.parse_yaml = pick, parse
        output.get_cloud_fs, Output._get_hash_meta = place_of, hash_of


# Restoring.


class Restoration:
    """What DVC's ``reproduce`` calls for each stage in place of running it.

    Attributes:
        restored: the stages that were out of date and no longer are.
        changed: addresses of the stages that are still out of date.
    """

    def __init__(self, wanted: Collection[str], hashes: Hashes) -> None:
        self.restored: list[PipelineStage] = []
        self.changed: set[str] = set()
        self._wanted = wanted
        self._hashes = hashes

    def __call__(self, stage: PipelineStage, upstream: Sequence[PipelineStage] = (), **_: Any) -> None:
        """Restore a stage if it is wanted and DVC knows its outputs."""
        if any(read.addressing in self.changed for read in upstream):
            self.changed.add(stage.addressing)
            return
        try:
            inputs_changed = stage.changed_deps()
            if not (inputs_changed or stage.changed_stage() or stage.changed_outs()):
                return
            if stage.addressing in self._wanted:
                try:
                    _restore(stage, inputs_changed)
                finally:
                    self._hashes.forget(stage.outs)
                self.restored.append(stage)
                return
        except DvcException:
            pass  # the stage's own job reports the error
        self.changed.add(stage.addressing)


def _restore(stage: PipelineStage, inputs_changed: bool) -> None:
    """Restore a stage's outputs as DVC's ``stage.run`` does; touch nothing unless DVC knows them.

    Raises:
        DvcException: DVC does not know them.
    """
    run_cache = stage.repo.stage_cache
    if inputs_changed:
        stage.save_deps()
        # The outputs in dvc.lock belong to other inputs: DVC must look into its run-cache, as it does for a new command.
        stage.cmd_changed = True
    run_cache.restore(stage, dry=True)
    stage.remove_outs()
    run_cache.restore(stage)
    stage.save_outs()


def _record(stages: Sequence[PipelineStage]) -> None:
    """Write the entries of stages of one dvc.yaml into its dvc.lock, as DVC's ``stage.dump(update_pipeline=False)`` does."""
    if not stages:
        return
    path = Path(stages[0].dvcfile.path).with_suffix(".lock")
    entries = [serialize.dumps_yaml({"stages": to_lockfile(stage)}) for stage in stages]
    written = lock_file.record(path, entries)
    if written is None:
        for stage in stages:
            stage.dump(update_pipeline=False)
    elif written:
        log.info("Updating lock file '%s'", os.path.relpath(path))
        stages[0].repo.scm_context.track_file(os.path.relpath(path))


# Running.


def _loaded(repo: Repo, address: str) -> PipelineStage:
    """A stage, with its own entry as the whole of dvc.lock."""
    declared = load_file(repo, OURS)
    path = Path(declared.path).with_suffix(".lock")
    key = serialize.dumps_yaml({"stages": {address: None}}).split("\n")[1]
    entry = lock_file.entry_of(path.read_text(encoding="utf-8"), key) if path.exists() else None
    if entry is not None:
        # DVC would read the whole file here; it keeps this content for as long as the object lives.
        declared.lockfile_contents = serialize.loads_yaml(entry)
    return declared.stages[address]


def _listed(stage: PipelineStage) -> started.Listed:
    """The files and parameters that DVC hashes for a stage."""
    keys = {dep.def_path: dep.params for dep in stage.params}
    files = [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    return started.Listed(stage.addressing, files, keys)


def _save_deps_once(stage: PipelineStage) -> None:
    """Let DVC record the stage's inputs only the first time that it looks, which is before it runs the command."""
    save = stage.save_deps
    saved: list[bool] = []

    def save_once(allow_missing: bool = False) -> None:
        if not saved:
            save(allow_missing=allow_missing)
            saved.append(True)

    stage.save_deps = save_once


# Foreseeing.


class Foresight:
    """What DVC's ``reproduce`` calls for each stage in place of running it: it notes what a run would do with the stage."""

    def __init__(self, hashes: Hashes) -> None:
        self.foreseen: list[Foreseen] = []
        self._running: set[str] = set()
        self._hashes = hashes
        self._restorable: Places[Output] = Places()  # the outputs that DVC would restore

    def __call__(self, stage: PipelineStage, upstream: Sequence[PipelineStage] = (), **_: Any) -> None:
        after = tuple(read.addressing for read in upstream)
        fate = Fate.RUNS if self._running.intersection(after) else self._fate(stage)
        if fate is Fate.RUNS:
            self._running.add(stage.addressing)
        self.foreseen.append(Foreseen(stage.addressing, after, fate))

    def _fate(self, stage: PipelineStage) -> Fate:
        try:
            outs = self._without_running(stage)
        except (DvcException, OSError):
            outs = None  # an input is missing, or another process is making it
        if outs is None:
            return Fate.RUNS
        for out in outs:
            self._restorable.add(out.fs_path, out)
        return Fate.RETURNS if outs else Fate.STAYS

    def _without_running(self, stage: PipelineStage) -> list[Output] | None:
        """The outputs that DVC would restore, an empty list if all are up to date; None if the stage would run.

        Raises:
            DvcException, OSError: DVC could not tell.
        """
        if stage.is_callback or stage.always_changed:
            return None
        for dep in stage.deps:
            self._expect(dep)
        if stage.changed_stage() or (not stage.frozen and any(map(_differs, stage.deps))):
            return _results_of_another_run(stage)
        if not stage.changed_outs():
            return []
        return list(stage.outs) if stage.outs_cached() else None

    def _expect(self, dep: Output) -> None:
        """Let a dependency have the content that it will have once DVC has restored its part of it."""
        paths = {tuple(dep.fs.relparts(out.fs_path, dep.fs_path)): out for out in self._restorable.within(dep.fs_path)}
        if (".",) in paths:
            self._hashes.expect(dep, next(iter(paths.values())).hash_info)
        elif paths:
            self._hashes.expect(dep, _with(dep, paths).hash_info)


def _differs(dep: Output) -> bool:
    if isinstance(dep, ParamsDependency):
        return bool(dep.status())
    return bool(dep.hash_info != dep.get_hash())


def _with(folder: Output, outs: Mapping[tuple[str, ...], Output]) -> Tree:
    """The content of a folder with some outputs in it replaced.

    Args:
        folder: a dependency.
        outs: the outputs by their paths in it.
    """
    tree = Tree()
    if folder.fs.exists(folder.fs_path):
        _, _, content = folder._build(
            folder.local_cache, folder.fs_path, folder.fs, folder.hash_name, ignore=folder.dvcignore, dry_run=True
        )
        for key, meta, hash_info in content:
            if not any(key[: len(replaced)] == replaced for replaced in outs):
                tree.add(key, meta, hash_info)
    for key, out in outs.items():
        output_content = out.get_obj()
        if isinstance(output_content, Tree):
            for inner, meta, hash_info in output_content:
                tree.add((*key, *inner), meta, hash_info)
        else:
            tree.add(key, out.meta, out.hash_info)
    tree.digest()
    return tree


def _results_of_another_run(stage: PipelineStage) -> list[Output] | None:
    """The outputs that DVC's run-cache has for a stage; None if there are none."""
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            dep.hash_info = dep.get_hash()
        else:
            dep.meta, dep.hash_info = dep._get_hash_meta()  # the old meta holds the old hash as well
    run_cache = stage.repo.stage_cache
    entry = run_cache._load(stage) if stage_cache._can_hash(stage) else None
    if entry is None:
        return None
    restored = run_cache._create_stage(entry, wdir=stage.wdir)
    return list(restored.outs) if restored.outs_cached() else None
