"""What holds for the whole: who may import whom, what each stage lists, what starts quickly, where pages and links lead."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gaitpress.__main__ import COMMANDS
from remote import runtimes
from tests.support.toy import ROOT
from workflow import code_deps
from workflow.dvc.stages import read_yaml

LIBRARIES = ("gait", "compress", "remote")
ABOVE = ("gaitpress", "report", "tracking", "stages", "workflow")  # what knows the libraries
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All parts of a file's syntax."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def top_level_names(path: Path) -> Iterator[str]:
    """The first part of each module that a file imports, anywhere in it."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write imports in full"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", LIBRARIES)
def test_the_libraries_know_neither_each_other_nor_what_is_above(package: str) -> None:
    forbidden = {*LIBRARIES, *ABOVE, "benchmarks", "simulator", "tests"} - {package}
    for path in modules(package):
        assert not forbidden & set(top_level_names(path)), path


def test_no_product_code_imports_tests_or_benchmarks() -> None:
    for package in (*LIBRARIES, *ABOVE):
        for path in modules(package):
            assert not {"tests", "benchmarks", "simulator"} & set(top_level_names(path)), path


def test_the_devices_side_needs_no_framework() -> None:
    for path in modules("remote"):
        assert not {"torch", "tensorflow", "keras", "mlflow"} & set(top_level_names(path)), path


def test_nothing_reads_pickles() -> None:
    for package in (*LIBRARIES, *ABOVE, "simulator"):
        for path in modules(package):
            assert not {"pickle", "cloudpickle", "joblib", "dill"} & set(top_level_names(path)), path


def test_every_stage_lists_the_code_that_it_runs() -> None:
    models = read_yaml(ROOT / "params.yaml")["model"]
    assert list(code_deps.faults(read_yaml(ROOT / "dvc.yaml"), models, ROOT)) == []


def test_a_missing_and_a_superfluous_entry_are_found() -> None:
    dvc = read_yaml(ROOT / "dvc.yaml")
    dvc["stages"]["export"]["deps"].remove("compress/export.py")
    dvc["stages"]["finetune"]["deps"].remove("gait/networks")
    dvc["stages"]["report"]["deps"].append("gait/keywords.py")
    assert list(code_deps.faults(dvc, ["gaitset", "cnn2d"], ROOT)) == [
        "finetune: deps lack gait/networks/blocks.py",
        "finetune: deps lack gait/networks/keras_model.py",
        "finetune: deps lack gait/networks/torch_model.py",
        "export: deps lack compress/export.py",
        "report: gait/keywords.py is under deps but never used",
    ]


def test_modules_imported_by_name_are_declared() -> None:
    for package in code_deps.PACKAGES:
        for path in modules(package):
            if "import_module(" in path.read_text(encoding="utf-8"):
                assert str(path.relative_to(ROOT)) in code_deps.BY_NAME, path


def runtime_names(path: Path) -> Iterator[str]:
    """The texts of a file that are the name of a runtime."""
    known = runtimes.names()
    for node in nodes(path):
        if isinstance(node, ast.Constant) and node.value in known:
            yield str(node.value)


def test_no_code_outside_a_runtimes_room_asks_which_runtime_it_is() -> None:
    """No comparison, table or choice can name one, for no text there is its name."""
    named = {
        str(path.relative_to(ROOT)): names
        for package in (*LIBRARIES, *ABOVE)
        for path in modules(package)
        if runtimes.HERE not in path.parents and (names := list(runtime_names(path)))
    }
    assert named == {"remote/inventory.py": ["onnxruntime"]}  # what a device has whose entry says nothing


@pytest.mark.parametrize("name", runtimes.names())
def test_no_runtimes_room_knows_another(name: str) -> None:
    others = [f"remote.runtimes.{other}" for other in runtimes.names() if other != name]
    for path in modules(f"remote/runtimes/{name}"):
        text = path.read_text(encoding="utf-8")
        assert not [other for other in others if other in text], path
        assert set(runtime_names(path)) <= {name}


def test_stages_holds_the_stages_of_the_dag_and_nothing_else() -> None:
    assert set(read_yaml(ROOT / "dvc.yaml")["stages"]) == set(STAGES)
    assert {path.suffix for path in (ROOT / "stages").rglob("*") if path.is_file()} <= {".py", ".pyc"}


def test_dvc_yaml_lists_folders() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 220


def test_every_command_is_in_the_one_help() -> None:
    help = subprocess.run(
        [sys.executable, "-m", "gaitpress", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    there = {path.stem.replace("_", "-") for path in (ROOT / "gaitpress/commands").iterdir() if path.stem[:2] != "__"}
    assert set(re.findall(r"^  ([\w-]+) +\S", help.stdout, re.MULTILINE)) == there == set(COMMANDS)
    assert max(map(len, help.stdout.splitlines())) <= 120


def test_a_mistyped_command_names_the_nearest() -> None:
    done = subprocess.run([sys.executable, "-m", "gaitpress", "selct"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: no command selct; did you mean select?\n")


TYPED = [*(f"stages.{stage}" for stage in STAGES), *(f"gaitpress {name}" for name in COMMANDS)]
HELP = """
import contextlib, io, json, runpy, sys
helped = {}
for typed in sys.argv[1:]:
    module, *words = typed.split()
    sys.argv = [module, *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
    loaded = sorted({"torch", "tensorflow", "keras", "mlflow", "matplotlib"} & set(sys.modules))
    helped[typed] = out.getvalue(), loaded
print(json.dumps(helped))
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[str, list[str]]]:
    """What each stage and command prints as its help, and which frameworks are loaded then; in one process, one by one."""
    command = [sys.executable, "-W", "ignore", "-c", HELP, *TYPED]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("typed", TYPED)
def test_help_is_there_without_waiting_for_a_framework(helped: dict[str, tuple[str, list[str]]], typed: str) -> None:
    printed, loaded = helped[typed]
    assert printed.startswith("usage: ")
    assert "gaitpress" in typed or "--params" in printed
    assert loaded == []


PAGES = sorted((ROOT / "docs").glob("*.md"))
HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")  # those to other places than the web


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_page_once_with_what_it_is_for() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[[^]]+\]\(([\w-]+\.md)\) \| \S.* \|$", index, re.MULTILINE)
    assert sorted(listed) == [page.name for page in PAGES if page.name != "index.md"]


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("*.md")), *PAGES], ids=lambda page: page.name)
def test_relative_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not heading or heading in anchors(file), f"{target}#{heading}"


@pytest.mark.parametrize("page", ["docs/architecture.md", "README.md", "CONTRIBUTING.md"])
def test_pages_name_files_and_folders_that_are_there(page: str) -> None:
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"data", "results", "logs"}
    named = set(re.findall(r"`([\w./-]+/[\w./-]*)`", (ROOT / page).read_text(encoding="utf-8"))) - {"remote/facts/"}
    assert [name for name in sorted(named) if name.partition("/")[0] in tops and not (ROOT / name).exists()] == []


def test_the_license_is_the_one_that_the_package_names() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert " ".join(text.split()).startswith("Apache License Version 2.0, January 2004 http://www.apache.org/licenses/ ")
    assert "APPENDIX: How to apply the Apache License to your work." in text
    assert text.rstrip().endswith("limitations under the License.")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"] == "Apache-2.0"


def test_the_snakefile_is_short() -> None:
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) <= 100
