"""This repository's own DAG, with stages that take milliseconds: same axes, dependencies, parameters and outputs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import chdir
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.toy import ROOT, commit, environment, run
from workflow import code_deps
from workflow.dvc.private import Repo

CODE = code_deps.PACKAGES
SMALL = ROOT / "tests/support/small_dvc.yaml"  # a DAG of eight stages
OUTPUTS = ("data", "results", "remote/facts")


def _path(entry: Any) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def _keys(entry: Any) -> list[str]:
    """An entry under ``params`` as file:key."""
    if isinstance(entry, str):
        return [f"params.yaml:{entry}"]
    return [f"{file}:{key}" for file, keys in entry.items() for key in keys]


def toy_dvc_yaml(declared: Path = ROOT / "dvc.yaml", all_code: bool = False) -> str:
    """A dvc.yaml with every command replaced; of the code, each stage keeps its own module as a dependency, or all."""
    yaml = YAML()
    yaml.width = 1000
    dvc = yaml.load(declared.read_text(encoding="utf-8"))
    for name, spec in dvc["stages"].items():
        is_code = [_path(dep).partition("/")[0] in CODE and not _path(dep).endswith(".json") for dep in spec["deps"]]
        data = [dep for dep, code in zip(spec["deps"], is_code, strict=True) if not code]
        read = [*data, f"stages/{name}.py"]
        if not all_code:
            spec["deps"] = read
        axes = "-".join(f"${{item.{axis}}}" for axis in spec.get("matrix", {}))
        address = f"{name}@{axes}" if axes else name
        outs = " ".join(_path(out) for out in spec["outs"])
        spec["cmd"] = f"python toystage.py {address} --outs {outs} --deps {' '.join(map(_path, read))}"
        if spec.get("params"):
            spec["cmd"] += f" --params {' '.join(key for entry in spec['params'] for key in _keys(entry))}"
    text = StringIO()
    yaml.dump(dvc, text)
    if all_code:
        return text.getvalue()
    # Without code nothing names any.
    return re.sub("data/(code|protocol|needs|runtime)/", r"data/of-\1/", text.getvalue())


class Toy:
    """A repository with the toy pipeline."""

    def __init__(self, where: Path) -> None:
        self.where = where

    @classmethod
    def make(
        cls,
        where: Path,
        percentiles: Sequence[int] = (0, 60),
        precisions: Sequence[str] = ("fp32",),
        all_code: bool = False,
        declared: Path = ROOT / "dvc.yaml",
    ) -> Toy:
        """Write a repository with the stages that ``declared`` lists into an empty folder.

        ``all_code`` keeps the real lists of dependencies.
        """
        for name in ("Snakefile", "params.yaml", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name)
        for name in ("workflow", *CODE):
            shutil.copytree(ROOT / name, where / name, ignore=shutil.ignore_patterns("__pycache__", "facts"))
        (where / "profiles").symlink_to("workflow/profiles")
        shutil.copy2(ROOT / "tests/support/toystage.py", where)
        (where / "dvc.yaml").write_text(toy_dvc_yaml(declared, all_code), encoding="utf-8")
        with (where / ".gitignore").open("a") as ignored:
            ignored.write("/ran.txt\n/cpu.txt\n/fail/\n/hold/\n")
        toy = cls(where)
        toy.edit(r"percentiles: \[.*?\]", f"percentiles: [{', '.join(map(str, percentiles))}]")
        toy.edit(r"precisions: \[.*?\]", f"precisions: [{', '.join(precisions)}]")
        run(["git", "init", "-q"], where)
        commit(where, "start")
        return toy

    def copy(self, where: Path) -> Toy:
        shutil.copytree(self.where, where, symlinks=True, dirs_exist_ok=True)
        return Toy(where)

    def edit(self, pattern: str, text: str, name: str = "params.yaml") -> None:
        """Change a file at once, so that a stage that runs reads either the former or the new one."""
        file, beside = self.where / name, self.where.with_name(f"{self.where.name}.edited")
        changed, replaced = re.subn(pattern, text, file.read_text(encoding="utf-8"), count=1)
        assert replaced, f"{name} has no {pattern}"
        beside.write_text(changed, encoding="utf-8")
        shutil.copymode(file, beside)
        beside.replace(file)

    def dvc(self, *arguments: str) -> set[str]:
        """Run dvc; returns the addresses of the stages that ran."""
        return self._ran(["dvc", *arguments])

    def snakemake(self, cores: int = 2) -> set[str]:
        """Run snakemake; returns the addresses of the stages that ran."""
        return self._ran(["snakemake", "--cores", str(cores), "all"])

    def fails(self, command: list[str]) -> str:
        """Run a command that must fail; returns what it printed."""
        done = subprocess.run(
            command, cwd=self.where, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode, f"{command} did not fail\n{done.stdout}"
        return done.stdout

    def ran(self) -> list[str]:
        """The addresses of all stages that ever ran here, in order."""
        log = self.where / "ran.txt"
        return log.read_text().splitlines() if log.exists() else []

    def _ran(self, command: list[str]) -> set[str]:
        before = len(self.ran())
        run(command, self.where)
        return set(self.ran()[before:])

    def agree(self, history: str = "") -> None:
        """Both engines say that there is nothing to do; ``history`` is for the message if not."""
        with chdir(self.where), Repo() as repo:  # which is what `dvc status` and `dvc repro` ask
            assert repo.status() == {}, history
            assert repo.reproduce() == [], history
        planned = run(["snakemake", "-n", "--cores", "2", "all"], self.where)
        assert "Nothing to be done" in planned, f"{history}\n{planned}"

    def results(self) -> dict[str, str]:
        """Every output's content by path."""
        files = [file for top in OUTPUTS for file in (self.where / top).rglob("*")]
        return {
            str(file.relative_to(self.where)): file.read_text()
            for file in files
            if file.is_file() and file.name != ".snakemake_timestamp" and file.suffix != ".py"
        }
