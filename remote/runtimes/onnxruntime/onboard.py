"""ONNX Runtime on a device, for remote/python/agent.py: Python 3.8, numpy and onnxruntime."""

import json
import math
import os
import statistics
import tempfile
import time

import numpy as np
import onnxruntime

FRAMES = 30  # in the trial of a layout, where a network takes any number of them
TRIAL_S, TRIALS, CLEARLY = 0.5, 4, 0.97  # the trial's least length and rounds, and by how much the second must win

PROFILED = 5, 500  # the least and the most queries whose nodes are timed
KERNEL = "_kernel_time"  # after a node's name, in the events of its computation


def version():
    return onnxruntime.__version__


def build(onnx, engine, precision, threads, options):
    """Optimise a network for this processor, and save it in the faster one of two memory layouts.

    Blocks of 8 or 16 channels suit wide layers; narrow ones, as pruning leaves them, are padded to a whole block.
    """
    if precision == "bf16":
        return "ONNX Runtime computes in no bf16 on processors"
    levels = onnxruntime.GraphOptimizationLevel
    files, queries = [], []
    for name, level in (("blocks", levels.ORT_ENABLE_ALL), ("plain", levels.ORT_ENABLE_EXTENDED)):
        session_options = _session_options(threads)
        session_options.graph_optimization_level = level
        files.append(f"{engine}.{name}")
        session_options.optimized_model_filepath = files[-1]
        session = onnxruntime.InferenceSession(str(onnx), session_options, providers=["CPUExecutionProvider"])
        queries.append(_query(session))
    os.replace(files.pop(faster(queries)), str(engine))
    os.remove(files.pop())
    return None


def _query(session):
    """Runs a network once, on noise."""
    network_input = session.get_inputs()[0]
    free = [1] + [FRAMES] * len(network_input.shape)
    shape = [size if isinstance(size, int) else other for size, other in zip(network_input.shape, free)]
    feed = {network_input.name: np.random.default_rng(0).random(shape, np.float32)}
    return lambda: session.run(None, feed)


def faster(queries):
    """The position of the one of two queries that takes less time; of two that hardly differ, that of the first.

    Others work on the computer too, so the two take turns, and the least times count. A network that cannot run says so
    where it is used, not here.
    """
    least = [math.inf, math.inf]
    try:
        for query in queries:
            query()  # allocates the memory
        end, rounds = time.perf_counter() + TRIAL_S, 0
        while rounds < TRIALS or time.perf_counter() < end:
            for position, query in enumerate(queries):
                start = time.perf_counter()
                query()
                least[position] = min(least[position], time.perf_counter() - start)
            rounds += 1
    except Exception:
        return 0
    return int(least[1] < CLEARLY * least[0])


def load(engine, threads, options):
    """Load an engine as it was built: its graph is optimised already, and stays unchanged."""
    session = _loaded(engine, _session_options(threads))
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]


def profile(engine, values, duration_s, threads, options):
    """The time of each node by ONNX Runtime's own profiler, the median of all queries."""
    session_options = _session_options(threads)
    with tempfile.TemporaryDirectory() as scratch:
        session_options.enable_profiling = True
        session_options.profile_file_prefix = os.path.join(scratch, "profile")
        session = _loaded(engine, session_options)
        feed = {session.get_inputs()[0].name: values}
        end, queries = time.perf_counter() + duration_s, 0
        # It keeps no more than a million events.
        while queries < PROFILED[0] or (queries < PROFILED[1] and time.perf_counter() < end):
            session.run(None, feed)
            queries += 1
        with open(session.end_profiling(), encoding="utf-8") as file:
            events = json.load(file)
    times: dict = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            node = event["name"][: -len(KERNEL)], event["args"]["op_name"]
            times.setdefault(node, []).append(event["dur"] / 1000)
    # The first query allocates the memory.
    return [(name, op, statistics.median(durations[1:])) for (name, op), durations in times.items()]


def _loaded(engine, session_options):
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(engine), session_options, providers=["CPUExecutionProvider"])


def _session_options(threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return options
