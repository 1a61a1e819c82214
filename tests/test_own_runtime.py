"""docs/own-runtime.md: its files are taken from the page, put into a copy of the repository, and run there."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from remote.python import agent
from remote.runtimes.room import Room
from tests.support.device_world import World
from tests.support.onnx_files import linear, weights
from tests.support.toy import ROOT, copy_repository, run

PAGE = (ROOT / "docs/own-runtime.md").read_text(encoding="utf-8")
FILES = {
    match[1]: match[0].removeprefix("```python\n").removesuffix("```")
    for match in re.finditer(r"```python\n# (\S+)\n.*?```", PAGE, re.DOTALL)
}
FOLDER = "remote/runtimes/reference"
COMMANDS = re.findall(r"^    (python -m .*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the page's files and devices; nothing else is edited."""
    where = copy_repository(tmp_path_factory.mktemp("home"))
    (where / FOLDER).mkdir()
    for name, code in FILES.items():
        (where / name).write_text(code, encoding="utf-8")
    for command in COMMANDS:
        if command.startswith("python -m remote add"):
            run([sys.executable, *command.split()[1:]], where)
    return where


def said(where: Path, *arguments: object) -> str:
    return run([sys.executable, *map(str, arguments)], where)


def test_the_page_has_every_file_of_a_room() -> None:
    assert list(FILES) == [
        f"{FOLDER}/{name}.py" for name in ("__init__", "onboard", "runtime", "check", "bundle", "shipped")
    ]
    named = {"files", "reads", "uses", "options"}
    assert named <= {field.name for field in dataclasses.fields(Room)}
    assert all(f"`{name}`" in PAGE for name in named)


def test_what_runs_on_the_device_and_in_a_bundle_gives_what_the_network_gives(tmp_path: Path) -> None:
    for name in ("onboard", "shipped"):
        (tmp_path / f"{name}.py").write_text(FILES[f"{FOLDER}/{name}.py"])
    onnx, inputs = linear(tmp_path / "model.onnx"), np.arange(8, dtype=np.float32).reshape(2, 4)
    part = agent.opened(tmp_path / "onboard.py", {})
    part.build(onnx, tmp_path / "engine.onnx", "fp32", 1)
    shipped: dict[str, Any] = {}
    exec((tmp_path / "shipped.py").read_text(), shipped)
    for answer in (
        part.load(tmp_path / "engine.onnx", 1),
        shipped["opened"](tmp_path / "engine.onnx", part.version(), 1),
    ):
        np.testing.assert_allclose(answer(inputs), inputs @ weights(), rtol=1e-5)


def test_the_devices_are_added_with_their_options(home: Path) -> None:
    devices = YAML(typ="safe", pure=True).load((home / "remote/devices.yaml").read_text())
    assert devices["ref"] == {"transport": "local", "runtime": "reference", "options": {}}
    assert devices["strict"]["options"] == {"check_shapes": True}
    wrong = [sys.executable, "-m", "remote", "add", "other", "local", "--runtime", "reference", "--option", "speed=9"]
    done = subprocess.run(wrong, cwd=home, capture_output=True, text=True)
    assert done.stderr == "error: option speed: unknown key; reference takes python, check_shapes\n"
    assert "reference: python, check_shapes" in " ".join(said(home, "-m", "remote", "add", "--help").split())


def test_check_says_that_the_device_is_ready(home: Path) -> None:
    assert re.search(
        rf"^ok +reference +by {re.escape(sys.executable)}$", said(home, "-m", "remote", "check", "ref"), re.MULTILINE
    )


@pytest.mark.slow
def test_its_code_is_named_and_that_of_others_stays_as_it_was(home: Path, tmp_path: Path) -> None:
    def named(device: str) -> dict[str, str]:
        said(
            home, "-m", "stages.runtime", "--device", device, "--devices", "remote/devices.yaml", "--out", tmp_path / device
        )
        digests: dict[str, str] = json.loads((tmp_path / device).read_text())
        return digests

    assert "every stage lists the code" in said(home, "-m", "workflow.code_deps")
    before = named("ref"), named("local")
    assert {name for name in before[0] if name.startswith(FOLDER)} == {
        f"{FOLDER}/{name}.py" for name in ("__init__", "onboard", "runtime")
    }
    file = home / FOLDER / "onboard.py"
    try:
        file.write_text(FILES[f"{FOLDER}/onboard.py"] + "\n# edited\n", encoding="utf-8")
        after = named("ref"), named("local")
    finally:
        file.write_text(FILES[f"{FOLDER}/onboard.py"], encoding="utf-8")
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)


@pytest.mark.slow
def test_what_a_room_does_not_name_is_reported(home: Path) -> None:
    file = home / FOLDER / "__init__.py"
    try:
        file.write_text(FILES[f"{FOLDER}/__init__.py"].replace("    uses=python.CODE,\n", ""), encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", "workflow.code_deps"], cwd=home, capture_output=True, text=True)
    finally:
        file.write_text(FILES[f"{FOLDER}/__init__.py"], encoding="utf-8")
    assert done.returncode == 1
    assert f"{FOLDER}: ROOM.uses lacks remote/python/agent.py" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("device", ["ref", "strict"])
def test_it_builds_measures_and_recognises(home: Path, tmp_path: Path, device: str) -> None:
    world = World(tmp_path, percentiles=(0,))
    expected = {**world.build(), **world.recognise()}
    facts, quantized, engine = tmp_path / "ref.json", world.quantized(), tmp_path / "engine"
    where = ("--device", device, "--devices", "remote/devices.yaml", "--params", world.params)
    said(home, "-m", "stages.probe", *where, "--out", facts)
    variant = (*where, "--facts", facts, "--model", "gaitset", "--percentile", 0, "--precision", "fp32")
    variant += ("--quantized", quantized)
    said(home, "-m", "stages.build", *variant, "--out", engine)
    built = json.loads((engine / "build.json").read_text())
    assert (built["status"], built["runtime"], built["onnx"]) == ("ok", "reference", "model.onnx")
    assert built["flags"]["check_shapes"] == (device == "strict")

    inputs = ("--engine", engine, "--preprocessed", tmp_path / "preprocessed")
    said(home, "-m", "stages.benchmark", *variant, *inputs, "--training", world.training, "--out", tmp_path / "times.json")
    times = json.loads((tmp_path / "times.json").read_text())
    assert times["status"] == "ok"
    assert times["latency_ms"]["p50"] > 0
    assert times["device"]["runtime"] == "reference"
    said(home, "-m", "stages.recognise", *variant, *inputs, "--test", world.test, "--out", tmp_path / "rates.json")
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert rates["accuracy"]["rank1"] == expected["accuracy"]["rank1"]
