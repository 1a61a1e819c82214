"""Print the state of a machine around a measurement: load, memory, clocks and temperature.

Like the agent it runs on the device, as a script of its own: Python 3.8, the standard library, JSON as its answer.
"""

import json
import os
import re
import sys
from pathlib import Path


def read(root=Path("/")):
    """Read /proc and /sys below ``root``.

    Returns:
        ``load`` (1 min), ``free_memory_mb``, ``cpu_mhz`` (mean of the cores), ``governor`` and ``temperature_c`` (the
        hottest processor sensor). An unreadable value is None, and its reason is under ``unreadable``.
    """
    conditions, unreadable = {}, {}
    for key, reader in (
        ("load", _load),
        ("free_memory_mb", _free_memory),
        ("cpu_mhz", _clock),
        ("governor", _governor),
        ("temperature_c", _temperature),
    ):
        try:
            conditions[key] = reader(root)
        except (OSError, ValueError, IndexError, AttributeError) as error:
            conditions[key] = None
            unreadable[key] = str(error).replace(str(root), "/") if isinstance(error, (OSError, ValueError)) else "absent"
    conditions["unreadable"] = unreadable
    return conditions


def _load(root):
    return float((root / "proc/loadavg").read_text().split()[0])


def _free_memory(root):
    text = (root / "proc/meminfo").read_text()
    return int(re.findall(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)[0]) // 1024


def _clock(root):
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    clocks = [int(file.read_text()) / 1000 for file in files]
    if not clocks:
        text = (root / "proc/cpuinfo").read_text()
        clocks = [float(clock) for clock in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text, re.MULTILINE)]
    if not clocks:
        raise ValueError("neither cpufreq nor /proc/cpuinfo tells the clock")
    return round(sum(clocks) / len(clocks), 1)


def _governor(root):
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    if not files:
        raise ValueError("no cpufreq under /sys/devices/system/cpu (usual in a virtual machine)")
    return ", ".join(sorted({file.read_text().strip() for file in files}))


def _temperature(root):
    sensors = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        if re.search(r"cpu|pkg|core|soc", (zone / "type").read_text(), re.IGNORECASE):
            sensors.append(zone / "temp")
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if (chip / "name").read_text().strip() in ("coretemp", "k10temp", "zenpower", "cpu_thermal"):
            sensors.extend(sorted(chip.glob("temp*_input")))
    degrees = []
    for sensor in sensors:
        try:
            degrees.append(int(sensor.read_text()) / 1000)
        except (OSError, ValueError):
            continue  # A sensor that is off cannot be read; the others can.
    degrees = [value for value in degrees if -40 < value < 150]  # -256 stands for a sensor that is off.
    if not degrees:
        raise ValueError("no processor sensor under /sys/class/thermal or /sys/class/hwmon")
    return round(max(degrees), 1)


if __name__ == "__main__":
    json.dump(read(), sys.stdout)
    sys.stdout.write(os.linesep)
