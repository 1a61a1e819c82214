"""Engines that stay on the board, so that one that was built before need not be built again."""

import hashlib
import json
import os
import time

DAYS = 30  # an engine that nobody asked for so long goes, for disks of boards are small


def cached(request):
    """What was kept under ``path`` with the engine, or {} if there is none or the file is not the one that was kept."""
    try:
        with open(request["path"] + ".json") as file:
            known = json.load(file)
        if known["sha256"] != sha256(request["path"]):
            return {}
        os.utime(request["path"])
        return known
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def keep(request):
    """Keep the file ``built`` as ``path`` with the mapping ``known``; what is kept. {} if there is no such file."""
    built, path = request["built"], request["path"]
    if not os.path.isfile(built) or not os.path.getsize(built):
        return {}
    known = dict(request["known"], sha256=sha256(built), bytes=os.path.getsize(built))
    # The description goes first: with another engine it is worth nothing.
    with open(path + ".json.partial", "w") as file:
        json.dump(known, file)
    os.rename(path + ".json.partial", path + ".json")
    os.rename(built, path)
    os.utime(path)  # a board without a clock of its own may have set it during the build
    _tidy(os.path.dirname(path), os.path.basename(path))
    return known


def _tidy(folder, new):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".plan") and name != new and time.time() - os.path.getmtime(path) > 86400 * DAYS:
            os.remove(path)
            if os.path.exists(path + ".json"):
                os.remove(path + ".json")


def sha256(path):
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
