"""Simulate trtexec of the board's TensorRT version: its options, log and files; ONNX Runtime runs the networks."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from simulator.engine import Refused, build, digits
from simulator.jetson import Jetson, here
from simulator.tools import refusals
from simulator.tools.inference import infer

FLAGS = {"noTF32", "allowGPUFallback", "useSpinWait", "verbose"}
VALUES = {
    "onnx", "saveEngine", "loadEngine", "useDLACore", "minShapes", "optShapes", "maxShapes", "shapes", "warmUp",
    "duration", "iterations", "avgRuns", "loadInputs", "exportTimes", "exportOutput", "exportProfile",
}  # fmt: skip
# Options that only some versions have: the first version with the option, and the first later one without it.
FOREVER = (99, 0)
SOME_FLAGS = {
    "explicitBatch": ((7, 0), (8, 0)), "exposeDMA": ((7, 0), FOREVER), "buildOnly": ((7, 0), (8, 6)),
    "skipInference": ((8, 6), FOREVER), "fp16": ((7, 0), (11, 0)), "int8": ((7, 0), (11, 0)), "best": ((7, 0), (11, 0)),
    "noDataTransfers": ((7, 2), (11, 0)), "useCudaGraph": ((7, 0), (11, 0)), "noCudaGraph": ((11, 0), FOREVER),
    "includeDataTransfers": ((11, 0), FOREVER),
}  # fmt: skip
SOME_VALUES = {
    "calib": ((7, 0), (11, 0)), "workspace": ((7, 0), (10, 0)), "memPoolSize": ((8, 4), FOREVER),
    "timingCacheFile": ((8, 0), FOREVER), "streams": ((7, 0), (11, 0)), "infStreams": ((10, 0), FOREVER),
}  # fmt: skip


class Log:
    """Lines as trtexec prints them; errors go to standard error."""

    def __init__(self, board: Jetson, words: list[str]) -> None:
        version = f" [TensorRT v{digits(board.kind.tensorrt)}]" if board.kind.tensorrt >= (8, 0) else ""
        version += f" [b{board.kind.build}]" if board.kind.build else ""
        self.command = f"TensorRT.trtexec{version} # {board.root}/usr/src/tensorrt/bin/trtexec {' '.join(words)}"
        print(f"&&&& RUNNING {self.command}", flush=True)

    def say(self, text: str = "", level: str = "I") -> None:
        stream = sys.stderr if level in "EF" else sys.stdout
        print(f"[{datetime.now():%m/%d/%Y-%H:%M:%S}] [{level}] {text}", file=stream, flush=True)

    def end(self, passed: bool) -> None:
        print(f"&&&& {'PASSED' if passed else 'FAILED'} {self.command}", flush=True)
        sys.exit(0 if passed else 1)


def options(board: Jetson, words: list[str]) -> dict[str, str]:
    """The options of a command line, as this version of trtexec reads them."""
    version = board.kind.tensorrt
    flags = FLAGS | {name for name, (since, end) in SOME_FLAGS.items() if since <= version < end}
    values = VALUES | {name for name, (since, end) in SOME_VALUES.items() if since <= version < end}
    settings = {}
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in flags | values or (name in values) != bool(value):
            raise Refused(f"Unknown option: {word}")
        settings[name] = value
    return settings


def shapes(text: str) -> dict[str, list[int]]:
    """The shapes in a specification such as ``input:1x30x64x44``, by the name of the input."""
    pairs = (part.rpartition(":") for part in text.split(","))
    return {name.strip("'"): [int(axis) for axis in shape.split("x")] for name, _, shape in pairs}


def device(board: Jetson, log: Log) -> None:
    """Print the GPU's properties; TensorRT 7.1 does not."""
    if board.kind.tensorrt < (7, 2):
        return
    name, capability, multiprocessors = board.kind.gpu
    log.say("=== Device Information ===")
    log.say(f"Selected Device: {name}")
    log.say(f"Compute Capability: {capability}")
    log.say(f"SMs: {multiprocessors}")
    log.say(f"Compute Clock Rate: {board.kind.gpu_hz[1] / 1e9:g} GHz")
    log.say()
    log.say(f"TensorRT version: {'.'.join(map(str, board.kind.tensorrt))}")


def fail_by_fault(board: Jetson, log: Log) -> None:
    """Fail in the way of the board's fault, if it has one."""
    fault = board.fault
    if fault == "reboot":
        reboot(board)
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(3600)
    if fault == "oom":
        log.say("[TRT] 2: [virtualMemoryBuffer.cpp::resizePhysical] Error Code 2: OutOfMemory (no further information)", "E")
        raise Refused("Engine could not be created from network")
    if fault == "failed":
        log.say(
            "[TRT] 10: [optimizer.cpp::computeCosts] Error Code 10: Could not find any implementation for node Conv_0.", "E"
        )
        raise Refused("Engine could not be created from network")


def reboot(board: Jetson) -> None:
    """Reboot with another L4T: end the SSH session in which this process runs, and this process."""
    board.fault = None
    board.upgrade()
    sessions = []
    process = os.getpid()
    while process > 1:
        status = Path(f"/proc/{process}/status").read_text()
        if status.startswith("Name:\tsshd"):
            sessions.append(process)
        process = int(status.partition("PPid:")[2].split()[0])
    for session in sessions[:-1]:  # the last one is the server itself
        os.kill(session, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def save(board: Jetson, path: Path, content: bytes, log: Log) -> None:
    if board.fault == "full-disk":
        path.write_bytes(content[: len(content) // 2])
        raise Refused("Saving engine to file failed: No space left on device")
    if board.fault != "silent":
        path.write_bytes(content)
    if board.kind.tensorrt >= (8, 0):
        log.say(f"Engine saved to {path}")


def main(words: list[str]) -> None:
    board = here()
    board.called(["trtexec", *words])
    log = Log(board, words)
    if words == ["--help"]:
        print("=== Model Options ===\n  --onnx=<file>               ONNX model")
        return
    try:
        settings = options(board, words)
        device(board, log)
        fail_by_fault(board, log)
        if "onnx" in settings:
            start = time.monotonic()
            log.say("Start parsing network model")
            precision = next((name for name in ("best", "int8", "fp16") if name in settings), "fp32")
            if board.kind.tensorrt >= (11, 0):
                precision = "typed"
            ranges: dict[str, Mapping[str, list[int]]] = {
                kind: shapes(settings[f"{kind}Shapes"]) for kind in ("min", "opt", "max") if f"{kind}Shapes" in settings
            }
            if "useDLACore" in settings and precision == "fp32":
                raise Refused("[TRT] 4: DLA is only supported with FP16 or INT8")
            content = build(board.kind, Path(settings["onnx"]), precision, settings.get("calib"), ranges)
            if board.kind.tensorrt >= (8, 0):
                log.say(f"Engine built in {time.monotonic() - start:g} sec.")
            if "timingCacheFile" in settings:
                Path(settings["timingCacheFile"]).write_text("simulated timing cache\n")
            if "saveEngine" in settings:
                save(board, Path(settings["saveEngine"]), content, log)
        else:
            content = Path(settings["loadEngine"]).read_bytes()
        if not {"skipInference", "buildOnly"} & set(settings):
            infer(board, content, settings, shapes(settings["shapes"]) if "shapes" in settings else {}, log.say)
    except (Refused, OSError) as error:
        for line in refusals.lines(str(error), board.kind.tensorrt):
            if line.startswith("ERROR: "):
                print(line, file=sys.stderr, flush=True)
            else:
                log.say(line, "E")
        log.end(False)
    log.end(True)


if __name__ == "__main__":
    main(sys.argv[1:])
