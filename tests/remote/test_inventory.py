from pathlib import Path

import pytest

from remote import inventory
from remote.errors import DeviceError
from remote.inventory import Device

GOOD = "# mine\nlocal: {transport: local, runtime: onnxruntime, options: {}}\n"


def faults(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "devices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeviceError) as told:
        inventory.load(path)
    lines = str(told.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_the_inventory_of_this_repository_has_the_computer_itself() -> None:
    local = inventory.find("remote/devices.yaml", "local")
    assert (local.transport, local.runtime, local.evidence) == ("local", "onnxruntime", "host")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML"),
        ("", "must be a mapping"),
        ("- local", "must be a mapping"),
        ("Nano: {}", "Nano: a device's name is made of small letters"),
        ("a.b: {}", "a.b: a device's name is made of small letters"),
        ("nano: local", "nano = local: must be a section"),
        ("nano: {transprot: local}", "nano.transprot: unknown key; did you mean transport?"),
        ("nano: {transport: telnet}", "nano.transport = telnet: must be local"),
        ("nano: {runtime: [tensorrt]}", "nano.runtime = ['tensorrt']: must be"),
        ("nano: {options: 3}", "nano.options = 3: must be a section"),
        ("nano: {options: {fast: true}}", "nano.options.fast: unknown key; onnxruntime takes no options"),
    ],
)
def test_each_fault_is_told_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    [told] = faults(tmp_path, text)
    assert told.startswith(said)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    assert len(faults(tmp_path, "a: {runtime: x}\nb: {transport: y, z: 1}")) == 3


def test_a_missing_file_and_an_unknown_device_are_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such file"):
        inventory.load(tmp_path / "devices.yaml")
    (tmp_path / "devices.yaml").write_text(GOOD)
    with pytest.raises(DeviceError, match=r"no device lokal \(there: local\); did you mean local\?"):
        inventory.find(tmp_path / "devices.yaml", "lokal")


def test_a_device_is_added_below_what_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(GOOD)
    inventory.add(path, Device("nano-2"))
    assert path.read_text().startswith(GOOD.rstrip())
    assert inventory.load(path) == {"local": Device("local"), "nano-2": Device("nano-2")}
    assert [entry.name for entry in tmp_path.iterdir()] == ["devices.yaml"]


@pytest.mark.parametrize(
    ("device", "said"),
    [(Device("local"), "already"), (Device("a b"), "small letters"), (Device("nano", "telnet"), "nano.transport = telnet")],
)
def test_what_may_not_be_added_leaves_the_file_alone(tmp_path: Path, device: Device, said: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(GOOD)
    with pytest.raises(DeviceError, match=said):
        inventory.add(path, device)
    assert path.read_text() == GOOD
