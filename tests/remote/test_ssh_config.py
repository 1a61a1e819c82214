"""Endpoints by the user's SSH configuration."""

import os
import pwd
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.errors import DeviceError
from remote.transport.ssh_config import CONNECT_TIMEOUT_S, Address, Endpoint, resolve


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture
def with_ssh(empty_home: Path) -> Path:
    """A home folder where ssh reads the configuration."""
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh here (Debian: apt install openssh-client)")
    return empty_home


@pytest.fixture
def without_ssh(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder on a computer that has no ssh."""
    monkeypatch.setattr(shutil, "which", lambda program: None)
    return empty_home


@pytest.fixture(params=["with_ssh", "without_ssh"])
def home(request: pytest.FixtureRequest) -> Path:
    """A home folder, for what ssh and we must read alike."""
    return request.getfixturevalue(request.param)


def looked_up(home: Path, config: str, address: str) -> Endpoint:
    (home / ".ssh/config").write_text(config)
    return resolve(Address.parse(address))


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
    with pytest.raises(DeviceError, match=r"in a circle|loop via a"):
        looked_up(home, "Host *\n ProxyJump a\n", "ssh://b")


@pytest.mark.parametrize(
    ("config", "proxy", "jumps"),
    [
        ("ProxyCommand nc %h %p\nProxyJump first", "nc board 2200", 0),
        ("ProxyJump first\nProxyCommand nc %h %p", None, 1),
        ("ProxyJump none\nProxyCommand nc %h %p", "nc board 2200", 0),
        ("ProxyCommand none\nProxyJump first", None, 0),
    ],
)
def test_the_first_of_two_ways_counts(home: Path, config: str, proxy: str | None, jumps: int) -> None:
    endpoint = looked_up(home, f"Host board\n{config}", "ssh://board:2200")
    assert (endpoint.proxy_command, len(endpoint.jumps)) == (proxy, jumps)


def test_included_files_are_read_in_their_place(home: Path) -> None:
    (home / ".ssh/more").mkdir()
    (home / ".ssh/more/boards").write_text("Host nano\n HostName 10.0.0.9\n")
    endpoint = looked_up(home, "Include more/*\nUser everybody\n", "ssh://nano")
    assert (endpoint.host, endpoint.user) == ("10.0.0.9", "everybody")
    assert looked_up(home, "Include more/*\nUser everybody\n", "ssh://other").user == "everybody"


BLOCKS = """
Host lab-*
  Include lab
  Port 24
Match originalhost nano
  Include ~/.ssh/nano.d/*
Host *
  User somebody
"""


def test_a_file_that_a_block_includes_counts_for_its_hosts_alone(home: Path) -> None:
    (home / ".ssh/nano.d").mkdir()
    (home / ".ssh/nano.d/first").write_text("Include second\n HostName 10.0.0.9\n")
    (home / ".ssh/second").write_text("IdentityFile ~/nano_key\n")
    (home / ".ssh/lab").write_text("Include deeper\nUser lab\n")
    (home / ".ssh/deeper").write_text("HostName 10.0.0.1\n")
    (home / "nano_key").touch()
    nano = looked_up(home, BLOCKS, "ssh://nano")
    assert (nano.host, nano.port, nano.user, nano.identities) == ("10.0.0.9", 22, "somebody", (home / "nano_key",))
    board = looked_up(home, BLOCKS, "ssh://lab-1")
    assert (board.host, board.port, board.user, board.identities) == ("10.0.0.1", 24, "lab", ())
    other = looked_up(home, BLOCKS, "ssh://other")
    assert (other.host, other.port, other.user, other.identities) == ("other", 22, "somebody", ())


def test_blocks_of_a_file_that_a_block_includes_count_for_hosts_of_both(with_ssh: Path) -> None:
    (with_ssh / ".ssh/lab").write_text("Host *\n User lab\nMatch originalhost lab-2,nano\n Port 99\n")
    endpoints = {name: looked_up(with_ssh, BLOCKS, f"ssh://{name}") for name in ("lab-1", "lab-2", "nano", "other")}
    assert {name: (endpoint.user, endpoint.port) for name, endpoint in endpoints.items()} == {
        "lab-1": ("lab", 24), "lab-2": ("lab", 99), "nano": ("somebody", 22), "other": ("somebody", 22)
    }  # fmt: skip


def test_blocks_within_blocks_are_refused_without_ssh(without_ssh: Path) -> None:
    (without_ssh / ".ssh/lab").write_text("Host *\n User lab\n")
    with pytest.raises(DeviceError, match=r"lab: 'Host \* within Host lab-\*' is understood by ssh alone"):
        looked_up(without_ssh, BLOCKS, "ssh://nano")
    assert looked_up(without_ssh, "Host * # all\n Include lab\n", "ssh://nano").user == "lab"


def test_another_home_than_the_systems_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh here (Debian: apt install openssh-client)")
    home = tmp_path / "my höme"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    (home / ".ssh/more boards").write_text("Host nano\n IdentityFile ~/key\n")
    for name in ("key", "a key"):
        (home / name).touch()
    config = 'Include "more boards"\nHost nano\n IdentityFile "~/a key"\n ProxyCommand ~/relay %h\n'
    endpoint = looked_up(home, config, "ssh://nano")
    assert endpoint.identities == (home / "key", home / "a key")
    assert endpoint.known_hosts[0] == home / ".ssh/known_hosts"
    assert endpoint.proxy_command == "~/relay nano"


def test_a_fault_of_an_included_file_has_its_name_and_line(with_ssh: Path) -> None:
    (with_ssh / ".ssh/lab").write_text("# boards\n\nHostNam nano\n")
    with pytest.raises(DeviceError, match=rf"^{with_ssh}/\.ssh/lab: line 3: Bad configuration option: hostnam$"):
        looked_up(with_ssh, "Host nano\n Include lab\n", "ssh://nano")


def test_a_file_that_includes_itself_is_one_line(with_ssh: Path) -> None:
    with pytest.raises(DeviceError, match="Too many recursive configuration includes") as raised:
        looked_up(with_ssh, "Include config\n", "ssh://nano")
    assert "\n" not in str(raised.value)


def test_the_key_of_a_user_who_is_not_there_is_named(with_ssh: Path) -> None:
    with pytest.raises(DeviceError, match="has ~nobody-here/key, but this system lists no user nobody-here"):
        looked_up(with_ssh, "IdentityFile ~nobody-here/key\n", "ssh://nano")


@pytest.mark.parametrize("keyword", ["UserKnownHostsFile", "IdentityAgent"])
def test_the_home_of_a_user_who_is_not_there_is_named(home: Path, keyword: str) -> None:
    with pytest.raises(DeviceError, match=r"no user nobody-here|No such user nobody-here") as raised:
        looked_up(home, f"{keyword} ~nobody-here/file\n", "ssh://nano")
    assert "\n" not in str(raised.value)


def test_a_faulty_configuration_is_one_line(home: Path) -> None:
    with pytest.raises(DeviceError) as raised:
        looked_up(home, "Host 'nano\n", "ssh://nano")
    assert str(raised.value).startswith(str(home / ".ssh/config"))
    assert "\n" not in str(raised.value)


COMMENTED = """
Host nano # the old one
  HostName 10.0.0.7 # on the shelf
  Port 2222 # not 22
  IdentityFile "~/a # key" # quoted
  IdentityFile ~/b#key
  ProxyCommand nc %h %p # of the shell
"""


def test_comments_end_lines_but_not_commands(home: Path) -> None:
    for name in ("a # key", "b#key"):
        (home / name).touch()
    endpoint = looked_up(home, COMMENTED, "ssh://nano")
    assert (endpoint.host, endpoint.port) == ("10.0.0.7", 2222)
    assert endpoint.identities == (home / "a # key", home / "b#key")
    assert endpoint.proxy_command == "nc 10.0.0.7 2222 # of the shell"


TOKENS = """
Host nano
  HostName %h.lan
  HostKeyAlias the-nano
  IdentityFile ~/.ssh/%n_%k_%r
  IdentityFile ${HOME}/%L%%
  UserKnownHostsFile ~/.ssh/%n_%k ${HOME}/hosts ~/plain
  ProxyCommand ~/relay $HOME %n %h %p %r %% 2>/dev/null
"""


def test_tokens_and_variables_are_those_of_ssh(home: Path) -> None:
    short = os.uname().nodename.partition(".")[0]
    keys = home / ".ssh/nano_the-nano_me", home / f"{short}%"
    for key in keys:
        key.touch()
    endpoint = looked_up(home, TOKENS, "ssh://me@nano")
    assert (endpoint.host, endpoint.key_name, endpoint.identities) == ("nano.lan", "the-nano", keys)
    assert endpoint.known_hosts[:3] == (home / ".ssh/nano_the-nano", home / "hosts", home / "plain")
    assert endpoint.proxy_command is not None
    command = endpoint.proxy_command.replace(str(home), "~", 1)
    assert command == "~/relay $HOME nano nano.lan 22 me % 2>/dev/null"


def test_a_variable_that_is_not_set_is_one_line(home: Path) -> None:
    with pytest.raises(DeviceError, match=r"no GAITPRESS_NOWHERE|GAITPRESS_NOWHERE.*not found") as raised:
        looked_up(home, "IdentityFile ${GAITPRESS_NOWHERE}/key\n", "ssh://nano")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("named", "agent"),
    [
        ("IdentityAgent ~/.ssh/agent-%n", "{home}/.ssh/agent-nano"), ("IdentityAgent none", None),
        ("IdentityAgent $ANOTHER", "/run/another"), ("IdentityAgent SSH_AUTH_SOCK", "/run/agent"), ("", "/run/agent"),
    ],
)  # fmt: skip
def test_the_agent_is_the_configured_one(home: Path, monkeypatch: pytest.MonkeyPatch, named: str, agent: str | None) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("ANOTHER", "/run/another")
    endpoint = looked_up(home, f"Host nano\n {named}\n IdentitiesOnly yes\n", "ssh://nano")
    assert endpoint.agent == (Path(agent.format(home=home)) if agent else None)
    assert endpoint.identities_only


def test_known_hosts_files_may_have_spaces(home: Path) -> None:
    assert looked_up(home, 'UserKnownHostsFile "~/my hosts" ~/others\n', "ssh://nano").known_hosts[:2] == (
        home / "my hosts",
        home / "others",
    )


def test_a_block_counts_where_ssh_says_so(with_ssh: Path) -> None:
    config = 'Match host x\n User x\nMatch exec "echo usage: none >&2; false"\n User e\nMatch final host nano\n Port 99\n'
    config += "Host nano\n CanonicalizeHostname yes\n"
    endpoint = looked_up(with_ssh, config, "ssh://me@nano")
    assert (endpoint.host, endpoint.port, endpoint.user) == ("nano", 99, "me")


@pytest.mark.parametrize(
    "line",
    ["Match localnetwork 10.0.0.0/8", "Match tagged lab", "Match host=nano", "Match final", "Match host nano exec false",
     "CanonicalizeHostname yes"],
)  # fmt: skip
def test_what_only_ssh_understands_is_refused_without_it(without_ssh: Path, line: str) -> None:
    with pytest.raises(DeviceError, match="understood by ssh alone") as raised:
        looked_up(without_ssh, f"{line}\n  Port 99\n", "ssh://nano")
    assert str(raised.value).startswith(f"{without_ssh}/.ssh/config: '{line}'")


def test_ssh_finds_its_files_by_itself_where_its_home_is_ours(
    with_ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = pwd.struct_passwd(("me", "x", os.getuid(), 0, "", str(with_ssh), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text('#!/bin/sh\nprintf "hostname there\\nuser %s\\n" "$(echo "$@" | tr " " _)"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=os.pathsep)
    endpoint = resolve(Address.parse("ssh://you@nano:24"))
    assert (endpoint.host, endpoint.user) == ("there", "-G_-T_-l_you_-p_24_--_nano")


@pytest.mark.parametrize(
    "script",
    ["echo 'WARNING: Ignoring unknown option -G' >&2; echo 'Usage: ssh [options]' >&2; exit 1", "echo welcome"],
)
def test_an_ssh_of_another_kind_is_not_asked(empty_home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (empty_home / "ssh").write_text(f"#!/bin/sh\n{script}\n")
    (empty_home / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(empty_home), prepend=os.pathsep)
    assert looked_up(empty_home, "Host nano\n HostName 10.0.0.7\n", "ssh://nano").host == "10.0.0.7"


def test_a_jump_to_no_address_is_named(home: Path) -> None:
    with pytest.raises(DeviceError, match=r"^ProxyJump -x of nano: "):
        looked_up(home, "Host nano\n ProxyJump -x\n", "ssh://nano")


def test_a_user_whom_the_system_does_not_list_has_a_configuration_too(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeviceError, match="set USER"):
        looked_up(empty_home, "", "ssh://nano")
    monkeypatch.setenv("USER", "me")
    assert looked_up(empty_home, "Host nano\n HostName 10.0.0.7\n User me\n", "ssh://nano").host == "10.0.0.7"


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
        assert not set(name) & set(" \t\n;|&<>()`'\"*?!#~{}$\\")
