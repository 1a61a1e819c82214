"""This machine as a device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remote.errors import DeviceError, TimedOut
from remote.transport import connect
from remote.transport.local import LocalTransport
from tests.support.toy import ROOT

LEFT_RUNNING = """
import sys, time
from remote.transport.local import LocalTransport
with LocalTransport() as link:
    link.start([sys.executable, "-c", "import time; print(flush=True); time.sleep(4011)"]).stdout.readline()
    print(flush=True)
    time.sleep(60)
"""


def running(words: bytes) -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in entry.read_bytes() and b"LocalTransport" not in entry.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_a_command_has_its_input_both_outputs_and_status() -> None:
    lines: list[str] = []
    with LocalTransport() as link:
        done = link.run(["sh", "-c", "cat; echo too bad >&2; exit 7"], stdin=b"\0\n\xff" * 100_000, on_line=lines.append)
    assert (done.code, done.stdout, done.stderr) == (7, b"\0\n\xff" * 100_000, b"too bad\n")
    assert len(lines) == 100_002


def test_words_and_variables_arrive_as_they_are() -> None:
    hostile = ["; touch x", "$(touch x)", "a\nb", "'", "-rf", ""]
    with LocalTransport() as link:
        done = link.run(["sh", "-c", 'printf "%s\\0" "$@" "$WORD"', "sh", *hostile], env={"WORD": "$(id)"})
    assert done.stdout.decode().split("\0")[:-1] == [*hostile, "$(id)"]


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with LocalTransport() as link, pytest.raises(TimedOut, match=r"sh took longer than 0.2 s"):
        link.run(["sh", "-c", "sleep 4012 & sleep 4013"], timeout_s=0.2)
    assert not running(b"sleep\0004012")
    assert not running(b"sleep\0004013")


def test_a_missing_program_is_reported() -> None:
    with LocalTransport() as link, pytest.raises(DeviceError, match="'no-such-program' cannot be run here"):
        link.run(["no-such-program"])


def test_the_commands_of_a_killed_client_are_ended() -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("this system does not show the environment of processes")
    client = subprocess.Popen([sys.executable, "-c", LEFT_RUNNING], cwd=ROOT, stdout=subprocess.PIPE)
    assert client.stdout
    assert client.stdout.readline()
    assert running(b"time.sleep(4011)")
    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    end = time.monotonic() + 15
    while running(b"time.sleep(4011)"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_files_stay_in_their_places_and_are_copied_to_others(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep/target"
    source.write_bytes(b"x" * 1000)
    with LocalTransport() as link:
        assert link.place(source) == str(source)
        link.send(source, str(target))
        link.send(source, str(source))
        link.fetch(str(target), tmp_path / "back")
        scratch = Path(link.scratch)
        assert scratch.is_dir()
        with pytest.raises(DeviceError, match="cannot be written: No such file"):
            link.fetch(str(tmp_path / "none"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == target.read_bytes() == source.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["back", "deep", "source"]
    assert not scratch.exists()


def test_a_user_without_a_home_reads_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)  # whom no system lists
    with pytest.raises(DeviceError, match="local: this user has no home: set HOME, or XDG_CACHE_HOME"):
        assert LocalTransport().home
    monkeypatch.setenv("USER", "user")
    with pytest.raises(DeviceError, match="board: this user has no home, and so no SSH keys: set HOME"):
        connect("board", "ssh://user@127.0.0.1:9")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DeviceError, match="cannot be made: Not a directory; or set XDG_CACHE_HOME"):
        assert LocalTransport().home
