"""Read the output of trtexec while it builds and measures (TensorRT 7.1 to 11.x)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

REASON_LENGTH = 500

BANNER = re.compile(
    r"&&&& (RUNNING|PASSED|FAILED|WAIVED) TensorRT\.trtexec(?: \[TensorRT v(\d+)\])?(?: \[b(\d+)\])?(?: # (.*))?"
)
LINE = re.compile(r"^\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] \[([IWEFV])\]\s?(.*)$")
SUMMARY = re.compile(r"^([A-Z][\w /-]*?): (min = .*)$")
STATISTIC = re.compile(r"([a-z]\w*(?:\(\d+(?:\.\d+)?%\))?) = (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: ms)?(?=,|\s|$)")
# TensorRT 7 prints each statistic on a line, below a line with a name; the values are the names of later versions.
SECTIONS = {"Host Latency": "Latency", "Enqueue Time": "Enqueue Time", "GPU Compute": "GPU Compute Time"}
IN_SECTION = re.compile(r"^(min|max|mean|median|percentile): (\d+(?:\.\d+)?(?:e[+-]?\d+)?) ms(?: at (\d+(?:\.\d+)?%))?")
NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
# Error 2 of CUDA's start is cudaErrorMemoryAllocation.
OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemory|std::bad_alloc|cudaErrorMemoryAllocation|insufficient memory|Cannot allocate memory|"
    r"CUDA initialization failure with error: 2\b",
    re.IGNORECASE,
)
REBOOT = re.compile(r"\breboot", re.IGNORECASE)
# TensorRT 7 prints errors of its parser without time and level.
BARE = re.compile(r"^(ERROR: |While parsing node number )")
SOURCE = re.compile(r"^(\[TRT\] )?([\w./-]+\.(cpp|h|hpp):\d+: )?")
NODE = re.compile(r"While parsing node number \d+ \[.*\](?=:?$)", re.MULTILINE)
# The parser's finding, in the lines below "ERROR: ModelImporter.cpp:180 In function parseGraph:".
VERDICT = re.compile(r"^ERROR: [^\n]*In function [^\n]*:\s*\n(.*)", re.DOTALL)
# The parser's place, its node (a block of lines), and lines before the end that say only that it failed.
CONSEQUENCES = re.compile(
    r"^(--- (Begin|End) node ---|(input|output|name|op_type): \"|While parsing node number|"
    r"ERROR: [^\n]*In function [^\n]*$|"
    r"Engine could not be created|Engine set up failed|Engine creation failed|Engine loading failed|"
    r"Engine deserialization failed|Got invalid engine|Building engine failed|Inference set up failed|Parsing model failed|"
    r"Could not (create|build) engine|Failed to (create|build) engine|Failed to parse onnx file)"
)


@dataclass(frozen=True)
class Log:
    """A log, whole or cut off anywhere.

    Attributes:
        version: TensorRT's version, such as (8, 2, 1), or None.
        build: its build number (from 10.4), or None.
        result: "PASSED", "FAILED", "WAIVED", or None if it ended before.
        command: the command line as trtexec repeats it.
        summary: statistics by the line's name ("Latency", "GPU Compute Time", ...), in ms, by their own names ("min",
            "median", "percentile(99%)", ...).
        throughput_qps: queries a second; None where TensorRT 7 prints 0, as it does for every ONNX network.
        queries: the number of timed queries, and their seconds, or None; for TensorRT 7 the number is 0 for the same reason.
        device: the printed properties of the GPU, such as {"Selected Device": "Orin", "Compute Capability": "8.7"}.
        build_seconds: how long the engine took to build, or None.
        warnings: lines of level W.
        errors: errors of level E and F with all their lines, and those of TensorRT 7's parser, which have no level.
        out_of_memory: whether memory ran out.
        reboot: the line that says that the board must reboot, or None.
        enqueue_bound: whether trtexec warns that the processor could not keep the GPU busy.
    """

    version: tuple[int, int, int] | None
    build: int | None
    result: str | None
    command: str | None
    summary: Mapping[str, Mapping[str, float]]
    throughput_qps: float | None
    queries: tuple[int, float] | None
    device: Mapping[str, str]
    build_seconds: float | None
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    out_of_memory: bool
    reboot: str | None
    enqueue_bound: bool

    @property
    def reason(self) -> str | None:
        """The reason of a failure in one line, or None if nothing points to a failure."""
        memory = next((error for error in self.errors if OUT_OF_MEMORY.search(error)), None)
        if memory or self.out_of_memory:
            return f"out of memory: {_brief(memory)}" if memory else "out of memory"
        if self.reboot:
            return _brief(self.reboot)
        bare = [SOURCE.sub("", error) for error in self.errors]
        causes = [match[1].strip() for match in map(VERDICT.match, bare) if match]
        node = next(filter(None, map(NODE.search, bare)), None)
        telling = [
            error
            for error, words in zip(self.errors, bare, strict=True)
            if not CONSEQUENCES.match(words) and not VERDICT.match(words)
        ]
        if causes:
            # Some versions print on two lines that a node is invalid, and why.
            why = f": {telling[0]}" if telling and re.fullmatch(r"\[\d+\] Invalid Node - .*", causes[0]) else ""
            return _brief(f"{causes[0]}{why}" + (f" ({node[0]})" if node else ""))
        # The place of a failure is better than the mere failure.
        places = [error for error in self.errors if NODE.search(error)]
        if errors := telling or places or self.errors:
            return _brief(errors[0])
        return "trtexec says only that it failed" if self.result == "FAILED" else None


def parse(text: str) -> Log:
    """Read a log; skip unknown lines, and read lines after the result like all others."""
    version = build = result = command = throughput = queries = seconds = None
    summary: dict[str, dict[str, float]] = {}
    device: dict[str, str] = {}
    warnings: list[str] = []
    errors: list[str] = []
    rest: list[str] = []  # lines without a level
    level, in_device, section = "", False, ""
    for line in text.splitlines():
        if banner := BANNER.match(line.strip()):
            version = parse_version(banner[2]) or version
            build = int(banner[3]) if banner[3] else build
            command = banner[4] or command
            result = banner[1] if banner[1] != "RUNNING" else result
            level = ""
            continue
        match = LINE.match(line)
        words = (match[2] if match else line).strip()
        if match or BARE.match(words):
            level = match[1] if match else "E"
            if level == "W":
                warnings.append(words)
            elif level in "EF":
                errors.append(words)
        elif words:
            rest.append(words)
            if level and level in "EF":  # an error goes on over several lines
                errors[-1] += f"\n{words}"
        section = SECTIONS.get(words, section)
        if section and (statistic := IN_SECTION.match(words)):
            name = statistic[1] if statistic[3] is None else f"{statistic[1]}({statistic[3]})"
            summary.setdefault(section, {})[name] = float(statistic[2])
        elif words.startswith("==="):
            in_device = words == "=== Device Information ==="
        elif statistics := SUMMARY.match(words):
            summary[statistics[1]] = {name: float(value) for name, value in STATISTIC.findall(statistics[2])}
        elif in_device and (pair := re.match(r"^([\w ()-]+): (\S.*)$", words)):
            device[pair[1]] = pair[2]
        elif number := re.match(rf"^[Tt]hroughput: {NUMBER} qps", words):
            throughput = float(number[1]) or None
        elif numbers := re.match(rf"^Timing trace has (\d+) queries over {NUMBER} s", words):
            queries = int(numbers[1]), float(numbers[2])
        elif number := re.match(rf"^Engine built in {NUMBER} sec", words):
            seconds = float(number[1])
    return Log(
        version=version,
        build=build,
        result=result,
        command=command,
        summary=summary,
        throughput_qps=throughput,
        queries=queries,
        device=device,
        build_seconds=seconds,
        warnings=tuple(warnings),
        errors=tuple(filter(None, errors)),
        out_of_memory=any(OUT_OF_MEMORY.search(words) for words in (*errors, *rest)),
        reboot=next((line for words in (*errors, *rest) for line in words.splitlines() if REBOOT.search(line)), None),
        enqueue_bound=any("may be bound by Enqueue Time" in words for words in warnings),
    )


def parse_version(digits: str | None) -> tuple[int, int, int] | None:
    """The version of a banner's number: "8201" is 8.2.1, "100300" is 10.3.0."""
    if not digits or not 4 <= len(digits) <= 6:
        return None
    number = int(digits)
    return (
        (number // 10000, number // 100 % 100, number % 100)
        if number >= 100000
        else (
            number // 1000,
            number // 100 % 10,
            number % 100,
        )
    )


def digits(version: tuple[int, int, int]) -> str:
    """A version as banners and calibration caches write it: "8201" for 8.2.1, "100300" for 10.3.0."""
    major, minor, patch = version
    return f"{major}{minor:02d}{patch:02d}" if major >= 10 else f"{major}{minor}{patch:02d}"


def _brief(text: str | None) -> str:
    words = re.sub(r"\s+", " ", text or "")
    return words if len(words) <= REASON_LENGTH else f"{words[:REASON_LENGTH]} ..."
