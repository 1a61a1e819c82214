"""Hold a device for one job, on the device: Python 3.6, the standard library, a script of its own.

    python3 lock_holder.py WHO DOING

prints a line of JSON: ``{"held": true}`` once it has the device, before that ``{"waiting_for": ...}`` with the holder's own
words. It keeps the lock until its standard input ends, so a client that dies gives it back.
The lock is on a file in the folder for temporary files, because all users of the device share that folder.
"""

import fcntl
import json
import os
import select
import sys
import tempfile
import time


def main(who, doing):
    file = _open(os.path.join(tempfile.gettempdir(), "gaitpress.lock"))
    announced = None
    while not _lock(file):
        holder = _holder(file)
        if holder is not None and holder.get("since") != announced:
            announced = holder.get("since")
            holder["seconds"] = round(time.time() - announced) if isinstance(announced, (int, float)) else None
            _say({"waiting_for": holder})
        if select.select([sys.stdin], [], [], 0.2)[0]:
            return  # nobody waits any more
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps({"who": who, "doing": doing, "since": time.time()}).encode(), 0)
    _say({"held": True})
    sys.stdin.read()
    os.ftruncate(file, 0)


def _open(path):
    try:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return _open(path)
        os.fchmod(file, 0o666)
        return file


def _lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file):
    try:
        holder = json.loads(os.pread(file, 4096, 0).decode())
    except ValueError:
        return None  # the holder has only just taken the lock
    return holder if isinstance(holder, dict) else None


def _say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
