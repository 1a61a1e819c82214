"""What a run from scratch makes of a toy pipeline, worked out without DVC and Snakemake."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.toystage import contents, digest, parsed, values
from workflow.dvc.stages import Pipeline, read_yaml

FAN_IN = ("report", "track")


def made_from_scratch(where: Path) -> dict[str, dict[str, str]]:
    """By the address of every job, in running order: the text in each of its output files.

    The stages of dvc.yaml must stand in running order. Fan-in stages read whole folders, what removed variants left too.
    """
    declared, params = read_yaml(where / "dvc.yaml")["stages"], read_yaml(where / "params.yaml")
    made: dict[str, dict[str, str]] = {}
    written: dict[str, str] = {}
    for stage in Pipeline.read(where / "dvc.yaml", params).stages.values():
        for item in stage.items():
            # The command is the one that the engines run: python toystage.py ADDRESS --outs ... --deps ... --params ...
            options = parsed(_filled(declared[stage.name]["cmd"], item, params).split()[2:])
            here = {} if stage.name in FAN_IN else written
            read = [text for dep in options.deps for text in _read(dep, where, here)]
            text = digest(options.address, values(options.params, where), read)
            made[options.address] = {str(out if out.suffix else out / "content"): text for out in options.outs}
            written |= made[options.address]
    return made


def _filled(command: str, item: Mapping[str, Any], params: Any) -> str:
    """A command with the values of an item, and of params.yaml, in place of ``${...}``."""

    def value(match: re.Match[str]) -> str:
        keys, entry = match[1].split("."), params
        if keys[0] == "item":
            return str(item[keys[1]])
        for key in keys:
            entry = entry[key]
        return str(entry)

    return re.sub(r"\$\{(.*?)\}", value, command)


def _read(dep: Path, where: Path, written: Mapping[str, str]) -> list[str]:
    """What a stage finds at a path: what stages before it have written there, or else what, if anything, is on disk."""
    own = {file: text for file, text in written.items() if file == str(dep) or file.startswith(f"{dep}/")}
    if str(dep) in own:
        return [_sha(own[str(dep)])]
    if own:
        return [text for file in sorted(own) for text in (file, _sha(own[file]))]
    return [text.removeprefix(f"{where}/") for text in contents(where / dep)] if (where / dep).exists() else []


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
