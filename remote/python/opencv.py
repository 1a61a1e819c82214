"""OpenCV for a device's Python: what watches a camera there needs it, and no engine does."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from remote.connection import answer_in
from remote.errors import DeviceError
from remote.python.imports import try_out
from remote.python.interpreter import ABOUT, OLDEST, put
from remote.transport import Transport

PACKAGE = "opencv-python-headless"
NEEDS = ("numpy", "cv2")
# Prints which of the modules it is given are there, without importing them.
LOOK = """
import importlib.util, json, sys
lacks = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print(json.dumps({"version": list(sys.version_info[:2]), "lacks": lacks}))
"""
VERSIONS = "import cv2, json, numpy; print(json.dumps({'cv2': cv2.__version__, 'numpy': numpy.__version__}))"


def brought(link: Transport, python: str) -> str:
    """The version of OpenCV in a Python of the device; into an environment of our own it is installed if need be.

    Args:
        link: the way to the device.
        python: the Python, which has what the device's runtime needs.

    Raises:
        DeviceError: it is not there or cannot be imported, or the Python is too old; the message says what to type.
    """
    seen = _answer(link, python, LOOK, NEEDS)
    if tuple(seen["version"]) < OLDEST:
        number = ".".join(map(str, seen["version"]))
        raise DeviceError(
            f"{link.name}: {python} is Python {number}, and watch.py needs 3.8 or later; name a newer one, which has the "
            "runtime too, with the option python"
        )
    if seen["lacks"]:
        if not python.startswith(f"{link.home}/"):
            system = python == link.python != sys.executable
            how = "sudo apt install python3-opencv" if system else f"`{python} -m pip install {PACKAGE}`"
            raise DeviceError(
                f"{link.name}: {python} has no {' and no '.join(seen['lacks'])}, which watch.py needs; there: {how}"
            )
        print(f"{link.name}: installing OpenCV into our environment there, once", file=sys.stderr, flush=True)
        # The numpy that engines were measured with stays as it is.
        numpy = _answer(link, python, "import json, numpy; print(json.dumps({'is': numpy.__version__}))")["is"]
        put(link, _answer(link, python, ABOUT), python, [PACKAGE, f"numpy=={numpy}"])
    try_out(link, python, NEEDS)
    version: str = _answer(link, python, VERSIONS)["cv2"]
    return version


def _answer(link: Transport, python: str, script: str, words: Sequence[str] = ()) -> Mapping[str, Any]:
    done = link.run([python, "-c", script, *words], repeatable=True)
    answer = answer_in(done.stdout)
    if done.code or answer is None:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DeviceError(f"{link.name}: {python} cannot be used: {said[-1] if said else 'it said nothing'}")
    return answer
