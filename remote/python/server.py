"""The program that serves people on a device, to see how many at once it can: streams, batches and a limit of latency.

Like the agent it runs on the device, in a process of its own: Python 3.8 and numpy, JSON as its answer. ``--agent`` is the
agent's file, whose functions it uses.

People ask at a fixed rate, each from a moment of their own. Their questions wait in one line. A stream is a thread with its
own copy of the engine: it takes as many questions as a batch holds, or those that are there once the first has waited for so
long. The latency of a question is the time from its moment to its answer, so a server that falls behind cannot hide it.
"""

import argparse
import collections
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

FULL_S = 1.0  # of work without a pause, by which the most that can be served is known
QUESTIONS = 200  # of a trial, at least, so that there is a 99th percentile
# A trial lasts so many limits of latency, so that the line of a server that is 5 % too slow grows beyond the limit.
LIMITS, LONGEST_S = 20, 10.0
TRIES = 2  # of a trial that fails: something else may have held the device up for a moment


class Streams:
    """Threads that answer questions from one line.

    Args:
        answers: a function from inputs to signatures for each stream.
        inputs: the inputs of a full batch.
        wait_s: how long the first question of a batch may wait for others.
    """

    def __init__(self, answers, inputs, wait_s):
        self.inputs, self.wait_s = inputs, wait_s
        self.changed, self.closed = threading.Condition(), False
        self.line: collections.deque = collections.deque()
        self.latencies: list = []
        self.batches: list = []
        self.fault = None
        self.threads = [
            threading.Thread(target=self._work, args=(answer,), name="stream", daemon=True) for answer in answers
        ]
        for thread in self.threads:
            thread.start()

    def ask(self, moment):
        """Put a question into the line that was asked at a moment."""
        with self.changed:
            self.line.append(moment)
            self.changed.notify()

    def close(self, deadline):
        """Answer what is in the line until a moment, and end the streams."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.perf_counter()))
        with self.changed:
            self.line.clear()
        for thread in self.threads:
            thread.join()
        if self.fault:
            raise self.fault

    def _work(self, answer):
        try:
            while True:
                asked = self._batch()
                if not asked:
                    return
                answer(self.inputs[: len(asked)])
                now = time.perf_counter()
                self.latencies.extend(now - moment for moment in asked)
                self.batches.append(len(asked))
        except Exception as error:
            self.fault = error

    def _batch(self):
        """The next questions of a stream; none at the end."""
        most = len(self.inputs)
        with self.changed:
            while True:
                if len(self.line) >= most or (self.line and self.closed):
                    break
                if self.closed:
                    return []
                left = self.line[0] + self.wait_s - time.perf_counter() if self.line else None
                if left is not None and left <= 0:
                    break
                self.changed.wait(left)
            return [self.line.popleft() for _ in range(min(most, len(self.line)))]


def moments(people, rate, duration_s, seed=0):
    """When questions come, in s from the start, ascending: each person's own moment, and ``rate`` questions a second."""
    begin = np.random.default_rng(seed).random(people) / rate
    times = begin[:, None] + np.arange(int(np.ceil(duration_s * rate)))[None] / rate
    return np.sort(times[times < duration_s])


def trial(answers, inputs, people, rate, wait_s, duration_s):
    """What so many people see: the latencies of their questions in ms, None where too few were answered at all."""
    duration_s = max(duration_s, QUESTIONS / (people * rate))
    asked = moments(people, rate, duration_s)
    streams = Streams(answers, inputs, wait_s)
    begun = time.perf_counter()
    for moment in asked:
        left = begun + moment - time.perf_counter()
        if left > 0:
            time.sleep(left)
        streams.ask(begun + moment)
    streams.close(begun + 1.2 * duration_s)
    # A question that was not answered by the end counts as one that takes for ever.
    latencies = np.full(len(asked), np.inf)
    latencies[: len(streams.latencies)] = 1000 * np.array(streams.latencies)
    latencies.sort()
    return {
        "people": people,
        "answered": round(len(streams.latencies) / len(asked), 4),
        "questions": len(asked),
        "p50_ms": _rounded(latencies[int(np.ceil(0.50 * len(asked))) - 1]),
        "p99_ms": _rounded(latencies[int(np.ceil(0.99 * len(asked))) - 1]),
        "mean_batch": _rounded(np.mean(streams.batches) if streams.batches else 0),
    }


def at_most(answers, inputs, seconds):
    """Inferences a second of all streams together with full batches and no pause."""
    counts = [0] * len(answers)
    faults: list = []
    end = time.perf_counter() + seconds

    def work(place):
        try:
            while time.perf_counter() < end:
                answers[place](inputs)
                counts[place] += len(inputs)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(answers))]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return sum(counts) / (time.perf_counter() - begun)


def most_people(answers, inputs, rate, limit_ms, wait_s, duration_s):
    """The most people whose 99th percentile is within the limit, by bisection, and all trials."""
    trials: list = []

    long_enough_s = max(duration_s, min(LIMITS * limit_ms / 1000, LONGEST_S))

    def served(people):
        for _ in range(TRIES):
            trials.append(trial(answers, inputs, people, rate, wait_s, long_enough_s))
            if trials[-1]["p99_ms"] is not None and trials[-1]["p99_ms"] <= limit_ms:
                return True
        return False

    # Full batches may be slower than those that people make, so this is only where the search begins.
    low, high = 0, int(at_most(answers, inputs, FULL_S) / rate) + 1
    while served(high):
        low, high = high, 2 * high
    while high - low > max(1, high // 20):
        middle = (low + high) // 2
        low, high = (middle, high) if served(middle) else (low, middle)
    if low == 0 and served(1):
        low = 1
    return low, trials


def serve(agent, part, settings):
    """The answer: how many people are served, with the latencies that they see, throughput and energy at full load."""
    inputs = np.load(str(settings.example), allow_pickle=False)[: settings.batch]
    answers = [part.load(settings.engine, settings.threads) for _ in range(settings.streams)]
    for answer in answers:
        for size in range(1, len(inputs) + 1):
            answer(inputs[:size])  # allocates the memory, and compiles for this shape where a runtime does
    people, trials = most_people(
        answers, inputs, settings.rate, settings.limit_ms, settings.wait_ms / 1000, settings.duration_s
    )
    packages, reason = agent.rapl(Path(os.environ.get("GAITPRESS_SIMULATED_ROOT") or "/"))
    readings = [int(counter.read_text()) for counter, _ in packages]
    begun = time.perf_counter()
    throughput = at_most(answers, inputs, settings.duration_s)
    spent = agent.spent_uj(readings, [int(counter.read_text()) for counter, _ in packages], packages)
    done = throughput * (time.perf_counter() - begun)
    best = next((row for row in reversed(trials) if row["people"] == people), None)
    return {
        "people": people,
        "p50_ms": best and best["p50_ms"],
        "p99_ms": best and best["p99_ms"],
        "mean_batch": best and best["mean_batch"],
        "throughput_per_s": round(throughput, 3),
        "energy_mj_per_inference": None if reason else round(spent / 1000 / done, 4),
        "energy_reason": reason,
        "trials": trials,
    }


def _rounded(value):
    return round(float(value), 4) if np.isfinite(value) else None


def main(arguments):
    # Libraries may print: only our answer goes to the real standard output.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", type=Path, required=True, help="the file of the agent")
    parser.add_argument("--part", type=Path, required=True, help="the runtime's own file")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON: the device's options")
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--example", type=Path, required=True, help="an .npy file with the inputs of a batch")
    parser.add_argument("--threads", type=int, required=True, help="of each stream")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="questions a second of each person")
    parser.add_argument("--limit-ms", type=float, required=True, help="of the latency's 99th percentile")
    parser.add_argument("--wait-ms", type=float, required=True, help="that the first of a batch may wait for others")
    parser.add_argument("--duration-s", type=float, required=True, help="of a trial, at least")
    settings = parser.parse_args(arguments)
    try:
        agent: dict = {"__name__": "agent"}  # on a device the file has another name, which no import finds
        exec(compile(settings.agent.read_bytes(), str(settings.agent), "exec"), agent)
        answer = serve(SimpleNamespace(**agent), agent["opened"](settings.part, settings.options), settings)
    except Exception as error:  # Whatever error a runtime raises for a network is this network's result.
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
