"""How true measured latencies are, and what a job on a device over SSH costs beside the device's own work.

`latency_agreement`: the median latency that a benchmark finds, divided by that of a bare loop of the runtime's API over the
same network and input, with the same options, in a process of its own: the median ratio of pairs of one run of each, three
times --rounds, which comes first by turns. On a machine whose speed drifts only neighbours can be compared;
`ratio_of_medians` is the ratio of the medians of all runs, `spread` how far the runs of each lie apart, as a share of their
median, and `pairs` the ratio of each pair.
`openvino` has the same figures of OpenVINO; those at the top are ONNX Runtime's.

`overhead_s_per_job`: seconds of a job (a build and a benchmark with its accuracy, each a process as in the pipeline) by a
real SSH server on loopback, less those of the same job on this computer itself: the shortest of --rounds, in turns.
`sent` is the number of bytes that go to the device: in the first job, and in the same job once more.

The network is GaitSet as params.yaml has it, with random weights; the inputs are walkers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from remote.benchmark import BenchmarkSettings
from remote.inventory import Device
from remote.runtimes import runtime_on
from simulator.ssh_server import SSHD, Server, new_key, through

LOCAL = Device("local")
LONG = BenchmarkSettings(
    batch=1, threads=1, warmup_s=1.0, duration_s=3.0, min_queries=100, repeats=1, max_cov=0.2, session=1
)
SHORT = BenchmarkSettings(
    batch=1, threads=1, warmup_s=0.2, duration_s=0.5, min_queries=150, repeats=3, max_cov=0.2, session=1
)
# What makes ``run`` for each runtime; the rest of the loop is the same.
ONNX_RUNTIME = """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(engine, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
run = lambda values: session.run(None, {name: values})
"""
OPENVINO = """
import openvino
how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
request = openvino.Core().compile_model(network, "CPU", how).create_infer_request()
run = lambda values: request.infer(values, share_inputs=True)
"""
BARE = """
import sys, time
import numpy
network, engine, example, seconds, warm = sys.argv[1:]
{load}
values = numpy.load(example)
begun, times = time.perf_counter(), []
while time.perf_counter() - begun < float(seconds):
    start = time.perf_counter()
    run(values)
    times.append((start - begun, time.perf_counter() - start))
print(1000 * numpy.median([took for moment, took in times if moment >= float(warm)]))
"""
LOADS = {"onnxruntime": ONNX_RUNTIME, "openvino": OPENVINO}


def write_network(path: Path) -> None:
    """GaitSet of this repository's params.yaml with random weights."""
    from gaitpress import params
    from gaitpress.commands import describe
    from gaitpress.frameworks import framework
    from gaitpress.onnx_files import write_onnx

    settings = params.load(Path("params.yaml"))
    entry = settings.model["gaitset"]
    library = framework("torch")
    model = library.build("gaitset", entry, describe.classes(settings)).eval()
    write_onnx(library, model, entry, path, settings.export)


def sequences(count: int) -> list[np.ndarray]:
    """Inputs of 30 frames as the accuracy is measured with."""
    from gait.data.modalities.silhouettes import align_all
    from gait.data.prepared.inputs import network_input
    from gait.data.walkers import Walkers

    walkers = Walkers(("054", "090", "126"), nm=2, bg=1, cl=1, frames=31, difficulty=0.2, noise=0.2, seed=1)
    seen = [network_input(align_all(walk.silhouettes, 64)[:30], "silhouette")[None] for walk in walkers.walks(1)]
    return [seen[number % len(seen)] for number in range(count)]


def agreement(name_of_runtime: str, network: Path, example: np.ndarray, rounds: int, where: Path) -> dict[str, Any]:
    """The benchmark's median latency beside that of a bare loop."""
    engine = where / f"engine-{name_of_runtime}"
    engine.mkdir()
    np.save(where / "example.npy", example)
    latencies: dict[str, list[float]] = {"benchmark": [], "bare": []}
    with runtime_on(Device("local", runtime=name_of_runtime), "a comparison of latencies") as runtime:
        built = runtime.build(network, engine, "fp32", 1)
        files = [str(network), str(engine / built["engine"]), str(where / "example.npy")]
        bare = [sys.executable, "-c", BARE.format(load=LOADS[name_of_runtime]), *files]
        seconds = [str(LONG.warmup_s + LONG.duration_s), str(LONG.warmup_s)]
        for turn in range(3 * rounds):
            for name in ("benchmark", "bare") if turn % 2 else ("bare", "benchmark"):
                if name == "benchmark":
                    latencies[name].append(runtime.benchmark(engine, example, LONG).latency_ms["p50"])
                else:
                    done = subprocess.run([*bare, *seconds], check=True, capture_output=True, text=True)
                    latencies[name].append(float(done.stdout))
    pairs = [one / other for one, other in zip(latencies["benchmark"], latencies["bare"], strict=True)]
    medians = {name: statistics.median(values) for name, values in latencies.items()}
    return {
        "latency_agreement": round(statistics.median(pairs), 4),
        "ratio_of_medians": round(medians["benchmark"] / medians["bare"], 4),
        "latency_ms": {name: round(median, 4) for name, median in medians.items()},
        "spread": {name: round((max(values) - min(values)) / medians[name], 4) for name, values in latencies.items()},
        "pairs": [round(ratio, 4) for ratio in pairs],
    }


def build(device: Device, network: Path, engine: Path) -> None:
    with runtime_on(device, "a build") as runtime:
        runtime.build(network, engine, "fp32", 1)


def measure(device: Device, engine: Path, example: np.ndarray, inputs: list[np.ndarray]) -> None:
    with runtime_on(device, "a benchmark") as runtime:
        runtime.benchmark(engine, example, SHORT)
        runtime.run(engine, inputs, 1)


def in_a_process(work: Callable[..., None], *arguments: Any) -> float:
    """Seconds that something takes in a process of its own."""
    start = time.perf_counter()
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"error: {work.__name__} on {arguments[0].name} failed")
    return time.perf_counter() - start


def job(device: Device, network: Path, engine: Path, inputs: list[np.ndarray]) -> float:
    """Seconds of a build and a benchmark."""
    engine.mkdir()
    return in_a_process(build, device, network, engine) + in_a_process(measure, device, engine, inputs[0], inputs)


def overhead(network: Path, inputs: list[np.ndarray], rounds: int, where: Path) -> dict[str, Any]:
    """What a job costs over SSH, and what it sends."""
    home = where / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    server = Server(where / "board", new_key(home / ".ssh/id_ed25519"))
    os.environ["HOME"] = str(home)
    proxy, address = through(server, [])
    try:
        board = Device("board", address, "onnxruntime", {"python": sys.executable})
        sent, here, there = [0], [], []
        for turn in range(rounds):
            there.append(job(board, network, where / f"there{turn}", inputs))
            sent.append(proxy.up)
            here.append(job(LOCAL, network, where / f"here{turn}", inputs))
    finally:
        proxy.close()
        server.kill()
    return {
        "overhead_s_per_job": round(min(there) - min(here), 2),
        "job_s": {"here": [round(seconds, 2) for seconds in here], "there": [round(seconds, 2) for seconds in there]},
        "sent": {"first_job": sent[1], "second_job": sent[2] - sent[1]},
        "network_bytes": network.stat().st_size,
        "inputs": {"count": len(inputs), "bytes": sum(array.nbytes for array in inputs)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, 2 or more (default: 5)")
    parser.add_argument("--inputs", type=int, default=420, help="inputs of the accuracy (default: 420, as in the demo)")
    options = parser.parse_args()
    inputs = sequences(options.inputs)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        network = where / "model.onnx"
        write_network(network)
        result = agreement("onnxruntime", network, inputs[0], options.rounds, where)
        result["openvino"] = agreement("openvino", network, inputs[0], options.rounds, where)
        if SSHD:
            result |= overhead(network, inputs, options.rounds, where)
        else:
            result |= {"overhead_s_per_job": None, "reason": "there is no sshd here (Debian: apt install openssh-server)"}
    if not options.json:
        for name, figures in (("ONNX Runtime", result), ("OpenVINO", result["openvino"])):
            latency = figures["latency_ms"]
            print(f"{name}: median latency {latency['benchmark']:.3f} ms, in a bare loop {latency['bare']:.3f} ms")
            agreement_ratio, of_medians = figures["latency_agreement"], figures["ratio_of_medians"]
            print(f"ratio {agreement_ratio}, round by round {figures['pairs']}; of medians {of_medians}")
        if SSHD:
            print(f"a job takes {min(result['job_s']['there'])} s over SSH and {min(result['job_s']['here'])} s here")
            print(f"sent, in bytes: {result['sent']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
