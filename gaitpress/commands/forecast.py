"""Say what bringing all stages up to date will cost, before anything runs.

    python -m gaitpress forecast
    python -m gaitpress forecast --json

It says which stages come back from DVC's run-cache, which run, and for how long, by the time that each last took. For
one that has not run yet it takes that of the most similar stage of its name, of another percentile or model, and says so.

A stage that follows from a stage that runs counts as running too, for nobody knows yet what it will read. If its inputs come
out as before, it costs nothing. With an unknown version of DVC, stages that would come back count as running as well.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gaitpress import params
from gaitpress.durations import StageTimes, recorded
from remote import inventory
from workflow.dvc.status import answering
from workflow.dvc.way import Fate, Foreseen, Way, as_program


@dataclass
class Forecast:
    """What a run would do.

    Attributes:
        stages: how many stages the DAG has.
        restored: addresses of the stages whose outputs DVC would bring back.
        runs: seconds by the address of each stage that would run, in running order; None if no stage of its name has run.
        guessed: addresses of those that have not run themselves, and whose seconds are those of the most similar stage.
        longest_s: seconds of the longest chain of these stages, each of which waits for the stage before.
    """

    stages: int = 0
    restored: list[str] = field(default_factory=list)
    runs: dict[str, float | None] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Seconds of all stages that would run, one after the other."""
        return sum(seconds or 0.0 for seconds in self.runs.values())


def forecast(foreseen: Iterable[Foreseen], durations: Mapping[str, float], devices: Collection[str]) -> Forecast:
    """What `snakemake all` or `dvc repro` would do now.

    Args:
        foreseen: every stage, in running order.
        durations: seconds that stages last took, by address.
        devices: the names of the devices.
    """
    costs, times = Forecast(), StageTimes(durations, devices)
    ends: dict[str, float] = {}
    for stage in foreseen:
        costs.stages += 1
        if stage.fate is Fate.RETURNS:
            costs.restored.append(stage.address)
        elif stage.fate is Fate.RUNS:
            seconds = times.likely(stage.address)
            costs.runs[stage.address] = seconds
            if seconds is not None and stage.address not in durations:
                costs.guessed.append(stage.address)
            ends[stage.address] = (seconds or 0.0) + max((ends.get(before, 0.0) for before in stage.after), default=0.0)
            costs.longest_s = max(costs.longest_s, ends[stage.address])
    return costs


def report(costs: Forecast, restored: str | None = None) -> str:
    """A forecast in words.

    Args:
        costs: the forecast.
        restored: what to say of DVC's run-cache where it was not asked; by default, how many stages come back from it.
    """
    restored = restored or f"{len(costs.restored)} come back from DVC's run-cache"
    if not (costs.runs or costs.restored):
        return f"All {costs.stages} stages are up to date."
    kinds: dict[str, list[float | None]] = {}
    for address, seconds in costs.runs.items():
        kinds.setdefault(address.partition("@")[0], []).append(seconds)
    guessed = Counter(address.partition("@")[0] for address in costs.guessed)
    lines = [f"{len(costs.runs)} of {costs.stages} stages run; {restored}."]
    for kind, times in kinds.items():
        known = [seconds for seconds in times if seconds is not None]
        unknown = f", {len(times) - len(known)} not run yet" if 0 < len(known) < len(times) else ""
        unknown += f", {guessed[kind]} of them guessed by a similar one" if guessed[kind] else ""
        lines.append(f"  {kind:<12}{len(times):>4}  {_readable(sum(known)) if known else 'not run yet':>14}{unknown}")
    new = sum(seconds is None for seconds in costs.runs.values())
    if new and costs.total_s:
        lines.append(f"{len(costs.runs) - new} of them take {_readable(costs.total_s)} one after the other.")
        lines.append(f"How long the other {new} take is known once they have run.")
    elif costs.total_s:
        lines.append(f"One after the other they take {_readable(costs.total_s)} if each takes as long as it last did,")
        lines.append(f"and with any number at a time at least {_readable(costs.longest_s)}.")
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
    params.load(Path("params.yaml"))  # a run with a mistake in it would not start

    def answered(dvc: Way) -> None:
        with answering() as answer:
            costs = forecast(dvc.foreseen(), recorded(), list(inventory.load("remote/devices.yaml")))
            print(json.dumps({**asdict(costs), "total_s": costs.total_s}) if options.json else report(costs), file=answer)

    as_program(answered)
