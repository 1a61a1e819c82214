"""The files and entries that a guide under docs shows, for tests that put them in a copy of the repository."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.toy import ROOT


@dataclass(frozen=True)
class Guide:
    """A page of docs.

    Attributes:
        name: of its file, without the ending.
    """

    name: str

    @cached_property
    def page(self) -> str:
        return (ROOT / f"docs/{self.name}.md").read_text(encoding="utf-8")

    @cached_property
    def files(self) -> dict[str, str]:
        """The Python code by the path that stands in its first line."""
        blocks = re.finditer(r"```python\n# (\S+)\n.*?```", self.page, re.DOTALL)
        return {block[1]: block[0].removeprefix("```python\n").removesuffix("```") for block in blocks}

    @cached_property
    def entries(self) -> list[Any]:
        """The pieces of params.yaml."""
        reader = YAML(typ="safe", pure=True)
        return [reader.load(StringIO(block)) for block in re.findall(r"```yaml\n(.*?)```", self.page, re.DOTALL)]

    def write_files(self, where: Path) -> None:
        for name, code in self.files.items():
            (where / name).write_text(code, encoding="utf-8")

    def write_entries(self, where: Path) -> None:
        """Put the entries into params.yaml, beside those that are there."""
        yaml = YAML()
        yaml.preserve_quotes = True
        yaml.width = 1000
        content = yaml.load((where / "params.yaml").read_text(encoding="utf-8"))
        for block in self.entries:
            for section, entries in block.items():
                content[section].update(entries)
        with (where / "params.yaml").open("w", encoding="utf-8") as file:
            yaml.dump(content, file)


def python(where: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=where, capture_output=True, text=True)


def stages_run(where: Path) -> Path:
    """Run `dataset`, `preprocess` and `partition` for GaitSet in a copy of the repository; where the test set is."""
    outs = [
        word for kind in ("training", "test", "code", "protocol") for word in (f"--{kind}", f"data/{kind}/{{model}}.json")
    ]
    for stage in (
        ("dataset", "--out", "data/raw/{dataset}"),
        (
            "preprocess",
            "--modality",
            "silhouette",
            "--dataset",
            "data/raw/{dataset}",
            "--out",
            "data/preprocessed/{modality}",
        ),
        ("partition", "--model", "gaitset", "--preprocessed", "data/preprocessed", *outs),
    ):
        done = python(where, "-m", f"stages.{stage[0]}", *stage[1:])
        assert done.returncode == 0, done.stderr
    return where / "data/test/gaitset.json"
