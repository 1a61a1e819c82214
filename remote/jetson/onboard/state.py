"""What a board is, and the state it is in."""

import glob
import os
import platform
import sys
import time

from remote.jetson.onboard.sensors import gpu_clocks, temperatures, throttling
from remote.jetson.onboard.tools import SIMULATED, at, may_be_root, number, output, privileged, text, tool

CPUFREQ = "sys/devices/system/cpu/cpu[0-9]*/cpufreq"


def facts(_=None):
    """The texts that tell what the board is."""
    return {
        "simulated": bool(SIMULATED),
        "release": text(at("etc/nv_tegra_release")),
        "model": text(at("proc/device-tree/model")).strip("\0\n "),
        "compatible": text(at("proc/device-tree/compatible")),
        "cpuinfo": text(at("proc/cpuinfo")),
        "os_release": text(at("etc/os-release")),
        "meminfo": text(at("proc/meminfo")),
        "arch": platform.machine(),
        "cores": cores(text(at("sys/devices/system/cpu/present"))) or os.cpu_count(),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }


def cores(present):
    """The number of cores in a list such as "0-3,5"; cores that a power mode switches off count too."""
    ranges = [part.split("-") for part in present.strip().split(",") if part]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)


def state(_=None):
    """The values that change: power mode, clocks, temperatures, throttling, load and memory."""
    root = may_be_root()
    clocks = output(privileged([tool("jetson_clocks"), "--show"])) if root and tool("jetson_clocks") else (1, "")
    return {
        "sudo": root,
        "mode_query": output([tool("nvpmodel"), "-q"])[1],
        "mode_status": text(at("var/lib/nvpmodel/status")),
        "mode_config": text(at("etc/nvpmodel.conf")),
        "clocks": clocks[1] if clocks[0] == 0 else "",
        "gpu_hz": gpu_clocks(),
        "temperatures_c": temperatures(),
        "throttling": throttling(),
        "loadavg": text(at("proc/loadavg")),
        "meminfo": text(at("proc/meminfo")),
        "cpu_khz": [number(path) for path in sorted(glob.glob(at(CPUFREQ, "scaling_cur_freq")))],
        "governors": sorted({text(path).strip() for path in glob.glob(at(CPUFREQ, "scaling_governor"))}),
    }


def cool(request):
    """Wait until no sensor is above ``below_c``, for ``wait_s`` at most; return the highest temperature and the wait."""
    start = time.monotonic()
    while True:
        hottest = max(temperatures().values(), default=None)
        waited = time.monotonic() - start
        if hottest is None or hottest <= request["below_c"] or waited >= request["wait_s"]:
            return {"hottest_c": hottest, "waited_s": round(waited, 1)}
        time.sleep(min(1.0, request["wait_s"]))
