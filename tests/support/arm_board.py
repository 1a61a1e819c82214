"""A 64-bit ARM board on this computer: Debian under qemu, with an OpenSSH server of its own and without any network."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from simulator.ssh_server import free_port, new_key

BINFMT = Path("/proc/sys/fs/binfmt_misc")
QEMU = shutil.which("qemu-aarch64-static")
NEEDED = {"qemu-aarch64-static": "qemu-user-static", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
# How the kernel knows a program of 64-bit ARM: the head of its ELF file, and which bits of it count.
HEAD = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# qemu shows programs the processor of this computer, which is none of ARM; this is that of a Raspberry Pi 5.
PROCESSOR = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
# Runs as process 1 of namespaces of its own; all that runs on the board ends with it.
BOOT = """
set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount --bind "$1/cpuinfo" "$1/proc/cpuinfo"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
mkdir -p "$1/run/sshd"
echo ready
exec sleep infinity
"""


def lacking() -> str | None:
    """Why no such board can be made here; None if it can."""
    if os.getuid():
        return "only root can make another system"
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            return f"there is no {program} here (Debian: apt install {package})"
    if not (BINFMT / "register").exists():
        with suppress(OSError):
            subprocess.run(["mount", "-t", "binfmt_misc", "none", BINFMT], capture_output=True, check=False)
    if not (BINFMT / "register").exists():
        return "this kernel does not start programs of other processors (binfmt_misc)"
    return None


class ArmBoard:
    """The board, with its files in the folder ``where``, and its way in for the owner of a key.

    Args:
        where: an empty folder.
        authorized: the key that may log in; its public half is beside it.

    Raises:
        subprocess.CalledProcessError: Debian's packages cannot be had.
    """

    def __init__(self, where: Path, authorized: Path) -> None:
        self.root = where / "root"
        self.port = free_port()
        self._log = where / "log"
        self._registered = False
        self._system: subprocess.Popen[bytes] | None = None
        self._connections: list[subprocess.Popen[bytes]] = []
        try:
            self._know_the_processor()
            self._install(authorized)
            self._boot()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        return f"ssh://root@127.0.0.1:{self.port}"

    def run(self, *words: str) -> str:
        """What a command on the board prints."""
        return subprocess.run([*self._inside(), *words], check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """Switch the board off."""
        with suppress(AttributeError):
            self._listener.close()
        if self._system is not None:
            self._system.kill()
            self._system.wait()
        for connection in self._connections:
            connection.wait()
        if self._registered:
            (BINFMT / "qemu-aarch64").write_text("-1")

    def _know_the_processor(self) -> None:
        if not (BINFMT / "qemu-aarch64").exists():
            # F: the kernel opens qemu now, so the board needs no copy of it.
            (BINFMT / "register").write_text(f":qemu-aarch64:M::{HEAD}:{MASK}:{QEMU}:F")
            self._registered = True

    def _install(self, authorized: Path) -> None:
        packages = "--include=python3,python3-venv,openssh-server"
        command = ["mmdebstrap", "--quiet", "--mode=root", "--architectures=arm64", "--variant=minbase", packages]
        subprocess.run([*command, "--aptopt=APT::Install-Recommends false", "bookworm", self.root], check=True)
        (self.root / "cpuinfo").write_text("".join(PROCESSOR.format(number=number) for number in range(os.cpu_count() or 1)))
        (self.root / "root/.ssh").mkdir(mode=0o700)
        (self.root / "root/.ssh/authorized_keys").write_text(authorized.with_suffix(".pub").read_text())
        new_key(self.root / "etc/ssh/board_key")
        settings = ["HostKey /etc/ssh/board_key", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin yes"]
        settings.append("SetEnv QEMU_CPU=cortex-a76")
        (self.root / "etc/ssh/board_config").write_text("\n".join([*settings, ""]))

    def _boot(self) -> None:
        namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child"]
        command = ["unshare", *namespaces, "sh", "-c", BOOT, "sh", str(self.root)]
        self._system = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._system.stdout
        assert self._system.stdout.readline() == b"ready\n"
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        """Give each connection to a server on the board, which itself can reach nothing."""
        with suppress(OSError), self._log.open("ab") as log:
            while True:
                connection, _ = self._listener.accept()
                server = [*self._inside(), "/usr/sbin/sshd", "-i", "-e", "-f", "/etc/ssh/board_config"]
                with connection:
                    self._connections.append(subprocess.Popen(server, stdin=connection, stdout=connection, stderr=log))

    def _inside(self) -> list[str]:
        assert self._system
        system = self._system.pid
        first = Path(f"/proc/{system}/task/{system}/children").read_text().split()[0]
        return ["nsenter", "--target", first, "--net", "--mount", "--pid", "chroot", str(self.root)]
