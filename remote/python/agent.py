"""The program for a device whose runtime is a package of its Python: its facts, and building, running and measuring engines.

It needs Python 3.8 and numpy, runs in a process of its own, takes its arguments by argv and answers with JSON on its
standard output: the result, or ``{"error": "..."}`` with exit status 1. The runtime's own code is in a second file,
``--part``, which defines:

* ``version()``: the version of the runtime, as text;
* ``build(onnx, engine, precision, threads, options)``: makes the engine's file from a network's; or it makes none, and
  returns the reason why this device does not compute in that precision;
* ``load(engine, threads, options)``: returns a function from an input (float32) to the first output;
* ``profile(engine, values, duration_s, threads, options)``, if the runtime can tell: returns the name, the operator and
  the time a query in ms of each node of the engine, in the order in which they run.

The options are those of the device.
"""

import argparse
import gc
import io
import json
import os
import platform
import re
import runpy
import statistics
import subprocess
import sys
import time
import zlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

# ONNX Runtime chooses kernels and graph layouts by these instruction sets.
ISA_X86 = [
    "sse4_1",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_bf16",
    "avx512_fp16",
    "avx512_vnni",
]
ISA_X86 += ["avx_vnni", "amx_tile", "amx_int8", "amx_bf16"]
ISA_ARM = ["asimd", "asimddp", "asimdhp", "fphp", "i8mm", "bf16", "sve", "sve2"]
WINDOW_S, WINDOW_QUERIES, SETTLED = 0.25, 10, 0.01  # windows of the rolling median, and how far two may differ
IDLE_S = 1.0
WARM_REFERENCE_S = 0.06  # of reference products where the processor is warm
REST_S, LEAST_S = 2.0, 3.0  # where power is sampled, as for TensorRT: rest before and after, and the shortest measurement
SWEPT_QUERIES = 5  # of each batch, at least


def opened(part, options):
    """The functions of a runtime's own file, whatever its name here, for a device with these options."""
    names: dict = {"__name__": "part"}
    exec(compile(Path(part).read_bytes(), str(part), "exec"), names)
    known = {name: partial(names[name], options=options) for name in ("build", "load", "profile") if name in names}
    return SimpleNamespace(version=names["version"], **known)


def facts(part, root=None):
    """The facts that engines on this machine depend on; the same on every call, so without clocks or free memory.

    A simulated board has its files below GAITPRESS_SIMULATED_ROOT, and says so: ``simulated``.
    """
    simulated_root = os.environ.get("GAITPRESS_SIMULATED_ROOT")
    root = root or Path(simulated_root or "/")
    cpu = _cpu(_text(root / "proc/cpuinfo"))
    release = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)', _text(root / "etc/os-release"), re.MULTILINE))
    return {
        **({"simulated": True} if simulated_root else {}),
        "arch": platform.machine(),
        "board": _text(root / "proc/device-tree/model").strip("\0\n ") or None,
        "cores": _cores(_text(root / "sys/devices/system/cpu/present")) or os.cpu_count(),
        "cpu": cpu["name"] or platform.processor() or platform.machine(),
        "cpu_id": cpu["id"],
        "isa": cpu["isa"],
        "os": " ".join([platform.system(), *(release[key] for key in ("ID", "VERSION_ID") if key in release)]),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "runtime_version": part.version(),
    }


def _cpu(cpuinfo):
    """The name, identification and instruction sets of the first core in the text of /proc/cpuinfo (x86 or ARM)."""
    first: dict = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            first.setdefault(key.strip(), value.strip())
    parts = "CPU implementer", "CPU part", "CPU variant", "vendor_id", "cpu family", "model", "stepping"
    flags = set((first.get("flags") or first.get("Features") or "").split())
    return {
        "name": first.get("model name") or first.get("Hardware"),
        "id": " ".join(first[part] for part in parts if part in first) or None,
        "isa": [flag for flag in ISA_X86 + ISA_ARM if flag in flags],
    }


def _cores(present):
    """The number of cores in a list such as "0-3,5"; cores that a power mode switches off count too."""
    ranges = [part.split("-") for part in present.strip().split(",") if part]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def build(part, onnx, engine, precision, threads):
    """Make an engine from a network; return the seconds that it took, and the reason if there is none: ``skipped``."""
    start = time.perf_counter()
    skipped = part.build(onnx, engine, precision, threads)
    return {"seconds": round(time.perf_counter() - start, 3), "skipped": skipped}


def run(part, engine, threads, source, sink):
    """Answer inputs one by one until there are no more; remote/inputs.py says how they come."""
    answer = part.load(engine, threads)
    for values in _inputs(source):
        output = np.ascontiguousarray(answer(values), np.float32)
        sink.write(json.dumps({"shape": output.shape}).encode() + b"\n" + output.tobytes())
        sink.flush()


def _inputs(source):
    for line in iter(source.readline, b""):
        head = json.loads(line)
        if "shape" in head:
            yield np.frombuffer(source.read(4 * int(np.prod(head["shape"]))), np.float32).reshape(head["shape"])
        else:
            packed = Path(head["file"]).read_bytes() if "file" in head else source.read(head["packed"])
            yield from _inputs(io.BytesIO(zlib.decompress(packed)))


def benchmark(part, engine, example, threads, warmup_s, duration_s, queries, before=None):
    """Time single queries, after a warm-up; all times in ms, inputs and outputs in this process's memory.

    ``before`` is the reference time after another engine that this process has just timed. Then the processor is warm: the
    warm-up does not wait for times to settle, and the reference takes less time.

    Returns:
        ``samples_ms`` (one a query), ``warmup``, the reference times before and after, and ``others``: how many cores other
        programs, or other guests of the same host, kept busy meanwhile; None where the system does not say.
    """
    query = _query(part, engine, example, threads)
    settle = before is None
    before = reference_ms() if settle else before
    warmup = warm_up(query, warmup_s, settle)
    samples: list = []
    gc.disable()
    begun, busy, own = time.perf_counter(), busy_s(), time.process_time()
    while len(samples) < queries or time.perf_counter() < begun + duration_s:
        samples.append(query())
    ended, busy_after, own_after = time.perf_counter(), busy_s(), time.process_time()
    gc.enable()
    others = None if busy is None or busy_after is None else (busy_after - busy - own_after + own) / (ended - begun)
    return {
        "samples_ms": [round(sample, 5) for sample in samples],
        "warmup": warmup,
        "reference_ms_before": before,
        "reference_ms_after": reference_ms() if settle else reference_ms(WARM_REFERENCE_S),
        "others": None if others is None else round(max(0.0, others), 3),
    }


def times(part, engines, example, threads, warmup_s, duration_s, queries, conditions):
    """Time engines one after the other; yield the answer of ``benchmark`` for each, with the machine's state, or ``error``.

    The state is what the program ``conditions`` reads ``before`` and ``after``.
    """
    read = runpy.run_path(str(conditions))["read"]
    reference, state = None, read()
    for engine in engines:
        try:
            answer = benchmark(part, engine, example, threads, warmup_s, duration_s, queries, reference)
        except Exception as error:  # the others may run
            yield {"error": f"{type(error).__name__}: {error}"}
            continue
        gc.collect()  # the engine's memory is free before the next one is loaded
        before, reference, state = state, answer["reference_ms_after"], read()
        yield {**answer, "before": before, "after": state}


def busy_s(root=Path("/")):
    """Seconds that all cores together were busy since the start, those taken by a hypervisor included; None if unknown.

    Of a simulated board nobody knows it: its cores are not those of the computer that plays it.
    """
    if "GAITPRESS_SIMULATED_ROOT" in os.environ:
        return None
    fields = _text(root / "proc/stat").partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _query(part, engine, example, threads):
    return _timed(part.load(engine, threads), np.load(str(example), allow_pickle=False))


def _timed(answer, values):
    def query():
        start = time.perf_counter()
        answer(values)
        return 1000 * (time.perf_counter() - start)

    return query


def warm_up(query, warmup_s, settle=True):
    """Run for at least ``warmup_s`` seconds and, to ``settle``, until the rolling median does; give up after 10 times that.

    ``settled`` is None if that was too short to compare two medians.
    """
    start = time.perf_counter()
    medians, window, opened = [], [], start
    done, settled = 0, None
    while True:
        window.append(query())
        done += 1
        now = time.perf_counter()
        if now - opened >= WINDOW_S and len(window) >= WINDOW_QUERIES:
            medians.append(statistics.median(window))
            window, opened = [], now
            settled = abs(medians[-1] / medians[-2] - 1) <= SETTLED if len(medians) > 1 else None
        if now - start >= (warmup_s if settled or not settle else 10 * warmup_s):
            return {"seconds": round(now - start, 3), "queries": done, "settled": settled}


def reference_ms(seconds=0.3):
    """Median time of one fixed matrix product, in ms: the same work every time, so a change is the machine's."""
    matrix = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        matrix @ matrix
        times.append(1000 * (time.perf_counter() - start))
    # The first half lets the clock rise and the caches fill.
    return round(statistics.median(times[len(times) // 2 :]), 5)


def rapl(root=Path("/")):
    """The energy counters of the processor packages: ([(counter file, its range in uJ)], why there are none, or None)."""
    packages = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        if zone.name.count(":") == 1 and _text(zone / "name").startswith("package"):
            if not _text(zone / "energy_uj"):
                return [], f"{zone}/energy_uj cannot be read by this user"
            packages.append((zone / "energy_uj", int(_text(zone / "max_energy_range_uj") or 0)))
    return packages, None if packages else "no RAPL energy counters under /sys/class/powercap"


def spent_uj(before, after, packages):
    """The energy in uJ between two readings; a counter that started again from 0 has passed its range once."""
    return sum(
        last - first if last >= first else last - first + limit for first, last, (_, limit) in zip(before, after, packages)
    )


def energy(part, engine, example, threads, duration_s, root=None, sensors=None):
    """The energy of an inference in mJ, from a run of its own (idle, work, idle), or a reason why there is no figure.

    If the processor counts no energy, the program ``sensors`` samples a board's power rails, as for TensorRT. Then the
    answer holds ``power``, ``queries`` and ``seconds``, from which remote/jetson/power.py computes the figure.
    """
    packages, reason = rapl(root or Path(os.environ.get("GAITPRESS_SIMULATED_ROOT") or "/"))
    if reason:
        if sensors is None:
            return {"reason": reason}
        return _sampled(part, engine, example, threads, duration_s, sensors, reason)
    query = _query(part, engine, example, threads)
    query()
    idle_before = _watts(packages, lambda: time.sleep(IDLE_S))[0]
    done = []
    watts, seconds = _watts(packages, lambda: done.extend(_for(duration_s, query)))
    idle = (idle_before + _watts(packages, lambda: time.sleep(IDLE_S))[0]) / 2
    return {
        "gross_mj": round(1000 * watts * seconds / len(done), 6),
        "idle_subtracted_mj": round(1000 * (watts - idle) * seconds / len(done), 6),
        "idle_w": round(idle, 3),
        "queries": len(done),
        "scope": "processor packages (RAPL), without memory, disks and power supply",
    }


def _sampled(part, engine, example, threads, duration_s, sensors, reason):
    query = _query(part, engine, example, threads)
    query()
    # The sampler is a process of its own, so that neither delays the other; both have the same monotonic clock.
    argv, pipe = [sys.executable, str(sensors), "sample"], subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as sampler:
        requests, answers = sampler.stdin, sampler.stdout
        assert requests is not None
        assert answers is not None
        requests.write(b"{}\n")
        requests.flush()
        greeting = {"sensors": False, "fault": "the sensors cannot be read"}
        for line in iter(answers.readline, b""):
            if line.startswith(b"{"):  # before it, a Python may greet
                greeting = json.loads(line)
                break
        if greeting["sensors"]:
            time.sleep(REST_S)
            began = time.monotonic()
            done = _for(max(duration_s, LEAST_S), query)
            ended = time.monotonic()
            time.sleep(REST_S)
        samples = sampler.communicate()[0]
    if not greeting["sensors"]:
        return {"reason": greeting["fault"] or reason}
    return {"power": dict(json.loads(samples), began=began, ended=ended), "queries": len(done), "seconds": ended - began}


def _watts(packages, work):
    readings, start = [int(_text(counter)) for counter, _ in packages], time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return spent_uj(readings, [int(_text(counter)) for counter, _ in packages], packages) / 1e6 / seconds, seconds


def sweep(part, engine, example, threads, duration_s, batches):
    """Time queries of several batches for ``duration_s`` in all; each answer has ``samples_ms`` or, if it fails, ``error``.

    A query's inputs are the first ones of ``example``.
    """
    answer, values = part.load(engine, threads), np.load(str(example), allow_pickle=False)
    answers: list = []
    for batch in batches:
        query = _timed(answer, np.ascontiguousarray(values[:batch]))
        try:
            query()  # allocates the memory
            times = _for(duration_s / len(batches), query, SWEPT_QUERIES)
            answers.append({"samples_ms": [round(sample, 5) for sample in times]})
        except Exception as error:  # the other batches may be small enough
            answers.append({"error": f"{type(error).__name__}: {error}"})
    return {"batches": answers}


def profile(part, engine, example, threads, duration_s):
    """The time of each node of an engine, from a run of its own, for looking at nodes costs time; or a reason."""
    if not hasattr(part, "profile"):
        return {"reason": "the runtime's own file has no function profile"}
    rows = part.profile(engine, np.load(str(example), allow_pickle=False), duration_s, threads)
    return {"nodes": [{"name": name, "op": op, "ms": round(ms, 5)} for name, op, ms in rows]}


def _for(duration_s, query, least=1):
    times: list = []
    end = time.perf_counter() + duration_s
    while len(times) < least or time.perf_counter() < end:
        times.append(query())
    return times


def main(arguments):
    # Libraries may print: only our answer goes to the real standard output.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["facts", "build", "run", "benchmark", "times", "energy", "profile", "sweep"])
    parser.add_argument("--part", type=Path, required=True, help="the runtime's own file")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON: the device's options")
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--engine", type=Path)
    parser.add_argument("--engines", type=Path, nargs="*", default=[], help="for times")
    parser.add_argument("--conditions", type=Path, help="the program that reads the machine's state, for times")
    parser.add_argument("--precision", default="fp32", help="of the network to build")
    parser.add_argument("--example", type=Path, help="an .npy file with the input")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup-s", type=float, default=2.0)
    parser.add_argument("--duration-s", type=float, default=10.0)
    parser.add_argument("--queries", type=int, default=1)
    parser.add_argument("--sensors", type=Path, help="the program that reads a board's power sensors")
    parser.add_argument("--batches", type=int, nargs="*", default=[])
    settings = parser.parse_args(arguments)
    try:
        part = opened(settings.part, settings.options)
        engine, example, threads = settings.engine, settings.example, settings.threads
        if settings.command == "facts":
            answer = facts(part)
        elif settings.command == "build":
            answer = build(part, settings.onnx, engine, settings.precision, threads)
        elif settings.command == "run":
            return run(part, engine, threads, sys.stdin.buffer, answers)
        elif settings.command == "benchmark":
            answer = benchmark(part, engine, example, threads, settings.warmup_s, settings.duration_s, settings.queries)
        elif settings.command == "times":
            how = settings.warmup_s, settings.duration_s, settings.queries
            for answer in times(part, settings.engines, example, threads, *how, settings.conditions):
                answers.write(json.dumps(answer).encode() + b"\n")
                answers.flush()
            return
        elif settings.command == "profile":
            answer = profile(part, engine, example, threads, settings.duration_s)
        elif settings.command == "sweep":
            answer = sweep(part, engine, example, threads, settings.duration_s, settings.batches)
        else:
            answer = energy(part, engine, example, threads, settings.duration_s, sensors=settings.sensors)
    except Exception as error:  # Whatever error a runtime raises for a network is this network's result.
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        answers.flush()
        sys.exit(1)
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
