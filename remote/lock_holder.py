"""Hold a device for one job, on the device: Python 3.6, the standard library, a script of its own.

    python3 lock_holder.py WHO DOING

prints a line of JSON: ``{"held": true}`` once it has the device, before that ``{"waiting_for": ...}`` with the holder's own
words. It keeps the lock until its standard input ends, so a client that dies gives it back.

The lock is a name that only one process of a Linux can listen on, and that lies in no folder: all users share it, whatever
their folders for temporary files, and it ends with its process. Whoever connects reads who holds it. GAITPRESS_MACHINE tells
played machines on one computer apart.
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


def main(who, doing):
    machine = os.environ.get("GAITPRESS_MACHINE", "")
    address = "\0gaitpress-lock" + hashlib.sha256(machine.encode()).hexdigest()[:16]
    listener = _taken(address)
    announced, rounds = None, 0
    while listener is None:
        # Each question wakes the holder's process, beside what it measures.
        holder = _holder(address) if rounds % ROUNDS_A_QUESTION == 0 else None
        rounds += 1
        if holder is not None and holder.get("process") != announced:
            announced = holder.get("process")
            _say({"waiting_for": holder})
        if select.select([sys.stdin], [], [], ROUND_S)[0]:
            return  # nobody waits any more
        listener = _taken(address)
    since = time.monotonic()  # a board without a clock of its own sets it while it works
    _say({"held": True})
    while True:
        ready = select.select([sys.stdin, listener], [], [])[0]
        if listener in ready:
            mine = {"who": who, "doing": doing, "seconds": round(time.monotonic() - since), "process": os.getpid()}
            with contextlib.suppress(OSError), contextlib.closing(listener.accept()[0]) as asker:
                asker.settimeout(ANSWER_S)
                asker.sendall(json.dumps(mine).encode())
        if sys.stdin in ready and not os.read(0, LONGEST):
            return


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
