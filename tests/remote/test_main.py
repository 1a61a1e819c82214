"""`python -m remote`, as typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toy import ROOT


@pytest.fixture
def remote(tmp_path: Path):
    devices, facts = tmp_path / "devices.yaml", tmp_path / "facts"
    devices.write_text("local: {transport: local}\n")

    def type_(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "remote", "--devices", str(devices), "--facts", str(facts), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    return type_


def test_devices_are_listed_added_and_probed(remote, tmp_path: Path) -> None:
    assert "not probed yet" in remote("list").stdout
    assert remote("add", "desk", "local").returncode == 0
    assert remote("probe", "desk").returncode == 0
    facts = json.loads((tmp_path / "facts/desk.json").read_text())
    row = next(line for line in remote("list").stdout.splitlines() if line.startswith("desk"))
    assert facts["cpu"] in row
    assert facts["runtime_version"] in row


def test_a_probe_tells_what_changed(remote, tmp_path: Path) -> None:
    remote("probe", "local")
    path = tmp_path / "facts/local.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "runtime_version": "0.1"}))
    assert "changed: runtime_version: 0.1 -> " in remote("probe", "local").stdout
    assert "changed" not in remote("probe", "local").stdout


@pytest.mark.parametrize(
    "arguments", [("probe", "nano"), ("add", "local", "local"), ("add", "No!", "local"), ("remove", "nano")]
)
def test_a_mistake_is_one_line(remote, arguments: tuple[str, ...]) -> None:
    done = remote(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
