"""Host keys in OpenSSH's form, compared with its own ssh-keygen."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.errors import HostKeyRefused
from remote.transport import known_hosts
from remote.transport.known_hosts import HostKey, host_name
from simulator.ssh_server import new_key

A, B = (HostKey("ssh-ed25519", base64.b64encode(bytes([number]) * 32).decode()) for number in (1, 2))
REMEDY = "python -m remote trust nano"


def refusal(path: Path, host: str, key: HostKey) -> str:
    """ "" if the key is accepted, else the message."""
    try:
        known_hosts.check(known_hosts.read([path]), host, key, REMEDY)
    except HostKeyRefused as refused:
        return str(refused)
    return ""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ssh/known_hosts"


def test_a_key_is_known_once_it_is_pinned(path: Path) -> None:
    assert REMEDY in refusal(path, "nano", A)
    assert A.fingerprint in refusal(path, "nano", A)
    known_hosts.pin(path, "nano", A)
    assert refusal(path, "nano", A) == ""
    assert "not known" in refusal(path, "other", A)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_changed_key_is_reported_loudly(path: Path) -> None:
    known_hosts.pin(path, "nano", A)
    message = refusal(path, "nano", B)
    assert message.startswith("HOST KEY CHANGED")
    assert f"{path} line 1" in message
    assert A.fingerprint in message
    assert B.fingerprint in message


def test_another_port_is_another_host(path: Path) -> None:
    known_hosts.pin(path, host_name("nano", 2222), A)
    assert refusal(path, "[nano]:2222", A) == ""
    assert "not known" in refusal(path, host_name("nano", 22), A)


def test_pinning_a_key_keeps_the_other_lines(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("# mine\nother ssh-ed25519 AAAA")
    known_hosts.pin(path, "nano", A)
    assert path.read_text() == f"# mine\nother ssh-ed25519 AAAA\nnano ssh-ed25519 {A.blob}\n"


def test_a_revoked_key_is_refused_even_if_it_is_known(path: Path) -> None:
    known_hosts.pin(path, "nano", A)
    path.write_text(path.read_text() + f"@revoked * {A.kind} {A.blob}\n")
    assert "REVOKED" in refusal(path, "nano", A)


@pytest.mark.parametrize(
    "line", ["", "#", "nano", "nano ssh-ed25519", "nano ssh-ed25519 !!!", "@x", "|1|a|b ssh-ed25519 AAAA"]
)
def test_lines_without_an_entry_are_skipped(path: Path, line: str) -> None:
    path.parent.mkdir()
    path.write_text(f"{line}\nnano {A.kind} {A.blob}\n")
    assert refusal(path, "nano", A) == ""


@pytest.mark.parametrize(
    ("patterns", "host", "meant"),
    [("n*", "nano", True), ("n?no", "nano", True), ("*,!nano", "nano", False), ("*,!nano", "nana", True),
     ("n.no", "nano", False), ("a,NANO", "nano", True), ("[10.0.0.*]:22?2", "[10.0.0.3]:2222", True)],
)  # fmt: skip
def test_patterns_are_those_of_openssh(path: Path, patterns: str, host: str, meant: bool) -> None:
    path.parent.mkdir()
    path.write_text(f"{patterns} {A.kind} {A.blob}\n")
    assert (refusal(path, host, A) == "") == meant


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
@settings(max_examples=15)
@given(st.lists(st.from_regex(r"[a-z0-9]{1,8}(\.[a-z]{1,4})?", fullmatch=True), min_size=1, max_size=4, unique=True))
def test_hashed_names_are_found_as_openssh_finds_them(tmp_path_factory: pytest.TempPathFactory, hosts: list[str]) -> None:
    path = tmp_path_factory.mktemp("hosts") / "known_hosts"
    path.write_text("".join(f"{host} {A.kind} {A.blob}\n" for host in hosts[1:]) + f"[{hosts[0]}]:99 {A.kind} {A.blob}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert all(line.startswith("|1|") for line in path.read_text().splitlines())
    for host in [*hosts, f"[{hosts[0]}]:99", "nobody"]:
        theirs = subprocess.run(["ssh-keygen", "-F", host, "-f", str(path)], capture_output=True).returncode == 0
        assert bool(known_hosts.known(known_hosts.read([path]), host)) == theirs


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key").with_suffix(".pub")
    shown = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    assert HostKey(*key.read_text().split()[:2]).fingerprint in shown
