"""Lock a device, so that no second job disturbs the times of the first; jobs that time nothing may share it."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remote.connection import next_answer
from remote.errors import DeviceError, LinkLost
from remote.transport import Process, Transport

HOLDER = Path(__file__).with_name("lock_holder.py")


@contextlib.contextmanager
def held(link: Transport, doing: str, shared: bool = False) -> Iterator[None]:
    """Hold a device, alone or with others that share it; wait for its present holder, and name that one on standard error.

    The lock is on the device itself, and a process there that ends with the connection keeps it: neither a client that dies
    nor a device that boots leaves it behind. A new connection takes it again.

    Args:
        link: the way to the device.
        doing: the purpose, in words, for users who wait.
        shared: whether other jobs that share the device may run beside this one.
    """
    holders = [_take(link, doing, shared)]

    def take_again() -> None:
        holders.append(_take(link, doing, shared))

    link.after_reconnecting.append(take_again)
    try:
        yield
    finally:
        link.after_reconnecting.remove(take_again)
        for holder in holders:
            with contextlib.suppress(OSError, LinkLost):
                holder.stdin.close()
                holder.wait()
            holder.kill()


def _take(link: Transport, doing: str, shared: bool) -> Process:
    who = f"{_user()}@{socket.gethostname()} (process {os.getpid()})"
    script = link.place(HOLDER)
    holder = link.start([link.python, script, who, doing, "shared" if shared else "alone"])
    try:
        while answer := next_answer(holder.stdout):
            if answer.get("held"):
                return holder
            print(f"{link.name} is busy: {_in_words(answer['waiting_for'])}; waiting", file=sys.stderr, flush=True)
        holder.stdin.close()
        lines = holder.wait().stderr.decode(errors="replace").strip().splitlines()
        raise DeviceError(f"{link.name}: the device cannot be locked: {lines[-1] if lines else 'its lock said nothing'}")
    except BaseException:
        holder.kill()
        raise


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the system lists no such user, as in some containers
        return f"user {os.getuid()}"


def _in_words(holder: dict[str, Any]) -> str:
    seconds = holder.get("seconds")
    since = f", for {seconds // 60} min {seconds % 60} s now" if isinstance(seconds, int) else ""
    return f"{holder.get('who')} is at {holder.get('doing')}{since}"
