"""DVC asked in this process, by names of its own that it documents nowhere: all of these that are used stand in this file.

Importing it tries them. With a DVC that lacks one, or whose functions take other parameters, that is an ImportError, and
:mod:`workflow.dvc.way` asks the dvc command. They were tried with DVC 3.67.1.
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
from pathlib import Path
from typing import Any

from dvc import output, rwlock
from dvc.dependency import ParamsDependency, param
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException, ReproductionError
from dvc.fs import FileSystem, localfs
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

# What is called, be it by way of another, or replaced, and the parameters that it takes.
FUNCTIONS = {
    "dvc.dependency.param:read_param_file": "fs path key_paths flatten load_kwargs",
    "dvc.dependency.param:ParamsDependency.get_hash": "self",
    "dvc.dependency.param:ParamsDependency.status": "self",
    "dvc.dvcfile:load_file": "repo path kwargs",
    "dvc.fs:localfs.overlaps": "left right",
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
# What objects have.
ATTRIBUTES = {
    "dvc.dvcfile:ProjectFile": "lockfile_contents path stages",
    "dvc.fs:localfs": "exists isin_or_eq join open protocol relparts",
    "dvc.repo.scm_context:SCMContext": "track_file",
    "dvc.output:Output": "def_path dvcignore fs fs_path hash_info hash_name local_cache meta",
    "dvc.dependency.param:ParamsDependency": "params",
    "dvc.repo:Repo": "config fs index scm_context stage_cache tmp_dir",
    "dvc.stage:PipelineStage": "addressing always_changed cmd_changed deps dvcfile frozen is_callback outs params repo wdir",
    "dvc.stage.cache:StageCache": "cache_dir",
    "dvc.utils.serialize": "LOADERS",
}


def try_names() -> None:
    """Raise an ImportError unless all names are there and functions take what they are known to take."""
    for name, parameters in FUNCTIONS.items():
        found = _found(name)
        if list(inspect.signature(found).parameters) != parameters.split():
            raise ImportError(f"{name} takes {inspect.signature(found)}", name="dvc")
    for owner, names in ATTRIBUTES.items():
        found = _found(owner)
        for name in names.split():
            if not _has(found, name):
                raise ImportError(f"{owner} has no {name}", name="dvc")


def _found(name: str) -> Any:
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"{name} is not there", name="dvc") from error


def _has(owner: Any, name: str) -> bool:
    """Whether a module or class has a name, or the objects of a class get it when they are made."""
    makers = [vars(each)["__init__"] for each in getattr(owner, "__mro__", ()) if "__init__" in vars(each)]
    return hasattr(owner, name) or any(name in make.__code__.co_names for make in makers if hasattr(make, "__code__"))


try_names()

Failure, Busy = DvcException, LockError
log = logging.getLogger("dvc")  # whose handlers print messages as dvc does: errors as a chain of causes, in one line


# What is asked, as workflow.dvc.way has it.


def changed() -> Collection[str]:
    """The addresses of all stages that are out of date."""
    with opened() as repo, lock_repo(repo), files_read_once(), only_looked_at(repo):
        return [stage.addressing for stage in repo.index.stages if _out_of_date(stage)]


def _out_of_date(stage: PipelineStage) -> bool:
    try:
        return bool(stage.status(check_updates=True))
    except LockError:
        return True  # somebody is making it, or what it reads


def changed_after_restoring(wanted: Iterable[str]) -> Collection[str]:
    """Restore what is known of the stages wanted; the addresses of the stages that are out of date then.

    Of a stage that follows from one of them nothing is known before that one ran, so it is among them.
    """
    with opened() as repo, lock_repo(repo), files_read_once() as hashes:
        _mend_run_cache(repo)
        repo.index  # noqa: B018  which DVC reads when it is first asked for
        found = Restoration(set(wanted), hashes)
        try:
            repo.reproduce(repro_fn=found)  # of all of dvc.yaml, in running order
        finally:
            _record(found.restored)
    return sorted(found.changed)


def run(address: str) -> None:
    """Run a stage, restore what it is known to make, or find that there is nothing to do."""
    with opened() as repo, lock_repo(repo), repo.scm_context():
        _mend_run_cache(repo)
        with params_read_once():
            stage = _loaded(repo, address)
        seen = started.State(_listed(stage))  # before DVC looks: what the stage finds the same, DVC has found too
        _save_deps_once(stage)
        try:
            with params_read_once():
                was_changed = stage.reproduce(run_env={started.EXPECTED: seen.digest()})
        except LockError:
            raise
        except DvcException as error:
            raise ReproductionError(f"failed to reproduce '{address}'") from error
        if was_changed:
            _record([stage])


def foreseen() -> Iterator[Foreseen]:
    """What a run of everything would do with each stage, in running order."""
    with opened() as repo, lock_repo(repo), files_read_once() as hashes:
        walk = Foresight(hashes)
        repo.reproduce(repro_fn=walk)  # of all of dvc.yaml, in running order
    yield from walk.found


def tell(failure: Exception) -> None:
    """Print a failure in DVC's words."""
    log.error("", exc_info=failure)


# The repository, and its list of who reads and writes what: workflow/dvc/rwlock_file.py.


@contextmanager
def opened() -> Iterator[Repo]:
    """This repository; whoever else uses it is waited for."""
    with Repo(_wait_for_lock=True) as repo, _list_replaced_at_once():
        mend_list(repo)
        yield repo


@contextmanager
def _list_replaced_at_once() -> Iterator[None]:
    """Let DVC, in this process, replace the list by a complete one: however the process ends, the file can be read."""
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
    """Let DVC, in this process, see who writes what it reads, and not say that it reads it.

    That spares it to rewrite the list twice a stage. The repository must be locked until the end: whoever wants to write,
    and whoever has written, waits for that.
    """
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    with rwlock._edit_rwlock(repo.tmp_dir, repo.fs, hardlinks) as listed:
        writers = {"write": dict(listed["write"])}
    declare = rwlock.rwlock

    @contextmanager
    def look_at(
        folder: str, _fs: FileSystem, command: str, read: list[str], write: list[str], _hardlinks: bool
    ) -> Iterator[None]:
        own = {"pid": os.getpid(), "cmd": command}
        rwlock._check_blockers(folder, writers, own, mode="write", waiters=read + write)
        yield

    rwlock.rwlock = look_at
    try:
        yield
    finally:
        rwlock.rwlock = declare


def mend_list(repo: Repo) -> None:
    """Drop from the list what no running process can have written."""
    path = Path(repo.tmp_dir or "", RWLOCK_FILE)
    if rwlock_file.mended(path) is None:
        return
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    with make_lock(str(path.with_name(RWLOCK_LOCK)), tmp_dir=repo.tmp_dir, hardlink_lock=hardlinks):
        mended = rwlock_file.mended(path)  # now that nobody is in the middle of writing it
        if mended is not None:
            with rwlock_file.WholeFiles(repo.fs).open(str(path), "w", encoding="utf-8") as file:
                json.dump(mended, file)


def _mend_run_cache(repo: Repo) -> None:
    """Remove empty folders, which a full disk leaves: DVC fails where it finds the folder of a run and no entry in it.

    The repository must be locked: DVC makes a folder and its entry under that lock.
    """
    for folder in Path(repo.stage_cache.cache_dir).glob("*/*"):
        with suppress(OSError):  # those that hold an entry stay
            folder.rmdir()


# What DVC reads several times for every stage, read once in a process that asks for many.


@contextmanager
def params_read_once() -> Iterator[None]:
    """Let DVC parse params.yaml once."""
    load, parsed = serialize.LOADERS[".yaml"], {}

    def remembered(path: Any, fs: Any = None, **options: Any) -> Any:
        if str(path) not in parsed:
            parsed[str(path)] = load(path, fs=fs, **options)
        return deepcopy(parsed[str(path)])

    serialize.LOADERS[".yaml"] = remembered
    try:
        yield
    finally:
        serialize.LOADERS[".yaml"] = load


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
def files_read_once() -> Iterator[Hashes]:
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
        with params_read_once():
            yield hashes
    finally:
        param.read_param_file, strictyaml.parse_yaml = pick, parse
        output.get_cloud_fs, Output._get_hash_meta = place_of, hash_of


# Restoring.


class Restoration:
    """What DVC's ``reproduce`` does with each stage in place of running it.

    Attributes:
        restored: the stages that were out of date and no longer are.
        changed: addresses of those that still are.
    """

    def __init__(self, wanted: Collection[str], hashes: Hashes) -> None:
        self.restored: list[PipelineStage] = []
        self.changed: set[str] = set()
        self._wanted = wanted
        self._hashes = hashes

    def __call__(self, stage: PipelineStage, upstream: Sequence[PipelineStage] = (), **_: Any) -> None:
        """Restore a stage, if that is wanted and can be."""
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
            pass  # whatever is wrong, the stage's own job will tell
        self.changed.add(stage.addressing)


def _restore(stage: PipelineStage, inputs_changed: bool) -> None:
    """Restore a stage's outputs as DVC's ``stage.run`` does; nothing is touched unless they are known.

    Raises:
        DvcException: they are not.
    """
    known = stage.repo.stage_cache
    if inputs_changed:
        stage.save_deps()
        # The outputs in dvc.lock are those of other inputs: DVC must look into its run-cache, as it does for a new command.
        stage.cmd_changed = True
    known.restore(stage, dry=True)
    stage.remove_outs()
    known.restore(stage)
    stage.save_outs()


def _record(stages: Sequence[PipelineStage]) -> None:
    """Write what stages of one dvc.yaml made into its dvc.lock, as DVC's ``stage.dump(update_pipeline=False)`` does."""
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
    """A stage, with its own entry in dvc.lock as all that there is."""
    declared = load_file(repo, "dvc.yaml")
    path = Path(declared.path).with_suffix(".lock")
    key = serialize.dumps_yaml({"stages": {address: None}}).split("\n")[1]
    entry = lock_file.entry_of(path.read_text(encoding="utf-8"), key) if path.exists() else None
    if entry is not None:
        # In place of what DVC would read; it keeps this for as long as the object lives, as its own.
        declared.lockfile_contents = serialize.loads_yaml(entry)
    return declared.stages[address]


def _listed(stage: PipelineStage) -> started.Listed:
    """What DVC hashes for a stage."""
    keys = {dep.def_path: dep.params for dep in stage.params}
    files = [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    return started.Listed(stage.addressing, files, keys)


def _save_deps_once(stage: PipelineStage) -> None:
    """Let DVC note what the stage reads when it looks for the first time, which is before it runs the command."""
    save = stage.save_deps
    saved: list[bool] = []

    def save_once(allow_missing: bool = False) -> None:
        if not saved:
            save(allow_missing=allow_missing)
            saved.append(True)

    stage.save_deps = save_once


# Foreseeing.


class Foresight:
    """What DVC's ``reproduce`` does with each stage in place of running it: it notes what would become of it."""

    def __init__(self, hashes: Hashes) -> None:
        self.found: list[Foreseen] = []
        self._running: set[str] = set()
        self._hashes = hashes
        self._coming: list[Output] = []  # what would be restored

    def __call__(self, stage: PipelineStage, upstream: Sequence[PipelineStage] = (), **_: Any) -> None:
        after = tuple(read.addressing for read in upstream)
        fate = Fate.RUNS if self._running.intersection(after) else self._fate(stage)
        if fate is Fate.RUNS:
            self._running.add(stage.addressing)
        self.found.append(Foreseen(stage.addressing, after, fate))

    def _fate(self, stage: PipelineStage) -> Fate:
        try:
            outs = self._without_running(stage)
        except (DvcException, OSError):
            outs = None  # what it reads is missing, or somebody is making it
        if outs is None:
            return Fate.RUNS
        self._coming += outs
        return Fate.RETURNS if outs else Fate.STAYS

    def _without_running(self, stage: PipelineStage) -> list[Output] | None:
        """The outputs that would be restored, none if all are as they should be; None if the stage would run.

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
        """Let a dependency have the content that it will have once what would be restored is there."""
        paths = {
            tuple(dep.fs.relparts(out.fs_path, dep.fs_path)): out
            for out in self._coming
            if dep.fs.isin_or_eq(out.fs_path, dep.fs_path)
        }
        if (".",) in paths:
            self._hashes.expect(dep, next(iter(paths.values())).hash_info)
        elif paths:
            self._hashes.expect(dep, _with(dep, paths).hash_info)


def _differs(dep: Output) -> bool:
    if isinstance(dep, ParamsDependency):
        return bool(dep.status())
    return bool(dep.hash_info != dep.get_hash())


def _with(folder: Output, outs: Mapping[tuple[str, ...], Output]) -> Tree:
    """The content of a folder with outputs in it replaced.

    Args:
        folder: a dependency.
        outs: by their paths in it.
    """
    tree = Tree()
    if folder.fs.exists(folder.fs_path):
        _, _, there = folder._build(
            folder.local_cache, folder.fs_path, folder.fs, folder.hash_name, ignore=folder.dvcignore, dry_run=True
        )
        for key, meta, hash_info in there:
            if not any(key[: len(replaced)] == replaced for replaced in outs):
                tree.add(key, meta, hash_info)
    for key, out in outs.items():
        made = out.get_obj()
        if isinstance(made, Tree):
            for inner, meta, hash_info in made:
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
            dep.meta, dep.hash_info = dep._get_hash_meta()  # the former meta has the former hash as well
    known = stage.repo.stage_cache
    entry = known._load(stage) if stage_cache._can_hash(stage) else None
    if entry is None:
        return None
    made = known._create_stage(entry, wdir=stage.wdir)
    return list(made.outs) if made.outs_cached() else None
