from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote import inventory
from remote.errors import DeviceError
from remote.inventory import Device

GOOD = "# mine\nlocal: {transport: local, runtime: onnxruntime, options: {}}\n"


def faults(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "devices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeviceError) as raised:
        inventory.load(path)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_the_inventory_of_this_repository_has_the_computer_itself() -> None:
    local = inventory.find("remote/devices.yaml", "local")
    assert (local.transport, local.runtime) == ("local", "onnxruntime")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("a: " + "[" * 3000 + "]" * 3000, "not valid YAML"),
        ("", "must be a mapping"),
        ("- local", "must be a mapping"),
        ("Nano: {}", "Nano: a device's name is made of small letters"),
        ("a.b: {}", "a.b: a device's name is made of small letters"),
        ("nano: local", "nano = local: must be a section"),
        ("nano: {transprot: local}", "nano.transprot: unknown key; did you mean transport?"),
        ("nano: {transport: telnet}", "nano.transport = telnet: must be local"),
        ("nano: {transport: [ssh]}", "nano.transport = ['ssh']: must be local"),
        ("nano: {transport: 'ssh://'}", "nano.transport = ssh://: must be ssh://user@host:port"),
        ("nano: {transport: 'ssh://a:secret@b'}", "nano.transport = ssh://...@b: a password does not belong here"),
        ("nano: {transport: 'ssh://b:99999'}", "nano.transport = ssh://b:99999: "),
        ("nano: {transport: 'ssh://-oProxyCommand=id'}", "nano.transport = ssh://-oProxyCommand=id: must be"),
        ("nano: {transport: 'ssh://b/etc/passwd'}", "nano.transport = ssh://b/etc/passwd: must be"),
        ("nano: {runtime: [tensorrt]}", "nano.runtime = ['tensorrt']: must be"),
        ("nano: {options: 3}", "nano.options = 3: must be a section"),
        ("nano: {options: {fast: true}}", "nano.options.fast: unknown key; onnxruntime takes python"),
        ("nano: {options: {python: 3}}", "nano.options.python = 3: must be text"),
        ("nano: {runtime: tensorrt, options: {lock_clocks: 1}}", "nano.options.lock_clocks = 1: must be true or false"),
        ("nano: {runtime: tensorrt, options: {dla_core: true}}", "nano.options.dla_core = True: must be a whole number"),
        ("nano: {runtime: tensorrt, options: {workspace_mib: -1}}", "nano.options.workspace_mib = -1: must be a whole"),
    ],
)
def test_each_fault_is_named_by_its_key(tmp_path: Path, text: str, message: str) -> None:
    [fault] = faults(tmp_path, text)
    assert fault.startswith(message)


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    assert len(faults(tmp_path, "a: {runtime: x}\nb: {transport: y, z: 1}")) == 3


def test_a_missing_file_and_an_unknown_device_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such file"):
        inventory.load(tmp_path / "devices.yaml")
    (tmp_path / "devices.yaml").write_text(GOOD)
    with pytest.raises(DeviceError, match=r"no device lokal \(there: local\); did you mean local\?"):
        inventory.find(tmp_path / "devices.yaml", "lokal")


def test_a_device_is_added_below_the_content_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(GOOD)
    inventory.add(path, Device("nano-2"))
    assert path.read_text().startswith(GOOD.rstrip())
    assert inventory.load(path) == {"local": Device("local"), "nano-2": Device("nano-2")}
    assert [entry.name for entry in tmp_path.iterdir()] == ["devices.yaml"]


LISTED = """# The first comment.

local:  # this one
  transport: local

# About the nano.
nano:
  transport: ssh://me@nano.lan:2222
  # inside the nano
  options: {}

# About the xavier.
xavier: {transport: ssh://xavier}  # a short one
# The last comment.
"""


def test_removing_a_device_keeps_the_comments_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(LISTED)
    assert inventory.remove(path, "nano") == Device("nano", "ssh://me@nano.lan:2222")
    begin, end = LISTED.index("nano:\n"), LISTED.index("\n# About the xavier")
    assert path.read_text() == LISTED[:begin] + LISTED[end:]
    inventory.remove(path, "xavier")
    assert list(inventory.load(path)) == ["local"]
    assert path.read_text().endswith("# The last comment.\n")
    with pytest.raises(DeviceError, match="the last device"):
        inventory.remove(path, "local")


@settings(max_examples=30)
@given(st.permutations(["a", "b", "c", "d"]), st.integers(0, 3), st.booleans())
def test_removing_any_device_keeps_the_others_unchanged(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], gone: int, short: bool
) -> None:
    path = tmp_path_factory.mktemp("inventory") / "devices.yaml"
    entry = "{name}: {{transport: ssh://{name}}}\n" if short else "{name}:\n  transport: ssh://{name}\n\n"
    path.write_text("".join(f"# {name}\n{entry.format(name=name)}" for name in names))
    before = inventory.load(path)
    inventory.remove(path, names[gone])
    del before[names[gone]]
    assert inventory.load(path) == before
    assert [line for line in path.read_text().splitlines() if line.startswith("#")] == [f"# {name}" for name in names]


def test_an_entry_without_its_own_lines_is_left_to_the_user(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text("{a: {transport: local}, b: {transport: local}}\n")
    with pytest.raises(DeviceError, match="by hand"):
        inventory.remove(path, "a")
    assert list(inventory.load(path)) == ["a", "b"]


@pytest.mark.parametrize(
    ("transport", "facts", "evidence"),
    [
        ("local", {"board": None}, "host"),
        ("local", {"board": "NVIDIA Jetson Nano Developer Kit"}, "host"),
        ("ssh://nano", {"board": "NVIDIA Jetson Nano Developer Kit"}, "real-device"),
        ("ssh://server", {"board": None}, "host"),
        ("ssh://nano", {"board": "NVIDIA Jetson Nano Developer Kit", "simulated": True}, "simulated"),
        ("local", {"simulated": True}, "simulated"),
    ],
)
def test_the_evidence_follows_the_device_and_not_its_entry(transport: str, facts: dict, evidence: str) -> None:
    assert Device("nano", transport).evidence(facts) == evidence


@pytest.mark.parametrize(
    ("device", "message"),
    [(Device("local"), "already"), (Device("a b"), "small letters"), (Device("nano", "telnet"), "nano.transport = telnet")],
)
def test_a_refused_device_leaves_the_file_unchanged(tmp_path: Path, device: Device, message: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(GOOD)
    with pytest.raises(DeviceError, match=message):
        inventory.add(path, device)
    assert path.read_text() == GOOD
