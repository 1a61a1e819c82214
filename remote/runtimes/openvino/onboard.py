"""OpenVINO on a device, for remote/python/agent.py: Python 3.8, numpy and openvino.

An engine is a line of JSON, which says in what the network computes, and the compiled network after it.
"""

import io
import json
import statistics
import time
from pathlib import Path

import openvino

# What OpenVINO calls the types; in int8 the layers without Q/DQ pairs compute in fp32.
TYPES = {"fp32": "f32", "int8": "f32", "fp16": "f16", "bf16": "bf16"}
CAPABILITIES = {"fp16": "FP16", "bf16": "BF16"}  # of a processor, without which OpenVINO would compute in fp32

PROFILED = 4  # queries whose nodes are timed, at least


def version():
    # Such as "2026.4.1-22982-e7a9ef5b5ba-releases/2026/4": the part after the number changes with each packaging.
    return openvino.get_version().split("-")[0]


def build(onnx, engine, precision, threads, options):
    """Compile a network for this processor; the answer is the reason why it does not compute in a precision, or None."""
    core = openvino.Core()
    asked = CAPABILITIES.get(precision)
    if asked and asked not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return f"the processor has no instructions for {precision}, and OpenVINO would compute in fp32"
    compiled = core.compile_model(str(onnx), "CPU", _settings(TYPES[precision], threads))
    stream = io.BytesIO()
    stream.write(json.dumps({"precision": TYPES[precision]}).encode() + b"\n")
    compiled.export_model(stream)
    Path(engine).write_bytes(stream.getvalue())
    return None


def load(engine, threads, options):
    network = _loaded(engine, threads)
    request, output = network.create_infer_request(), network.output(0)

    def answer(values):
        # Inputs are shared, so no time goes into copies of them; the output is a copy, which the next query leaves alone.
        outputs = request.infer(values, share_inputs=True)[output]
        # With one thread OpenVINO 2026.4 runs on where an operator refuses the shapes of its inputs.
        if len(outputs) < len(values):
            raise ValueError(f"the network gives {len(outputs)} outputs for {len(values)} inputs")
        return outputs

    return answer


def profile(engine, values, duration_s, threads, options):
    """The time of each node by OpenVINO's own counters, the median of all queries."""
    request = _loaded(engine, threads, PERF_COUNT=True).create_infer_request()
    request.infer(values)  # the first query allocates the memory
    end, done = time.perf_counter() + duration_s, 0
    times: dict = {}
    while done < PROFILED or time.perf_counter() < end:
        request.infer(values, share_inputs=True)
        for node in request.profiling_info:
            if node.status == openvino.ProfilingInfo.Status.EXECUTED:
                times.setdefault((node.node_name, node.node_type), []).append(1000 * node.real_time.total_seconds())
        done += 1
    return [(name, kind, statistics.median(durations)) for (name, kind), durations in times.items()]


def _loaded(engine, threads, **more):
    head, _, compiled = Path(engine).read_bytes().partition(b"\n")
    settings = dict(_settings(json.loads(head)["precision"], threads), **more)
    return openvino.Core().import_model(compiled, "CPU", settings)


def _settings(precision, threads):
    return {
        "INFERENCE_PRECISION_HINT": precision,  # by itself OpenVINO takes bf16 where the processor has it
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # several processes that run at once would all take the first core
    }
