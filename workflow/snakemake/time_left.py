"""How long a run will still take, by the time that its stages last took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gaitpress.durations import StageTimes, recorded

SHARE = 0.05  # of the time that passes, at most, goes into computing how much is left


@dataclass(frozen=True)
class Job:
    """A job of a run.

    Attributes:
        address: its stage, as on DVC's command line.
        after: the addresses of the jobs whose outputs it reads.
        threads: how many cores it takes.
        device: the board or computer that it has to itself; None if others may use it beside this job.
    """

    address: str
    after: tuple[str, ...]
    threads: int
    device: str | None = None


class TimeLeft:
    """What is left of a run; jobs that start and end are reported to it."""

    def __init__(
        self,
        jobs: Sequence[Job],
        cores: int,
        devices: Collection[str],
        durations: Callable[[], Mapping[str, float]] = recorded,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the jobs that will run, in running order.

        Args:
            jobs: none comes before a job whose outputs it reads.
            cores: how many the jobs may take together.
            devices: the names of the devices.
            durations: reads the seconds that stages last took, by address; this run adds to them.
            clock: gives the seconds that have passed.
        """
        self._jobs = {job.address: job for job in jobs}
        self._cores, self._devices = cores, devices
        self._durations, self._clock = durations, clock
        self._started: dict[str, float] = {}
        self._next = -math.inf  # when words may be made again

    def started(self, address: str) -> None:
        """A job has started."""
        self._started[address] = self._clock()

    def ended(self, address: str) -> None:
        """A job has ended well."""
        self._jobs.pop(address, None)

    def words(self) -> str | None:
        """How long the rest will take; None if nothing is left, or words were made just now and took long to make."""
        now = self._clock()
        if not self._jobs or now < self._next:
            return None
        times = StageTimes(self._durations(), self._devices)
        likely = {address: times.likely(address) for address in self._jobs}
        rest = {address: self._rest(address, all_of_it or 0.0, now) for address, all_of_it in likely.items()}
        seconds = least_s(list(self._jobs.values()), rest, self._cores)
        unknown = len({address.partition("@")[0] for address, all_of_it in likely.items() if all_of_it is None})
        self._next = now + (self._clock() - now) / SHARE
        if not unknown:
            return f"about {readable(math.ceil(seconds / 60))} left"
        have = "has" if unknown == 1 else "have"
        return f"time left: not known before each stage has run once; {unknown} of them {have} not"

    def _rest(self, address: str, all_of_it: float, now: float) -> float:
        """Seconds that a job will still take, of those that it takes in all."""
        return max(all_of_it - (now - self._started.get(address, now)), 0.0)


def least_s(jobs: Sequence[Job], rest: Mapping[str, float], cores: int) -> float:
    """The least seconds in which jobs end, by the cores, the devices, and the order in which they read from each other.

    Args:
        jobs: in running order; jobs before them that are not among them have ended.
        rest: seconds that each will take, by address.
        cores: how many they may take together.
    """
    ends: dict[str, float] = {}
    on_device: dict[str, float] = {}
    for job in jobs:
        ends[job.address] = rest[job.address] + max((ends.get(before, 0.0) for before in job.after), default=0.0)
        if job.device:
            on_device[job.device] = on_device.get(job.device, 0.0) + rest[job.address]
    work = sum(rest[job.address] * min(job.threads, cores) for job in jobs) / cores
    return max([work, *ends.values(), *on_device.values()], default=0.0)


def readable(minutes: int) -> str:
    """A time of at least one minute."""
    hours, minutes = divmod(max(minutes, 1), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
