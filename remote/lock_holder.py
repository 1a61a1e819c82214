"""Hold a device for one job, on the device: Python 3.6, the standard library, a script of its own.

    python3 lock_holder.py WHO DOING alone|shared

prints a line of JSON: ``{"held": true}`` once it has the device, before that ``{"waiting_for": ...}`` with the holder's own
words. It keeps the lock until its standard input ends, so a client that dies gives it back.

A lock is a name that only one process of a Linux can listen on, and that lies in no folder: all users share it, whatever
their folders for temporary files, and it ends with its process. Whoever connects reads who holds it. GAITPRESS_MACHINE tells
played machines on one computer apart.

A device has a door and seats. Whoever comes takes the door first. A job that shares the device then takes a seat and
leaves the door; one that is alone keeps the door and waits for every seat, so nobody who shares comes in before it.
"""

import contextlib
import errno
import hashlib
import json
import os
import select
import socket
import sys
import time

ROUND_S, ROUNDS_A_QUESTION, ANSWER_S, LONGEST = 0.2, 25, 5, 4096
SEATS = 16  # the most jobs that share a device; a further one waits


def main(who, doing, company):
    machine = os.environ.get("GAITPRESS_MACHINE", "")
    door = "\0gaitpress-lock" + hashlib.sha256(machine.encode()).hexdigest()[:16]
    seats = [f"{door}-{number}" for number in range(SEATS)]
    holder = Holder(who, doing)
    if not holder.take([door]):
        return
    if company == "shared":
        if not holder.take(seats):
            return
        holder.listeners.pop(0).close()  # the door
    elif not all(holder.take([seat]) for seat in seats):
        return
    holder.since = time.monotonic()
    _say({"held": True})
    while holder.attend(None):
        pass


class Holder:
    """What this process holds, and its answers to those who wait for that."""

    def __init__(self, who, doing):
        self.about = {"who": who, "doing": doing, "process": os.getpid()}
        self.since = time.monotonic()  # a board without a clock of its own sets it while it works
        self.listeners = []

    def take(self, addresses):
        """Take one of the addresses, as soon as one is free. Whether it has: False if nobody waits for it any more."""
        announced, rounds = None, 0
        while True:
            for address in addresses:
                listener = _taken(address)
                if listener is not None:
                    self.listeners.append(listener)
                    return True
            # Each question wakes the holder's process, beside what it measures.
            holder = _holder(addresses[0]) if rounds % ROUNDS_A_QUESTION == 0 else None
            rounds += 1
            if holder is not None and holder.get("process") != announced:
                announced = holder.get("process")
                _say({"waiting_for": holder})
            if not self.attend(ROUND_S):
                return False

    def attend(self, seconds):
        """Wait for so many seconds, or for a question, and answer it. Whether somebody still wants the device."""
        ready = select.select([sys.stdin, *self.listeners], [], [], seconds)[0]
        for listener in self.listeners:
            if listener in ready:
                mine = dict(self.about, seconds=round(time.monotonic() - self.since))
                with contextlib.suppress(OSError), contextlib.closing(listener.accept()[0]) as asker:
                    asker.settimeout(ANSWER_S)
                    asker.sendall(json.dumps(mine).encode())
        return not (sys.stdin in ready and not os.read(0, LONGEST))


def _taken(address):
    """The listener that is the lock, or None if another process has it."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    listener.listen(64)
    return listener


def _holder(address):
    """Who has the lock; None if that is just changing."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as asker:
        asker.settimeout(ANSWER_S)
        try:
            asker.connect(address)
            answer = b""
            while len(answer) <= LONGEST:
                part = asker.recv(LONGEST)
                if not part:
                    break
                answer += part
            holder = json.loads(answer.decode())
        except (OSError, ValueError):
            return None
    return holder if isinstance(holder, dict) else None


def _say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
