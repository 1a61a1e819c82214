"""One job at a time on a device, on this machine and over SSH."""

from __future__ import annotations

import ast
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from remote import lock, lock_holder
from remote.errors import DeviceError
from remote.lock import held
from remote.transport import connect, ssh
from simulator.ssh_server import Server
from tests.support.toy import ROOT

CLIENT = """
import sys, time
from remote.lock import held
from remote.transport import connect
with connect("nano", sys.argv[1]) as link, held(link, "a long job", shared="shared" in sys.argv):
    print("mine", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["local", "ssh"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "local":
        monkeypatch.setenv("GAITPRESS_MACHINE", str(tmp_path))
        return "local"
    return request.getfixturevalue("server").address


def taken(address: str, *company: str) -> subprocess.Popen[bytes]:
    """Another client that holds the device."""
    client = subprocess.Popen([sys.executable, "-c", CLIENT, address, *company], cwd=ROOT, stdout=subprocess.PIPE)
    assert client.stdout
    assert client.stdout.readline() == b"mine\n"
    return client


def test_the_program_of_the_lock_is_written_in_python_3_6() -> None:
    tree = ast.parse(Path(lock_holder.__file__).read_text(), feature_version=(3, 6))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names <= set(sys.stdlib_module_names)


def test_jobs_run_in_turn_and_the_second_names_the_one_it_waits_for(address: str, capfd: pytest.CaptureFixture) -> None:
    order: list[str] = []
    free = threading.Event()

    def first() -> None:
        with connect("nano", address) as link, held(link, "the first job"):
            order.append("first begins")
            free.wait(60)
            order.append("first ends")

    def second() -> None:
        with connect("nano", address) as link, held(link, "the second job"):
            order.append("second begins")

    threads = [threading.Thread(target=job) for job in (first, second)]
    threads[0].start()
    while not order:
        time.sleep(0.02)
    threads[1].start()
    output, end = "", time.monotonic() + 30
    while "is busy" not in output and time.monotonic() < end:
        time.sleep(0.05)
        output += capfd.readouterr().err
    free.set()
    for thread in threads:
        thread.join()
    assert order == ["first begins", "first ends", "second begins"]
    assert "nano is busy: " in output
    assert f"(process {os.getpid()}) is at the first job, for 0 min " in output


def test_jobs_that_share_a_device_run_together_and_one_that_is_alone_has_its_turn_before_later_ones(address: str) -> None:
    sharers = [taken(address, "shared"), taken(address, "shared")]
    words = [sys.executable, "-c", CLIENT, address]
    alone = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert alone.stdout and alone.stderr
    assert b"is at a long job" in alone.stderr.readline()
    later = subprocess.Popen([*words, "shared"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert later.stdout and later.stderr
    assert f"process {alone.pid}) is at a long job".encode() in later.stderr.readline()
    assert not select.select([alone.stdout], [], [], 0.5)[0]
    sharers[0].kill()
    assert not select.select([alone.stdout], [], [], 1)[0], "one of the two that share is still there"
    sharers[1].kill()
    assert alone.stdout.readline() == b"mine\n"
    assert not select.select([later.stdout], [], [], 1)[0]
    alone.kill()
    assert later.stdout.readline() == b"mine\n"
    later.kill()
    for client in (*sharers, alone, later):
        client.wait()


def test_a_client_that_is_killed_leaves_no_lock_behind(address: str) -> None:
    client = taken(address)
    client.send_signal(signal.SIGKILL)
    client.wait()
    begun = time.monotonic()
    with connect("nano", address) as link, held(link, "the next job"):
        assert time.monotonic() - begun < 15


def test_a_client_that_stops_waiting_never_gets_the_lock(address: str, tmp_path: Path) -> None:
    client = taken(address)
    waiting = subprocess.Popen([sys.executable, "-c", CLIENT, address], cwd=ROOT, stderr=subprocess.PIPE)
    assert waiting.stderr
    assert b"nano is busy" in waiting.stderr.readline()
    waiting.kill()
    waiting.wait()
    client.kill()
    client.wait()
    with connect("nano", address) as link, held(link, "the next job"):
        pass


def test_a_lock_that_is_lost_with_the_connection_is_taken_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "LATER_WAITS_S", (0.1, 0.2, 0.4, 0.8))
    with connect("nano", server.address) as link, held(link, "a job"):
        server.kill()
        server.start()
        assert link.run(["true"], repeatable=True).code == 0
        other = subprocess.Popen([sys.executable, "-c", CLIENT, server.address], cwd=ROOT, stderr=subprocess.PIPE)
        assert other.stderr
        assert b"is at a job" in other.stderr.readline()
        other.kill()
        other.wait()


def test_a_device_that_cannot_be_locked_is_reported(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lock, "HOLDER", tmp_path / "holder.py")
    (tmp_path / "holder.py").write_text("raise OSError('no room')\n")
    refused = pytest.raises(DeviceError, match="cannot be locked: OSError: no room")
    with connect("nano", server.address) as link, refused, held(link, "a job"):
        pass


def test_two_devices_on_different_machines_do_not_wait_for_each_other(servers: Callable[..., Server]) -> None:
    one, two = servers("one"), servers("two")
    with connect("one", one.address) as first, connect("two", two.address) as second:
        locks = held(first, "a job"), held(second, "another job")
        with locks[0], locks[1]:
            assert first.run(["true"]).code == second.run(["true"]).code == 0


def test_users_and_jobs_with_folders_of_their_own_share_the_machines_lock(servers: Callable[..., Server]) -> None:
    one, two = (servers(name, GAITPRESS_MACHINE="shared") for name in ("one", "two"))
    assert one.env["TMPDIR"] != two.env["TMPDIR"]
    client = taken(one.address)
    waiting = subprocess.Popen([sys.executable, "-c", CLIENT, two.address], cwd=ROOT, stderr=subprocess.PIPE)
    assert waiting.stderr
    assert b"is at a long job, for 0 min " in waiting.stderr.readline()
    for process in (waiting, client):
        process.kill()
        process.wait()


def test_a_holder_that_does_not_answer_is_waited_for(server: Server) -> None:
    client = taken(server.address)
    ours = f"python3\0{server.home}/".encode()
    commands = {path: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")}
    [holder] = [int(path.parent.name) for path, words in commands.items() if words.startswith(ours)]
    os.kill(holder, signal.SIGSTOP)
    waiting = subprocess.Popen([sys.executable, "-c", CLIENT, server.address], cwd=ROOT, stdout=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1.5)
    os.kill(holder, signal.SIGCONT)
    client.kill()
    client.wait()
    assert waiting.stdout
    assert waiting.stdout.readline() == b"mine\n"
    waiting.kill()
    waiting.wait()
