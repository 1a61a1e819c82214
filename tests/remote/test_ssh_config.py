"""Endpoints by the user's SSH configuration."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.errors import DeviceError
from remote.transport.ssh_config import CONNECT_TIMEOUT_S, Address, Endpoint, resolve


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def looked_up(home: Path, config: str, address: str) -> Endpoint:
    (home / ".ssh/config").write_text(config)
    return resolve(Address.parse(address), (home / ".ssh/config",))


CONFIG = """
Host nano
  HostName 10.0.0.7
  User jetson
  Port 2222
  IdentityFile ~/.ssh/nano_key
  UserKnownHostsFile ~/.ssh/nano_hosts
  ConnectTimeout 4
  HostKeyAlias the-nano
Host *
  User somebody
"""


def test_an_alias_is_looked_up(home: Path) -> None:
    (home / ".ssh/nano_key").touch()
    endpoint = looked_up(home, CONFIG, "ssh://nano")
    assert (endpoint.host, endpoint.port, endpoint.user, endpoint.key_name) == ("10.0.0.7", 2222, "jetson", "the-nano")
    assert endpoint.identities == (home / ".ssh/nano_key",)
    assert endpoint.known_hosts[0] == home / ".ssh/nano_hosts"
    assert endpoint.connect_timeout_s == 4


def test_devices_yaml_goes_before_the_configuration(home: Path) -> None:
    endpoint = looked_up(home, CONFIG, "ssh://root@nano:22")
    assert (endpoint.host, endpoint.port, endpoint.user) == ("10.0.0.7", 22, "root")


def test_a_host_without_an_entry_is_itself(home: Path) -> None:
    endpoint = looked_up(home, CONFIG, "ssh://board.lan")
    assert (endpoint.host, endpoint.port, endpoint.user) == ("board.lan", 22, "somebody")
    assert endpoint.connect_timeout_s == CONNECT_TIMEOUT_S
    assert endpoint.identities == ()
    assert endpoint.known_hosts[0] == home / ".ssh/known_hosts"


def test_jumps_are_used_in_order(home: Path) -> None:
    config = "Host board\n ProxyJump first,me@second:24\nHost first\n HostName 1.1.1.1\n ProxyJump zeroth\n"
    endpoint = looked_up(home, config, "ssh://board")
    assert [(jump.host, jump.port) for jump in endpoint.jumps] == [("zeroth", 22), ("1.1.1.1", 22), ("second", 24)]
    assert endpoint.jumps[-1].user == "me"


def test_jumps_in_a_circle_are_reported(home: Path) -> None:
    with pytest.raises(DeviceError, match="in a circle"):
        looked_up(home, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "ssh://a")


@pytest.mark.parametrize(
    ("config", "proxy", "jumps"),
    [
        ("ProxyCommand nc %h %p\nProxyJump first", ("nc", "board", "2200"), 0),
        ("ProxyJump first\nProxyCommand nc %h %p", None, 1),
        ("ProxyJump none\nProxyCommand nc %h %p", None, 0),
        ("ProxyCommand none\nProxyJump first", None, 0),
    ],
)
def test_the_first_of_two_ways_counts(home: Path, config: str, proxy: tuple[str, ...] | None, jumps: int) -> None:
    endpoint = looked_up(home, config, "ssh://board:2200")
    assert (endpoint.proxy_command, len(endpoint.jumps)) == (proxy, jumps)


def test_included_files_are_read_in_their_place(home: Path) -> None:
    (home / ".ssh/more").mkdir()
    (home / ".ssh/more/boards").write_text("Host nano\n HostName 10.0.0.9\n")
    endpoint = looked_up(home, "Include more/*\nUser everybody\n", "ssh://nano")
    assert (endpoint.host, endpoint.user) == ("10.0.0.9", "everybody")
    assert looked_up(home, "Include more/*\nUser everybody\n", "ssh://other").user == "everybody"


def test_a_faulty_configuration_is_one_line(home: Path) -> None:
    with pytest.raises(DeviceError) as raised:
        looked_up(home, "Host 'nano\n", "ssh://nano")
    assert str(raised.value).startswith(str(home / ".ssh/config"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "ssh://", "http://nano", "nano", "ssh://nano/x", "ssh://nano?x", "ssh://nano:port", "ssh://a:b@nano", "ssh://-x",
        "ssh://-x@nano", "ssh://a b", "ssh://$(id)", "ssh://a;b", "ssh://a@b@", "ssh://nano\n", "ssh://%h",
    ],
)  # fmt: skip
def test_a_text_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(DeviceError):
        Address.parse(address)


def test_addresses_of_every_form_are_understood() -> None:
    assert Address.parse("ssh://Nano") == Address("Nano")
    assert Address.parse("ssh://me@10.0.0.1:2222") == Address("10.0.0.1", "me", 2222)
    assert Address.parse("ssh://me@[fe80::1%eth0]:2222") == Address("fe80::1%eth0", "me", 2222)


@given(st.text(max_size=20))
def test_no_address_becomes_an_option_or_a_sign_of_a_shell(text: str) -> None:
    try:
        address = Address.parse(f"ssh://{text}")
    except DeviceError:
        return
    for name in (address.host, address.user or "user"):
        assert not name.startswith("-")
        assert not set(name) & set(" \t\n;|&<>()`'\"*?!#~{}")
