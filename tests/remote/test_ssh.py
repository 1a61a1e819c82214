"""Commands and files over SSH, with real OpenSSH servers on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import paramiko
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote import connection
from remote.errors import DeviceError, HostKeyRefused, LinkLost, TimedOut, Unreachable
from remote.transport import connect, link, login, ssh
from remote.transport.ssh import SshTransport
from remote.transport.ssh_config import Address, resolve
from simulator.ssh_server import Server, Silent, free_port, new_key, through


@pytest.fixture
def board(server: Server) -> Iterator[SshTransport]:
    with SshTransport("nano", server.address) as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits for boards that boot, since the servers are on loopback."""
    monkeypatch.setattr(ssh, "FIRST_WAITS_S", (0.05,))
    monkeypatch.setattr(ssh, "LATER_WAITS_S", (0.1, 0.2, 0.4, 0.8, 1.6))


def eventually(holds: Callable[[], bool], within_s: float = 20) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def running(words: str) -> bool:
    """Whether a process has exactly these words."""
    wanted = words.replace(" ", "\0").encode() + b"\0"
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False


def test_a_command_has_its_input_both_outputs_and_status(board: SshTransport) -> None:
    done = board.run(["sh", "-c", "cat; echo too bad >&2; exit 7"], stdin=b"\0\xff" * 200_000)
    assert (done.code, done.stdout, done.stderr) == (7, b"\0\xff" * 200_000, b"too bad\n")


def test_much_output_on_both_streams_stops_nothing(board: SshTransport) -> None:
    noise = "head -c 9000000 /dev/zero >&2 & head -c 9000000 /dev/zero; wait"
    done = board.run(["sh", "-c", noise], timeout_s=60)
    assert (len(done.stdout), len(done.stderr)) == (9_000_000, 9_000_000)


def test_lines_are_passed_on_as_they_come(board: SshTransport) -> None:
    lines: list[tuple[str, float]] = []
    begun = time.monotonic()
    script = "echo first; echo 'second é' >&2; sleep 0.6; printf last"
    board.run(["sh", "-c", script], on_line=lambda line: lines.append((line, time.monotonic() - begun)))
    assert sorted(line for line, _ in lines) == ["first", "last", "second é"]
    assert lines[-1][0] == "last"
    assert lines[0][1] < lines[-1][1] - 0.4


@pytest.mark.parametrize("signal", [9, 11, 15])
def test_the_signal_that_ended_a_command_is_reported(board: SshTransport, signal: int) -> None:
    assert board.run(["sh", "-c", f"kill -{signal} $$"]).code == -signal


def test_a_missing_program_is_reported(board: SshTransport) -> None:
    assert board.run(["no-such-program"]).code == 127


HOSTILE = [
    "; touch x",
    "$(touch x)",
    "`touch x`",
    "a\nb",
    "'",
    '"',
    "\\",
    "-rf",
    "*",
    "~",
    "",
    "!!",
    "a=b",
    "é ",
    "& touch x",
]


@pytest.mark.parametrize("word", HOSTILE)
def test_words_arrive_as_they_are(board: SshTransport, server: Server, word: str) -> None:
    done = board.run(["printf", "%s\\0", word, word], env={"WORD": word})
    assert done.stdout == word.encode() + b"\0" + word.encode() + b"\0"
    assert board.run(["sh", "-c", 'printf %s "$WORD"'], env={"WORD": word}).stdout == word.encode()
    assert not (server.where / "x").exists()


def test_any_words_arrive_as_they_are(board: SshTransport) -> None:
    texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12)

    @settings(max_examples=25)
    @given(st.lists(texts, max_size=4))
    def arrive(words: list[str]) -> None:
        done = board.run(["sh", "-c", 'for word in "$@"; do printf "%s\\0" "$word"; done', "sh", *words])
        assert done.stdout.decode() == "".join(f"{word}\0" for word in words)

    arrive()


@pytest.mark.parametrize("fault", [{"argv": ["a\0b"]}, {"env": {"A=B": "c"}}, {"env": {"": "c"}}, {"env": {"A": "\0"}}])
def test_words_that_a_command_cannot_have_are_refused(board: SshTransport, fault: dict) -> None:
    with pytest.raises(DeviceError):
        board.run(**{"argv": ["true"], **fault})


@pytest.mark.parametrize("name", ["plain", "; touch x", "$(id)", "a\nb", "-rf", "'q'", "deep/er/é"])
def test_files_of_any_name_are_sent_and_fetched(board: SshTransport, server: Server, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(70_000))
    board.send(source, f"{board.home}/{name}")
    assert (server.home / name).read_bytes() == source.read_bytes()
    board.fetch(f"{board.home}/{name}", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert not (server.where / "x").exists()
    assert not list(server.home.rglob("*.part"))


def test_empty_files_are_sent_too(board: SshTransport, server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    board.fetch(board.place(tmp_path / "empty"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


def test_a_file_is_sent_again_only_if_it_changed_there(server: Server, tmp_path: Path) -> None:
    proxy, address = through(server, [])
    source = tmp_path / "source"
    source.write_bytes(os.urandom(2_000_000))
    with SshTransport("nano", address) as board:
        there = Path(board.place(source))
    assert there.name == subprocess.run(["sha256sum", source], capture_output=True, text=True).stdout[:64]
    first = proxy.up
    with SshTransport("nano", address) as board:
        board.place(source)
    assert proxy.up - first < 100_000
    there.write_bytes(b"something else")
    with SshTransport("nano", address) as board:
        board.place(source)
    assert there.read_bytes() == source.read_bytes()
    proxy.close()


def test_a_file_that_was_fetched_to_be_kept_is_not_sent_again(board: SshTransport, server: Server, tmp_path: Path) -> None:
    board.run(["sh", "-c", 'echo engine >"$1/e"', "sh", board.scratch])
    board.fetch(f"{board.scratch}/e", tmp_path / "engine", keep=True)
    assert list((server.home / "files").iterdir()) == [Path(board.place(tmp_path / "engine"))]


def test_a_missing_file_is_reported_and_leaves_nothing(board: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "back").write_text("old")
    with pytest.raises(DeviceError, match="no such file"):
        board.fetch(f"{board.home}/none", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "old"
    assert not list(tmp_path.glob(".back*"))


def test_a_full_disk_is_reported_and_freed(board: SshTransport, server: Server, tmp_path: Path) -> None:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mounted], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        (tmp_path / "big").write_bytes(os.urandom(3_000_000))
        with pytest.raises(DeviceError, match=r"\(3.0 MB\) cannot be written there: .*No space left"):
            board.send(tmp_path / "big", f"{mounted}/big")
        assert list(mounted.iterdir()) == []
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_read_only_folder_is_reported(board: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DeviceError, match="cannot be written there"):
        board.send(tmp_path / "file", "/proc/nothing/file")


def test_a_command_that_takes_too_long_is_ended_with_its_children(board: SshTransport) -> None:
    begun = time.monotonic()
    with pytest.raises(TimedOut, match=r"nano: sh took longer than 0.5 s"):
        board.run(["sh", "-c", "sleep 4001 & sleep 4002"], timeout_s=0.5)
    assert time.monotonic() - begun < 8
    assert not running("sleep 4001")
    assert not running("sleep 4002")


@pytest.mark.usefixtures("impatient")
def test_a_broken_link_ends_its_command_there_but_not_the_command_that_restores(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "GUARD", link.GUARD.replace('end_all "$1" 50 20', 'end_all "$1" 10 10'))
    proxy, address = through(server, [])
    board = SshTransport("nano", address)
    scratch = Path(board.scratch)
    stubborn = board.start(["sh", "-c", "trap '' TERM; sleep 4003; true"])
    begun, mended = tmp_path / "begun", tmp_path / "mended"
    script = 'echo >"$1"; cat >/dev/null; sleep 1; echo back >"$2"'
    board.start(["env", "-u", "GAITPRESS_RUN", "sh", "-c", script, "sh", str(begun), str(mended)])
    assert eventually(lambda: running("sleep 4003") and begun.exists())
    proxy.cut()
    with pytest.raises(LinkLost, match="nano: the connection was lost"):
        stubborn.wait()
    assert eventually(lambda: not running("sleep 4003"))
    assert eventually(mended.exists)
    assert eventually(lambda: not scratch.exists())
    proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_cable_that_is_pulled_ends_the_command_on_both_sides(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "BEAT_S", 0.3)
    monkeypatch.setattr(link, "SILENCE_S", 2)
    monkeypatch.setattr(link, "GUARD", link.GUARD.replace("timeout 70", "timeout 2"))
    proxy, address = through(server, [])
    with SshTransport("nano", address) as board:
        process = board.start(["sleep", "4004"])
        assert eventually(lambda: running("sleep 4004"))
        time.sleep(2.5)
        assert running("sleep 4004")  # a link that lives outlasts any silence of its commands
        proxy.freeze()
        with pytest.raises(LinkLost):
            process.wait()
        assert eventually(lambda: not running("sleep 4004"))
    proxy.close()


def test_a_cable_that_is_pulled_ends_uploads_that_wait_for_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "BEAT_S", 0.3)
    monkeypatch.setattr(link, "SILENCE_S", 5)  # a busy machine may be silent for two seconds
    proxy, address = through(server, [])

    def upload(_: int) -> float:
        with pytest.raises(LinkLost):
            board.run(["sh", "-c", "cat >/dev/null"], stdin=bytes(60_000_000))
        return time.monotonic()

    with SshTransport("nano", address) as board, ThreadPoolExecutor(8) as pool:
        assert board.home
        ends = pool.map(upload, range(8))  # together more than a socket holds
        assert eventually(lambda: proxy.up > 20_000_000)
        proxy.freeze()
        frozen = time.monotonic()
        assert max(ends) - frozen < 15
    proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_cut_upload_continues_where_it_was(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    proxy, address = through(server, [6_000_000, 5_000_000])
    (tmp_path / "big").write_bytes(os.urandom(16_000_000))
    with SshTransport("nano", address) as board:
        there = board.place(tmp_path / "big")
    assert Path(there).read_bytes() == (tmp_path / "big").read_bytes()
    assert proxy.cuts == 2
    # What was on its way at each cut is lost, not more: an upload from the start would have been 27 MB.
    assert proxy.up < 22_000_000
    assert "trying again (1 of 4)" in capfd.readouterr().err
    assert not list(server.home.rglob("*.part"))
    proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_cut_download_continues_too(server: Server, tmp_path: Path) -> None:
    proxy, address = through(server, [])
    big = server.where / "big"
    big.write_bytes(os.urandom(40_000_000))
    with SshTransport("nano", address) as board:
        partial = tmp_path / ".back.partial"
        assert board.home

        def cut() -> None:
            eventually(lambda: partial.exists() and partial.stat().st_size > 1_000_000)
            proxy.cut()

        threading.Thread(target=cut).start()
        board.fetch(str(big), tmp_path / "back")
    assert proxy.connections == 2
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_dies_and_comes_back_is_used_again(server: Server, board: SshTransport, tmp_path: Path) -> None:
    restored: list[str] = []
    assert board.run(["true"]).code == 0
    board.after_reconnecting.append(lambda: restored.append(board.home))
    process = board.start(["sleep", "4005"])
    server.kill()
    with pytest.raises(LinkLost):
        process.wait()
    threading.Timer(0.5, server.start).start()
    (tmp_path / "file").write_text("x")
    assert Path(board.place(tmp_path / "file")).read_text() == "x"
    assert restored == [board.home]
    assert eventually(lambda: not running("sleep 4005"))


@pytest.mark.usefixtures("impatient")
def test_all_users_of_a_broken_link_get_one_new_link(server: Server) -> None:
    proxy, address = through(server, [])
    restored: list[int] = []
    with SshTransport("nano", address) as board, ThreadPoolExecutor(8) as pool:
        assert board.home
        board.after_reconnecting.append(lambda: restored.append(board.run(["sleep", "0.3"]).code))
        proxy.cut()
        echoes = pool.map(lambda number: board.run(["echo", str(number)], repeatable=True).stdout, range(8))
        assert list(echoes) == [b"%d\n" % number for number in range(8)]
    assert (restored, proxy.connections) == ([0], 2)
    proxy.close()


def test_commands_that_do_not_read_their_input_leave_the_link_alone(server: Server) -> None:
    proxy, address = through(server, [])
    unread = bytes(600_000)
    with SshTransport("nano", address) as board, ThreadPoolExecutor(4) as pool:
        assert board.home
        commands = pool.map(lambda number: board.run(["echo", str(number)], stdin=unread), range(100))
        assert [command.stdout for command in commands] == [b"%d\n" % number for number in range(100)]
    assert proxy.connections == 1, (server.where / "log").read_text()
    proxy.close()


def test_while_keys_are_exchanged_input_waits_without_a_lock(board: SshTransport) -> None:
    assert board.home
    assert board._link
    connection = board._link._connections[0]
    command = board.start(["sha256sum"])
    sent = os.urandom(3_000_000)

    def send() -> None:
        command.stdin.write(sent)
        command.stdin.close()

    with connection.clear_to_send_lock:
        connection.clear_to_send.clear()  # as when an exchange begins
    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.3)
    # The thread that exchanges keys takes this lock for each message about the channel's window.
    assert command._channel.lock.acquire(timeout=1)
    command._channel.lock.release()
    assert command._channel.out_window_size == 1 << 21  # OpenSSH's, untouched
    with connection.clear_to_send_lock:
        connection.clear_to_send.set()
    assert command.stdout.readline().split()[0].decode() == hashlib.sha256(sent).hexdigest()
    sender.join()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", [BrokenPipeError(), EOFError()])
def test_a_link_that_cannot_be_written_to_is_replaced_before_its_end_is_read(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    proxy, address = through(server, [])

    def broken(*_: object, **__: object) -> NoReturn:
        raise error

    with SshTransport("nano", address) as board:
        assert board.home and board._link
        transport = board._link._connections[-1]
        monkeypatch.setattr(transport, "open_session", broken)
        assert transport.is_active()
        assert board.run(["echo", "back"]).stdout == b"back\n"
    assert proxy.connections == 2
    proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_link_that_breaks_during_restoring_restores_everything_again(server: Server) -> None:
    proxy, address = through(server, [])
    restored: list[str] = []

    def first() -> None:
        restored.append("first")

    def second() -> None:
        if restored == ["first"]:
            proxy.cut()
        assert board.run(["true"], repeatable=True).code == 0
        restored.append("second")

    with SshTransport("nano", address) as board:
        assert board.home
        board.after_reconnecting += [first, second]
        proxy.cut()
        assert board.run(["true"], repeatable=True).code == 0
    assert restored == ["first", "first", "second"]
    proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_repeatable_command_is_repeated(server: Server, board: SshTransport) -> None:
    once = server.where / "once"
    script = '[ -e "$1" ] && echo done && exit; touch "$1"; sleep 4006'

    def restart() -> None:
        eventually(once.exists)
        server.kill()
        server.start()

    threading.Thread(target=restart).start()
    assert board.run(["sh", "-c", script, "sh", str(once)], repeatable=True).stdout == b"done\n"


@pytest.mark.usefixtures("impatient")
def test_a_device_that_stays_away_is_given_up(server: Server, board: SshTransport) -> None:
    assert board.home
    server.kill()
    begun = time.monotonic()
    with pytest.raises(Unreachable, match=r"nano cannot be reached: .*connection refused"):
        board.run(["true"], repeatable=True)
    assert time.monotonic() - begun < 30


def refusal(address: str) -> str:
    """The one-line message of a refused connection."""
    with pytest.raises(DeviceError) as refused, connect("nano", address) as board:
        assert board.home
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_unknown_host_key_is_refused_with_the_command_that_makes_it_known(servers: Callable[..., Server]) -> None:
    server = servers(known=False)
    with pytest.raises(HostKeyRefused, match="python -m remote trust nano"), connect("nano", server.address) as board:
        assert board.home


def test_a_changed_host_key_is_refused_loudly(server: Server, tmp_path: Path) -> None:
    server.kill()
    server.settings["HostKey"] = str(new_key(tmp_path / "other"))
    server.start()
    assert refusal(server.address).startswith("HOST KEY CHANGED")


def test_a_key_that_the_configuration_revokes_is_refused(server: Server, client: Path) -> None:
    (client / ".ssh/config").write_text("RevokedHostKeys ~/.ssh/revoked\n")
    assert "cannot be read" in refusal(server.address)
    public = server.host_key.with_suffix(".pub")
    (client / ".ssh/revoked").write_text(public.read_text())
    assert refusal(server.address).startswith("HOST KEY REVOKED")
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", client / ".ssh/revoked", public], check=True)
    assert "binary list" in refusal(server.address)


def test_a_server_that_allows_one_command_at_a_time_is_reported(server: Server) -> None:
    server.kill()
    server.settings["MaxSessions"] = "1"
    server.start()
    with (
        connect("nano", server.address) as board,
        pytest.raises(DeviceError, match="MaxSessions in its sshd_config is too low"),
    ):
        board.run(["true"])


def test_the_known_one_of_several_host_keys_is_requested(server: Server, tmp_path: Path) -> None:
    server.kill()
    rsa = new_key(tmp_path / "rsa", "rsa")
    server.settings["HostKey"] = f"{server.host_key}\nHostKey {rsa}"
    server.start()
    known_line = f"[127.0.0.1]:{server.port} {' '.join(rsa.with_suffix('.pub').read_text().split()[:2])}\n"
    (Path.home() / ".ssh/known_hosts").write_text(known_line)
    with connect("nano", server.address) as board:
        assert board.run(["true"]).code == 0


def test_a_refused_login_names_the_keys_that_were_tried(server: Server) -> None:
    message = refusal(server.address.replace("ssh://", "ssh://nobody-", 1))
    assert "permission denied (tried: " in message
    assert "id_ed25519" in message
    assert "ssh-copy-id" in message


def test_a_login_without_any_key_says_so(server: Server) -> None:
    for file in (Path.home() / ".ssh").glob("id_*"):
        file.unlink()
    assert "there is no key and no agent" in refusal(server.address)


def test_a_key_with_a_passphrase_needs_a_terminal_or_an_agent(server: Server) -> None:
    key = Path.home() / ".ssh/id_ed25519"
    key.unlink()
    new_key(key, passphrase="secret")
    assert f"permission denied: no key can be offered: {key} has a passphrase: type `ssh-add {key}`" in refusal(
        server.address
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "is a key of PuTTY: type `puttygen {key} -O private-openssh"),
        pytest.param(b"", "is damaged, or no key: see `ssh-keygen -y -f {key}`", marks=pytest.mark.slow),
        (b"ssh-ed25519 AAAA me\n", "is the public half of a key: name the private one"),
        pytest.param(None, "has a public half alone here, and no agent has the private one", marks=pytest.mark.slow),
    ],
)
def test_a_key_that_cannot_be_offered_is_named_with_the_reason(server: Server, content: bytes | None, why: str) -> None:
    key = Path.home() / ".ssh/id_ed25519"
    if content is None:
        key.unlink()
    else:
        key.write_bytes(content)
    message = refusal(server.address)
    assert f"permission denied: no key can be offered: {key} {why.format(key=key)}" in message
    assert "ssh-copy-id" not in message
    other = new_key(key.with_name("id_rsa"), "rsa")
    assert f"(tried: {other}; not offered: {key} {why.format(key=key)}" in refusal(server.address)


def test_a_key_that_is_damaged_is_named(server: Server) -> None:
    key = Path.home() / ".ssh/id_ed25519"
    key.write_bytes(key.read_bytes()[:200])
    assert f"no key can be offered: {key} is damaged, or no key" in refusal(server.address)


def test_a_server_that_wants_more_than_the_right_key_is_not_said_to_refuse_the_key(server: Server) -> None:
    server.kill()
    server.settings |= {"AuthenticationMethods": "publickey,password", "PasswordAuthentication": "yes"}
    server.start()
    message = refusal(server.address)
    assert "id_ed25519, and asks for more (password), which can be typed at a terminal alone" in message
    assert "ssh-copy-id" not in message


@pytest.mark.parametrize(
    ("keyword", "value", "usual"),
    [
        ("KexAlgorithms", "sntrup761x25519-sha512@openssh.com", "KexAlgorithms curve25519-sha256"),
        ("Ciphers", "chacha20-poly1305@openssh.com", "Ciphers aes256-ctr"),
    ],
)
def test_a_server_that_allows_too_little_is_reported_with_what_to_allow(
    server: Server, keyword: str, value: str, usual: str
) -> None:
    server.kill()
    server.settings[keyword] = value
    server.start()
    begun = time.monotonic()
    message = refusal(server.address)
    assert message.endswith(f"; let its sshd_config also allow {usual}")
    assert time.monotonic() - begun < 15  # it is not tried again and again


@pytest.mark.usefixtures("impatient")
def test_a_closed_port_and_a_port_without_ssh_are_reported(client: Path) -> None:
    assert "connection refused" in refusal(f"ssh://127.0.0.1:{free_port()}")
    with Silent() as port:
        (client / ".ssh/config").write_text("Host *\n ConnectTimeout 1\n")
        begun = time.monotonic()
        assert "no SSH connection" in refusal(f"ssh://127.0.0.1:{port}")
        assert time.monotonic() - begun < 15


def test_an_unknown_host_is_reported(client: Path) -> None:
    assert "no host of this name" in refusal("ssh://no-such-host.invalid")


def test_an_alias_leads_through_a_second_server(servers: Callable[..., Server], client: Path) -> None:
    first, board = servers("first"), servers("board", WHICH="board")
    (client / ".ssh/config").write_text(
        f"Host first\n HostName 127.0.0.1\n Port {first.port}\n"
        f"Host nano\n HostName 127.0.0.1\n Port {board.port}\n ProxyJump first\n"
    )
    with connect("nano", "ssh://nano") as link:
        assert link.run(["printenv", "WHICH"]).stdout == b"board\n"
    assert "Accepted" in (first.where / "log").read_text()
    first.kill()
    assert "connection refused" in refusal("ssh://nano")


RELAY = """
import os, socket, sys, threading
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := server.recv(65536):
    os.write(1, data)
"""


def test_a_proxy_command_reaches_the_device_and_ends_with_the_link(server: Server, client: Path) -> None:
    (client / "relay.py").write_text(RELAY)
    (client / ".ssh/config").write_text(
        f"Host nano\n HostName 127.0.0.1\n Port {server.port}\n ProxyCommand python3 ~/relay.py %p\n"
    )
    known_host = f"[127.0.0.1]:{server.port}"
    assert known_host in (client / ".ssh/known_hosts").read_text()
    with connect("nano", "ssh://nano") as link:
        assert link.run(["echo", "hello"]).stdout == b"hello\n"
        process = link.start(["sleep", "4007"])
        subprocess.run(["pkill", "-f", f"relay.py {server.port}"], check=True)
        with pytest.raises(LinkLost):
            process.wait()


def test_a_proxy_command_is_read_by_the_users_shell(server: Server, client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    relay = client / "my relay"
    relay.write_text('#!/bin/sh\necho noise >&2\nexec python3 -c "$RELAY" "$1"\n')
    relay.chmod(0o755)
    monkeypatch.setenv("RELAY", RELAY)
    (client / ".ssh/config").write_text(
        f"Host nano\n HostName 127.0.0.1\n Port {server.port}\n"
        ' ProxyCommand "$HOME/my relay" %p 2>~/noise-of-%n | cat # all of it\n'
    )
    with connect("nano", "ssh://nano") as link:
        assert link.run(["echo", "hello"]).stdout == b"hello\n"
    assert (client / "noise-of-nano").read_text() == "noise\n"


def test_two_clients_at_once_leave_the_same_file_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(8_000_000))
    places: list[str] = []

    def send() -> None:
        with SshTransport("nano", server.address) as board:
            places.append(board.place(tmp_path / "big"))

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) == 3
    assert Path(places[0]).read_bytes() == (tmp_path / "big").read_bytes()
    assert [entry.name for entry in (server.home / "files").iterdir()] == [Path(places[0]).name]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The socket of an agent without keys."""
    listens = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(listens)], stdout=subprocess.DEVNULL)
    try:
        assert eventually(listens.exists)
        yield listens
    finally:
        process.kill()
        process.wait()


def lend(agent: Path, *keys: Path) -> None:
    """Give keys to an agent."""
    subprocess.run(["ssh-add", "-q", *keys], env={**os.environ, "SSH_AUTH_SOCK": str(agent)}, check=True)


def test_a_key_of_the_agent_logs_in_too(server: Server, agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    key = Path.home() / ".ssh/id_ed25519"
    lend(agent, key)
    key.unlink()
    key.with_suffix(".pub").unlink()
    with connect("nano", server.address) as board:
        assert board.run(["true"]).code == 0


@pytest.mark.parametrize("kept", ["its public half", "a private half with a passphrase"])
def test_a_named_key_goes_before_the_agents_others(
    server: Server, client: Path, agent: Path, tmp_path: Path, kept: str
) -> None:
    key = client / ".ssh/id_ed25519"
    lend(agent, *(new_key(tmp_path / f"other-{number}") for number in range(7)), key)
    if kept == "its public half":
        key.unlink()
    else:
        key.with_suffix(".pub").unlink()
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", key]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    (client / ".ssh/config").write_text(f"IdentityAgent {agent}\nIdentityFile ~/.ssh/id_ed25519\n")
    with connect("nano", server.address) as board:
        assert board.run(["true"]).code == 0


def test_of_seven_keys_that_do_not_fit_only_the_named_ones_are_offered(
    server: Server, client: Path, agent: Path, tmp_path: Path
) -> None:
    named = new_key(tmp_path / "named")
    lend(agent, named, *(new_key(tmp_path / f"other-{number}") for number in range(6)))
    (client / ".ssh/config").write_text(f"IdentityAgent {agent}\nIdentityFile {named}\n")
    assert "the server takes no more tries; name its key by IdentityFile in ~/.ssh/config" in refusal(server.address)
    (client / ".ssh/config").write_text(f"IdentityAgent {agent}\nIdentityFile {named}\nIdentitiesOnly yes\n")
    assert f"permission denied (tried: {named}); " in refusal(server.address)


class Typed:
    """A person at a terminal who types one line."""

    def __init__(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text = text
        self.asked: list[str] = []
        monkeypatch.setattr("sys.stdin", self)
        monkeypatch.setattr("getpass.getpass", self.ask)

    def isatty(self) -> bool:
        return True

    def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        return self.text


def test_a_terminal_is_asked_for_a_passphrase(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Path.home() / ".ssh/id_ed25519"
    key.unlink()
    new_key(key, passphrase="secret")
    (server.where / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    typed = Typed("secret", monkeypatch)
    with connect("nano", server.address) as board:
        assert board.run(["true"]).code == 0
    assert typed.asked == [f"passphrase of {key}: "]


class PasswordServer(paramiko.ServerInterface):
    """Accepts the password, and offers nothing after the login."""

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == ("me", "secret") else paramiko.AUTH_FAILED


@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_a_terminal_is_asked_for_a_password_if_no_key_fits(
    client: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    host_key = paramiko.Ed25519Key.from_private_key_file(str(new_key(client / "host_key")))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        server = paramiko.Transport(listener.accept()[0])
        server.add_server_key(host_key)
        server.start_server(server=PasswordServer())

    threading.Thread(target=serve, daemon=True).start()
    (client / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} ssh-ed25519 {host_key.get_base64()}\n")
    typed = Typed(password, monkeypatch)
    endpoint = resolve(Address.parse(f"ssh://me@127.0.0.1:{port}"))
    judge = login.judge_by_known_hosts("nano")
    if password == "secret":
        login.close(login.connect([endpoint], judge))
    else:
        with pytest.raises(DeviceError, match=r"permission denied \(tried: .*a password\)") as raised:
            login.connect([endpoint], judge)
        assert password not in str(raised.value)
    assert typed.asked == [f"me@127.0.0.1:{port}'s password: "]
    listener.close()


def test_nothing_is_asked_without_a_terminal(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path.home() / ".ssh/id_ed25519").unlink()
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("asked"))
    assert "permission denied" in refusal(server.address)


def test_a_board_that_answers_before_it_lets_users_in_is_waited_for(
    server: Server, board: SshTransport, capfd: pytest.CaptureFixture
) -> None:
    assert board.run(["true"]).code == 0
    server.kill()
    keys = server.where / "authorized_keys"
    keys.rename(keys.with_name("later"))
    server.start()
    ready = threading.Timer(1.5, keys.with_name("later").rename, [keys])
    ready.start()
    assert board.run(["true"], repeatable=True).code == 0
    ready.join()
    said = capfd.readouterr().err
    assert "it let us in before, so trying again" in said
    keys.unlink()
    assert "permission denied" in refusal(server.address)  # whom it never let in


@pytest.mark.parametrize("noticed", [False, True])
def test_a_server_that_dies_during_a_login_is_not_said_to_refuse_the_key(
    server: Server, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    def dies(connection: paramiko.Transport, *arguments: object) -> list[str]:
        server.kill()
        while noticed and connection.is_active():
            time.sleep(0.01)
        return offered(connection, *arguments)

    offered = paramiko.Transport.auth_publickey
    monkeypatch.setattr(paramiko.Transport, "auth_publickey", dies)
    said = refusal(server.address)
    assert "permission denied" not in said
    assert "cannot be reached" in said


def test_a_program_that_was_killed_is_judged_when_it_is_known_whether_its_board_goes_down(
    server: Server, board: SshTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GOES_DOWN_S", 1.0)
    assert board.run(["true"]).code == 0
    assert "memory ran out" in str(connection.killed_there(board, "trtexec"))
    ending = threading.Timer(0.3, server.kill)
    ending.start()
    with pytest.raises(LinkLost, match="trtexec was killed; the device went down"):
        connection.killed_there(board, "trtexec")
    ending.join()


@pytest.mark.parametrize("line", ["echo hello", "printf 'no end of line'", "echo hello >&2", "head -c 100000 /dev/zero"])
def test_what_a_login_shell_prints_is_not_a_commands(server: Server, tmp_path: Path, line: str) -> None:
    (server.where / ".bashrc").write_text(f"{line}\n")
    (tmp_path / "file").write_bytes(os.urandom(100_000))
    with connect("nano", server.address) as board:
        assert board.home == str(server.home)
        board.fetch(board.place(tmp_path / "file"), tmp_path / "back")
        done = board.run(["sh", "-c", "cat; echo too bad >&2; exit 7"], stdin=b"\0\xff")
        assert (done.code, done.stdout, done.stderr) == (7, b"\0\xff", b"too bad\n")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo This account is not available.; exit 1", "ran no command of ours; it said: This account is not available."),
        ("echo no more processes >&2; exit 1", "ran no command of ours; it said: no more processes"),
        ("echo Which shell?; read answer", "runs no command within 2 s; it said: Which shell?; see ~/.bashrc there"),
    ],
)
def test_a_login_shell_that_runs_no_command_is_reported(
    server: Server, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    monkeypatch.setattr(link, "LOGIN_S", 2.0)
    (server.where / ".bashrc").write_text(f"{line}\n")
    assert message in refusal(server.address)


def test_a_clock_that_jumps_costs_no_other_link_its_files(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (server.home / "run/gone").mkdir(parents=True)
    with SshTransport("nano", server.address) as board:
        placed, built = Path(board.place(tmp_path / "file")), Path(board.scratch) / "engine"
        built.write_text("engine")
        past = time.time() - 50 * 365 * 86400  # before the clock was set
        for path in (placed, built, built.parent, server.home / "run/gone"):
            os.utime(path, (past, past))
        with SshTransport("nano", server.address) as another:
            assert another.run(["true"]).code == 0
        assert placed.exists()
        assert built.exists()
        assert not (server.home / "run/gone").exists()
    with SshTransport("nano", server.address) as board:
        assert board.home
        assert not placed.exists()  # what nobody used for a month goes
