"""Every command that README, CONTRIBUTING and the guides show exists, with its options and targets, by the real parsers."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from gaitpress.__main__ import COMMANDS
from tests.support.shell_lines import PAGES, Shown, shown
from tests.support.toy import ROOT
from workflow.dvc.stages import Pipeline, read_yaml

OWN = ("gaitpress", "remote", "stages", "benchmarks", "workflow", "simulator")
LEFT_OPEN = ("<", "...", "NAME", "COMMIT")  # what a reader fills in
MADE_BY_PAGES = {"reference": "onnxruntime"}  # the runtime of docs/own-runtime.md, in the place of one that is there
SLOW = ("dvc", "mlflow", "torchrun")
GROUPS_OF_DVC = ("exp", "metrics", "params", "plots", "remote")  # whose second word is a command too
SHOWN = [command for page in PAGES for command in shown(page)]


class Wrong(Exception):
    """A command that does not exist as it is written."""


class Parsed(BaseException):
    """A command line was understood; nothing runs."""


@cache
def pipeline() -> Pipeline:
    return Pipeline.read(ROOT / "dvc.yaml", read_yaml(ROOT / "params.yaml"))


def test_the_pages_show_commands_of_every_kind() -> None:
    programs = {command.words[0] for command in SHOWN if command.whole}
    assert {"python", "python3", "snakemake", "dvc", "make", "mlflow", "torchrun"} == programs
    modules = {command.words[2].partition(".")[0] for command in SHOWN if command.words[1:2] == ("-m",)}
    assert {"gaitpress", "remote", "stages", "benchmarks", "workflow"} <= modules


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_exists(page: Path) -> None:
    name = str(page.relative_to(ROOT))
    assert wrong([command for command in SHOWN if command.page == name and command.words[0] not in SLOW]) == {}


@pytest.mark.slow  # each is asked for its help, which takes seconds
def test_commands_of_dvc_mlflow_and_torchrun_exist() -> None:
    assert wrong([command for command in SHOWN if command.words[0] in SLOW]) == {}


def wrong(commands: list[Shown]) -> dict[str, str]:
    """Those that do not exist, each with the reason."""
    faults = {}
    for command in commands:
        try:
            check(command)
        except Wrong as error:
            faults[str(command)] = str(error)
    return faults


@pytest.mark.parametrize(
    "words",
    [
        "python -m gaitpress selekt",
        "python -m gaitpress select --max-speed 5ms",
        "python -m gaitpress select --max-latency 5",
        "python -m remote add board",
        "python -m stages.trane",
        "python -m pytest tests/nothing.py",
        "snakemake --kores 2 all",
        "snakemake --cores 2 results/train/gaitnet",
        pytest.param("dvc pusch", marks=pytest.mark.slow),
        pytest.param("dvc push --runcache", marks=pytest.mark.slow),
        pytest.param("dvc repro -s prepare", marks=pytest.mark.slow),
        "make demmo",
        pytest.param("mlflow server --hosts 0", marks=pytest.mark.slow),
    ],
)
def test_a_command_that_does_not_exist_is_found(words: str) -> None:
    with pytest.raises(Wrong):
        check(Shown("page", 1, tuple(words.split()), True))


def check(command: Shown) -> None:
    program, *words = (MADE_BY_PAGES.get(word, word) for word in command.words)
    if program in ("python", "python3"):
        check_python(words, command.whole)
    elif program == "torchrun":
        from torch.distributed.run import get_args_parser

        options = understood(get_args_parser(), words, command.whole)
        check_python(["-m", options.training_script, *options.training_script_args], command.whole)
    elif program == "snakemake":
        check_snakemake(words, command.whole)
    elif program == "dvc":
        check_dvc(words)
    elif program == "make":
        done = subprocess.run(
            ["make", "-n", *(words[:1] if not command.whole else words)], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise Wrong(done.stderr)
    elif program == "mlflow":
        check_mlflow(words)


def check_python(words: list[str], whole: bool) -> None:
    if words[:1] != ["-m"] or words[1].partition(".")[0] not in OWN:
        if words[:2] == ["-m", "pytest"] and not all((ROOT / word).exists() for word in words[2:] if "/" in word):
            raise Wrong("no such test")
        return
    module, *rest = words[1:]
    if "<" in module or (rest and rest[0].startswith(LEFT_OPEN)):
        return
    if module == "gaitpress":
        if not rest or rest[0] == "--help":
            return
        if rest[0] not in COMMANDS:
            raise Wrong(f"no command {rest[0]}")
        module = f"gaitpress.commands.{rest.pop(0).replace('-', '_')}"
    elif (ROOT / module.replace(".", "/") / "__main__.py").exists():
        module = f"{module}.__main__"
    path = ROOT / f"{module.replace('.', '/')}.py"
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    if not path.exists():
        raise Wrong(f"no module {module}")
    source = path.read_text(encoding="utf-8")
    if not any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in ast.parse(source).body):
        raise Wrong(f"{module} is no program")
    if "parser" not in source:
        assert not rest, f"{module} takes no words"
        return
    with only_parsed(whole), mock.patch.object(sys, "argv", [module, *rest]):
        importlib.import_module(module).main()


def check_mlflow(words: list[str]) -> None:
    from mlflow.cli import cli

    command: Any = cli
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            raise Wrong(f"mlflow has no {words[:1]}")
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    if unknown := {word for word in words if word.startswith("--")} - known:
        raise Wrong(f"takes no {unknown}")


def check_snakemake(words: list[str], whole: bool) -> None:
    from snakemake.cli import get_argument_parser

    options = understood(get_argument_parser(), words, whole)
    known = {"all", *pipeline().targets(), *pipeline().stages}
    if strangers := [target for target in options.targets or () if target not in known]:
        raise Wrong(f"no target {strangers}")


def check_dvc(words: list[str]) -> None:
    named = words[: 2 if words[0] in GROUPS_OF_DVC else 1]
    known = set(re.findall(r"(?<![\w-])--?\w[\w-]*", help_of_dvc(*named)))
    options = {word.partition("=")[0] for word in words[len(named) :] if word.startswith("-")}
    if unknown := options - known:
        raise Wrong(f"dvc {' '.join(named)} takes no {unknown}")
    if words[0] == "repro":
        names = {target.partition("@")[0] for target in words[1:] if not target.startswith("-")}
        if strangers := names - pipeline().stages.keys():
            raise Wrong(f"no stage {strangers}")


@cache
def help_of_dvc(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *words, "--help"], capture_output=True, text=True)
    if done.returncode:
        raise Wrong(done.stderr)
    return done.stdout


def understood(parser: argparse.ArgumentParser, words: list[str], whole: bool) -> argparse.Namespace:
    """What another program's own parser makes of words."""
    parsed: list[argparse.Namespace] = []
    parse = parser.parse_known_args
    with only_parsed(whole):
        options, rest = parse(words)
        if rest:
            raise Wrong(f"takes no {' '.join(rest)}")
        parsed.append(options)
    return parsed[0] if parsed else argparse.Namespace(targets=[])


@contextmanager
def only_parsed(whole: bool) -> Iterator[None]:
    """Let command lines be parsed and nothing run; what text leaves out of a command, such as a name, is not missed."""
    parse = argparse.ArgumentParser.parse_args

    def parse_alone(self: argparse.ArgumentParser, *arguments: object, **options: object) -> None:
        parse(self, *arguments, **options)  # type: ignore[call-overload]
        raise Parsed

    def error(self: argparse.ArgumentParser, message: str) -> None:
        raise Parsed if not whole and "required" in message else Wrong(message)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_alone),
        mock.patch.object(argparse.ArgumentParser, "error", error),
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()) as said,
    ):
        try:
            yield
        except Parsed:
            pass
        except SystemExit as end:
            if end.code:
                raise Wrong(said.getvalue() or str(end.code)) from None
        except Exception as error:
            raise Wrong(f"{type(error).__name__}: {error}") from None
