"""The disk of a board that is read-only, takes no more files, has no room at all, or runs no programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.check import check
from remote.errors import DeviceError
from remote.findings import Finding
from remote.inventory import Device
from remote.python.imports import try_out
from remote.runtimes import runtime_on
from remote.transport import connect
from simulator.ssh_server import Server
from tests.support.small_disk import SmallDisk, mounted


@pytest.fixture
def disk(server: Server) -> Iterator[SmallDisk]:
    """The disk of our folder on the board."""
    with mounted(server.home, 1 << 20, files=64) as disk:
        yield disk


def device(server: Server) -> Device:
    return Device("board", server.address, "onnxruntime", {"python": sys.executable})


def checked(server: Server, what: str) -> Finding:
    [finding] = [finding for finding in check(device(server)) if finding.what == what]
    return finding


def remounted(disk: SmallDisk, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk.where], check=True)


def test_a_disk_that_became_read_only_is_reported_and_usable_once_it_is_not(server: Server, disk: SmallDisk) -> None:
    """As an SD card becomes, once writing to it failed."""
    remounted(disk, "ro")
    finding = checked(server, "link")
    assert finding.verdict == "fault"
    assert "it cannot keep our files: " in finding.text
    assert "Read-only file system" in finding.text
    with pytest.raises(DeviceError, match="Read-only file system"), runtime_on(device(server), "a test"):
        pass
    remounted(disk, "rw")
    with runtime_on(device(server), "a test") as runtime:
        assert runtime.facts()["runtime"] == "onnxruntime"


def test_a_disk_that_takes_no_more_files_is_told_from_one_with_room(server: Server, disk: SmallDisk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    finding = checked(server, "disk")
    assert finding.verdict == "warning"
    assert "more files, whatever room is free: few inodes are left" in finding.text
    with connect("board", server.address) as link:
        assert link.home
        with pytest.raises(OSError, match="No space"):
            for number in range(64):
                (disk.where / str(number)).touch()
        with pytest.raises(DeviceError, match=r"cannot be written there: .*No space left on device"):
            link.place(tmp_path / "file")
    while list((disk.where / "run").iterdir()):  # the connection tidies up there
        time.sleep(0.02)
    with pytest.raises(OSError, match="No space"):
        for number in range(64):
            (disk.where / f"more-{number}").touch()
    finding = checked(server, "link")
    assert finding.verdict == "fault"
    assert "No space left on device" in finding.text
    assert finding.text.endswith(" KB and 0 inodes free")
    assert len(finding.text.splitlines()) == 1
    for path in disk.where.glob("[0-9m]*"):
        path.unlink()
    with connect("board", server.address) as link:
        assert Path(link.place(tmp_path / "file")).read_text() == "x"


def test_a_folder_from_which_no_program_may_run_is_reported(server: Server, disk: SmallDisk, tmp_path: Path) -> None:
    remounted(disk, "noexec,size=64m,nr_inodes=4000")
    library = next(Path("/usr/lib").glob("*/libz.so.1"), None) or pytest.skip("there is no libz here")
    place = server.home / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    for name, content in (("numpy", ""), ("onnxruntime", f"import ctypes; ctypes.CDLL({str(packages / 'libz.so.1')!r})")):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(content)
    shutil.copy(library, packages)
    with connect("board", server.address) as link, pytest.raises(DeviceError) as raised:
        try_out(link, f"{place}/bin/python", ("numpy", "onnxruntime"))
    assert "no program may run from its disk (mount option noexec" in str(raised.value)
    assert "by the option python" in str(raised.value)
