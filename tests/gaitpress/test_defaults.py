"""A value that params.yaml leaves out is code of the stages that use it, as one in params.yaml is a parameter of theirs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gaitpress import params
from stages.partition import training_code
from tests.support.toy import ROOT

# Sections on which no result depends: what jobs need of a cluster, and the gate of the command promote. The classes of
# architectures only check values; each model's own file fills in what is left out.
NO_RESULT = ("architecture.py", "jobs.py", "promote.py", "whole.py")
FILES = [path for path in sorted((ROOT / "gaitpress/params").glob("[a-z]*.py")) if path.name not in NO_RESULT]


def own_defaults(source: str) -> list[str]:
    """The fields of sections whose default is a value of the file's own."""
    sections = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and not any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    ]
    return [
        f"{section.name}.{ast.unparse(field.target)}"
        for section in sections
        for field in section.body
        if isinstance(field, ast.AnnAssign) and field.value is not None and _changes_results(field.value)
    ]


def _changes_results(value: ast.expr) -> bool:
    """Whether a default is neither a name of gaitpress.defaults nor leaves a thing out."""
    text = ast.unparse(value)
    return not text.startswith("default.") and text not in ("None", "Field(default=[])")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_result_depends_on_has_its_default_where_dvc_sees_it(path: Path) -> None:
    assert own_defaults(path.read_text(encoding="utf-8")) == []


def test_a_default_of_a_sections_own_is_reported() -> None:
    source = "class A(Section):\n    b: int = 3\n    c: int = default.C\n    d: int | None = None\n    e: int\n"
    assert own_defaults(source) == ["A.b"]


@pytest.mark.parametrize("name", ["gaitset", "cnn2d"])
def test_the_code_of_a_training_has_its_defaults(name: str) -> None:
    settings = params.load(ROOT / "params.yaml")
    code = training_code(settings.entry(name), settings.datasets["walkers"].partition)
    assert "gaitpress/defaults/training.py" in code
