"""Say what bringing all stages up to date will cost, before anything runs.

    python -m gaitpress forecast
    python -m gaitpress forecast --json

Which stages come back from DVC's run-cache, which run, and for how long, as these last took.

A stage that follows from one that runs is counted among those that run, for what it will read is not known yet. Should its
inputs come out as they were, it costs nothing. With a DVC that is not known here, what would come back is counted as well.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gaitpress.command_line import DURATIONS
from workflow.dvc.status import answering
from workflow.dvc.way import Fate, Foreseen, Way, as_program


@dataclass
class Forecast:
    """What a run would do.

    Attributes:
        stages: how many there are.
        restored: addresses of the stages whose outputs DVC would bring back.
        runs: seconds by the addresses of the stages that would run, in running order; None if nothing alike has run yet.
        longest_s: seconds of the longest chain of these of which each waits for the one before.
    """

    stages: int = 0
    restored: list[str] = field(default_factory=list)
    runs: dict[str, float | None] = field(default_factory=dict)
    longest_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Seconds of all that would run, one after the other."""
        return sum(seconds or 0.0 for seconds in self.runs.values())


def forecast(foreseen: Iterable[Foreseen], durations: Mapping[str, float]) -> Forecast:
    """What `snakemake all` or `dvc repro` would do now.

    Args:
        foreseen: every stage, in running order.
        durations: seconds that stages last took, by address.
    """
    found = Forecast()
    ends: dict[str, float] = {}
    for stage in foreseen:
        found.stages += 1
        if stage.fate is Fate.RETURNS:
            found.restored.append(stage.address)
        elif stage.fate is Fate.RUNS:
            seconds = likely(stage.address, durations)
            found.runs[stage.address] = seconds
            ends[stage.address] = (seconds or 0.0) + max((ends.get(before, 0.0) for before in stage.after), default=0.0)
            found.longest_s = max(found.longest_s, ends[stage.address])
    return found


def likely(address: str, durations: Mapping[str, float]) -> float | None:
    """How long a stage will take: as long as it last took, else as that one of its name that shares most of its items.

    Returns:
        Seconds; None if none of its name has run.
    """
    if address in durations:
        return durations[address]
    name, _, items = address.partition("@")

    def shared(other: str) -> int:
        return sum(a == b for a, b in zip(items.split("-"), other.partition("@")[2].split("-"), strict=False))

    # Of those that share the same the one that ran last.
    alike = [other for other in reversed(list(durations)) if other.partition("@")[0] == name]
    return durations[max(alike, key=shared)] if alike else None


def recorded(path: Path = DURATIONS) -> dict[str, float]:
    """Seconds that stages last took, by address, in the order in which they last ran."""
    durations: dict[str, float] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            whole = re.fullmatch(r"(.+),(\d+\.\d)", line)  # unlike one that a full disk cut
            if whole:
                durations.pop(whole[1], None)
                durations[whole[1]] = float(whole[2])
    return durations


def report(found: Forecast) -> str:
    """A forecast in words."""
    if not (found.runs or found.restored):
        return f"All {found.stages} stages are up to date."
    kinds: dict[str, list[float | None]] = {}
    for address, seconds in found.runs.items():
        kinds.setdefault(address.partition("@")[0], []).append(seconds)
    lines = [f"{len(found.runs)} of {found.stages} stages run; {len(found.restored)} come back from DVC's run-cache."]
    for kind, times in kinds.items():
        known = [seconds for seconds in times if seconds is not None]
        lines.append(f"  {kind:<12}{len(times):>4}  {_readable(sum(known)) if known else 'not run yet':>14}")
    if found.total_s:
        lines.append(f"One after the other they take {_readable(found.total_s)} if each takes as long as it last did,")
        lines.append(f"and with any number at a time at least {_readable(found.longest_s)}.")
    return "\n".join(lines)


def _readable(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    if hours:
        return f"{hours} h {rest // 60} min"
    return f"{rest // 60} min {rest % 60} s" if rest >= 60 else f"{rest} s"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gaitpress forecast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every stage")
    options = parser.parse_args()

    def answered(dvc: Way) -> None:
        with answering() as answer:
            found = forecast(dvc.foreseen(), recorded())
            print(json.dumps({**asdict(found), "total_s": found.total_s}) if options.json else report(found), file=answer)

    as_program(answered)
