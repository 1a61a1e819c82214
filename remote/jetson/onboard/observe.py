"""Observe a command: its lines and their times, and power, temperature and throttling meanwhile."""

import json
import os
import subprocess
import sys
import threading
import time

from remote.jetson.onboard.sensors import rails, temperatures, throttling
from remote.jetson.onboard.tools import text, tool

# Energy: samples a second, seconds of rest before and after, and seconds of the shortest measurement.
POWER_HZ, IDLE_S, ENERGY_S = 20, 2.0, 3.0
FIRST_S = 5.0  # how long the first sample may take
WATCH_S = 1.0  # between looks at temperatures and throttling during a measurement


class Power:
    """Samples the rails in a thread, or tegrastats' lines where sysfs has no rails; times are monotonic seconds.

    Entering waits for the first sample, so that samples cover the rest before a run however long a tool takes to start.
    """

    def __init__(self, hz):
        self.period, self.samples = 1 / hz, []
        self._rails, self.fault = readable_rails()
        self._tegrastats, self._over, self._first = None, threading.Event(), threading.Event()
        self.source = _sensors(self._rails)
        self._thread = threading.Thread(target=self._sample if self._rails else self._listen, daemon=True)

    def __enter__(self):
        if not self._rails and tool("tegrastats"):
            argv = [tool("tegrastats"), "--interval", str(max(100, int(1000 * self.period)))]
            self._tegrastats = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._thread.start()
        if self._rails or self._tegrastats:
            self._first.wait(FIRST_S)
        return self

    def __exit__(self, *_):
        self._over.set()
        if self._tegrastats:
            self._tegrastats.kill()
            self._tegrastats.wait()
        self._thread.join()

    def _sample(self):
        due = time.monotonic()
        while not self._over.is_set():
            try:
                values = {name: read() for name, _, read in self._rails}
                self._add(values)
            except (OSError, ValueError):
                pass  # A sensor is busy at times; the next sample comes soon.
            due += self.period
            self._over.wait(max(0.0, due - time.monotonic()))

    def _listen(self):
        if self._tegrastats:
            for line in iter(self._tegrastats.stdout.readline, b""):
                self._add(line.decode("utf-8", "replace").strip())

    def _add(self, sample):
        self.samples.append([time.monotonic(), sample])
        self._first.set()


def readable_rails():
    """(The rails, why they cannot be sampled or None); a sum that lacks a rail or holds one twice would be wrong."""
    sensors, names = rails(), set()
    for name, sensor, read in sensors:
        if name in names:
            return [], f"two power sensors are called {name}"
        names.add(name)
        try:
            read()
        except (OSError, ValueError) as error:
            return [], f"the power sensor of {name} ({sensor}) cannot be read: {error}"
    return sensors, None


def _sensors(rails):
    return " + ".join(sorted({sensor for _, sensor, _ in rails})) or "tegrastats"


def power(_=None):
    """The source of power readings: ``source``, names of ``rails`` or else a ``line`` of tegrastats, and the ``fault``."""
    readable, fault = readable_rails()
    if readable:
        return {"source": _sensors(readable), "rails": [name for name, _, _ in readable], "line": "", "fault": None}
    with Power(10) as seen:
        pass
    return {"source": seen.source, "rails": [], "line": seen.samples[0][1] if seen.samples else "", "fault": fault}


def sample(_=None):
    """Sample power until standard input ends. First print whether there are ``sensors``, at the end return the samples."""
    with Power(POWER_HZ) as seen:
        sys.stdout.write(json.dumps({"sensors": bool(seen.samples), "fault": seen.fault}) + "\n")
        sys.stdout.flush()
        if seen.samples:
            sys.stdin.read()
    return {"source": seen.source, "samples": seen.samples, "fault": seen.fault}


class Watch:
    """Watches for the highest temperature and all throttling while a command runs."""

    def __init__(self):
        self.hottest_c, self.throttling = None, {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        while True:
            degrees = list(temperatures().values()) + ([] if self.hottest_c is None else [self.hottest_c])
            self.hottest_c = max(degrees) if degrees else None
            for name, value in throttling().items():
                self.throttling[name] = max(value, self.throttling.get(name, 0))
            if self._over.wait(WATCH_S):
                return


def observed(argv, timeout_s):
    """Run a command; return its lines with their times, its exit status (-n for signal n), and whether it took too long."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines: list = []

    source = child.stdout
    assert source is not None

    def listen():
        for line in iter(source.readline, b""):
            lines.append([time.monotonic(), line.decode("utf-8", "replace").rstrip("\r\n")])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    timed_out = False
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    listener.join(5)
    return {"lines": lines, "code": child.returncode, "timed_out": timed_out}


def measure(request):
    """Run a command under observation.

    The request has ``argv``, ``timeout_s``, ``times`` (a file that the command writes; this reads and removes it), and
    ``power_hz`` with ``idle_s``, to sample power during the run and for so many seconds before and after it.
    """
    try:
        with Watch() as watch:
            if request.get("power_hz"):
                with Power(request["power_hz"]) as power:
                    time.sleep(request["idle_s"])
                    began = time.monotonic()
                    answer = observed(request["argv"], request["timeout_s"])
                    ended = time.monotonic()
                    time.sleep(request["idle_s"])
                answer["power"] = {"source": power.source, "samples": power.samples, "fault": power.fault}
                answer["power"].update(began=began, ended=ended)
            else:
                answer = observed(request["argv"], request["timeout_s"])
        answer.update(hottest_c=watch.hottest_c, throttling=watch.throttling)
        answer["times"] = text(request["times"]) if request.get("times") else ""
        return answer
    finally:
        if request.get("times") and os.path.exists(request["times"]):
            os.remove(request["times"])
