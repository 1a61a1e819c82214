"""An engine on this computer: a directory with the engine's file and build.json, which describes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from remote.digest import sha256
from remote.errors import EngineFailed, StaleEngine
from remote.facts import differences

PARTS = ("onnx_sha256", "flags", "facts")


def key(parts: Mapping[str, Any]) -> str:
    """The key of an engine: a hash of all that it depends on, which is the network, the flags and the device's facts."""
    return hashlib.sha256(json.dumps({part: parts[part] for part in PARTS}, sort_keys=True).encode()).hexdigest()


def described(onnx: Path, engine: str, facts: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The part of build.json that is known before the build.

    Args:
        onnx: the network.
        engine: the name of the engine's file.
        facts: of the device.
        flags: what the runtime is asked for.
    """
    return {
        "onnx": onnx.name,
        "onnx_sha256": sha256(onnx),
        "onnx_bytes": onnx.stat().st_size,
        "engine": engine,
        "facts": facts,
        "flags": flags,
        "runtime": facts["runtime"],
        "version": facts["runtime_version"],
    }


def write(directory: Path, described: Mapping[str, Any]) -> None:
    """Write build.json."""
    (directory / "build.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def check(directory: Path, facts: Callable[[], Mapping[str, Any]], onnx: Path | None = None) -> dict[str, Any]:
    """The content of build.json, after a check that the engine was built on this device from that network.

    Loading an engine runs code in it, so only our own, unchanged engines pass.

    Args:
        directory: the engine's directory.
        facts: returns the present facts of the device.
        onnx: the network to compare with, if any.

    Raises:
        StaleEngine: the engine is another one.
        EngineFailed: its build failed or was skipped.
    """
    try:
        described = json.loads((directory / "build.json").read_text(encoding="utf-8"))
        recorded = key(described)
    except FileNotFoundError:
        raise StaleEngine(f"{directory}: there is no build.json; this engine was not built here") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StaleEngine(f"{directory}/build.json is damaged ({error!r})") from None
    if described.get("status") != "ok":
        raise EngineFailed(described.get("reason") or "the build failed")
    if described.get("key") != recorded:
        raise StaleEngine(f"{directory}/build.json was changed after the build")
    if changes := differences(described["facts"], facts()):
        raise StaleEngine(f"{directory} was built for something else ({changes})")
    if onnx is not None and sha256(onnx) != described["onnx_sha256"]:
        raise StaleEngine(f"{directory} was built of another network than {onnx}")
    file = directory / str(described.get("engine"))
    if not file.is_file() or sha256(file) != described.get("sha256"):
        raise StaleEngine(f"{file} is not the file that was built")
    return described
