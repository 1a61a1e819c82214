"""A board in a folder: its /etc, /proc, /sys and /usr, its faults, and the state of its tools."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

from simulator.boards import KINDS, Kind

HERE = Path(__file__).parent
TOOLS = {
    "usr/src/tensorrt/bin/trtexec": "trtexec",
    "usr/sbin/nvpmodel": "nvpmodel",
    "usr/bin/jetson_clocks": "jetson_clocks",
    "usr/bin/tegrastats": "tegrastats",
    "usr/bin/sudo": "sudo",
}
FAULTS = ("missing", "crash", "hang", "oom", "killed", "failed", "full-disk", "silent", "reboot")


class Jetson:
    """A board in the folder ``root``, which is created if it is missing.

    The simulation's state is in ``root``/sim: ``kind``, ``fault``, ``sudo`` (exists if sudo asks for no password),
    ``locked`` (exists if the clocks are locked) and ``calls``, a line for each call of a tool.
    """

    def __init__(self, root: Path, kind: str | None = None) -> None:
        self.root = root
        if kind is not None and not (root / "sim").exists():
            self._make(kind)
        self.name = (root / "sim/kind").read_text()
        self.kind: Kind = KINDS[self.name]

    @property
    def fault(self) -> str | None:
        """The fault of its trtexec, one of FAULTS, or None."""
        path = self.root / "sim/fault"
        return path.read_text() if path.exists() else None

    @fault.setter
    def fault(self, name: str | None) -> None:
        assert name is None or name in FAULTS
        path = self.root / "sim/fault"
        path.unlink(missing_ok=True)
        if name:
            path.write_text(name)

    @property
    def mode(self) -> int:
        """The id of its power mode."""
        return int(self._read("var/lib/nvpmodel/status").partition(":")[2])

    @mode.setter
    def mode(self, number: int) -> None:
        self.write("var/lib/nvpmodel/status", f"pmode:{number:04d}\n")

    @property
    def locked(self) -> bool:
        """Whether its clocks are locked."""
        return (self.root / "sim/locked").exists()

    @locked.setter
    def locked(self, value: bool) -> None:
        (self.root / "sim/locked").touch() if value else (self.root / "sim/locked").unlink(missing_ok=True)
        low, high = self.kind.gpu_hz
        for name, hz in (("min_freq", high if value else low), ("max_freq", high), ("cur_freq", high if value else low)):
            self.write(f"sys/class/devfreq/{self.kind.devfreq}/{name}", f"{hz}\n")

    @property
    def sudo(self) -> bool:
        """Whether sudo asks for no password."""
        return (self.root / "sim/sudo").exists()

    @sudo.setter
    def sudo(self, value: bool) -> None:
        (self.root / "sim/sudo").touch() if value else (self.root / "sim/sudo").unlink(missing_ok=True)

    @property
    def sensor(self) -> bool:
        """Whether sysfs has its power sensor; without it, tegrastats alone shows the power."""
        return (self.root / "sim/sensor").exists()

    @sensor.setter
    def sensor(self, value: bool) -> None:
        (self.root / "sim/sensor").touch() if value else (self.root / "sim/sensor").unlink(missing_ok=True)
        if not value:
            shutil.rmtree(self.root / "sys/bus", ignore_errors=True)

    @property
    def calls(self) -> list[str]:
        """The command lines of its tools since the start, each without its folder."""
        path = self.root / "sim/calls"
        return path.read_text().splitlines() if path.exists() else []

    def called(self, words: list[str]) -> None:
        """Add a call to ``calls``."""
        with (self.root / "sim/calls").open("a") as file:
            file.write(" ".join(words) + "\n")

    @property
    def busy(self) -> bool:
        """Whether an engine runs."""
        return self._read("sim/busy") == "1"

    def heat(self, degrees: float) -> None:
        """Set the temperature of the GPU's sensor, in °C."""
        self.write("sys/class/thermal/thermal_zone1/temp", f"{int(1000 * degrees)}\n")

    def throttle(self, state: int) -> None:
        """Set the steps by which the GPU's cooling device slows it down."""
        self.write("sys/class/thermal/cooling_device1/cur_state", f"{state}\n")

    def upgrade(self) -> None:
        """Change its L4T to the next minor revision, as an upgrade and a boot do."""
        release = self._read("etc/nv_tegra_release")
        revision = release.partition("REVISION: ")[2].partition(",")[0]
        major, _, minor = revision.partition(".")
        self.write("etc/nv_tegra_release", release.replace(f"REVISION: {revision}", f"REVISION: {major}.{int(minor) + 1}"))

    def load(self, busy: bool) -> None:
        """Set the power that its sensor shows, at work or at rest; do nothing to a missing sensor."""
        self.write("sim/busy", str(int(busy)))
        if not self.sensor:
            return
        for channel, (name, (idle, full)) in enumerate(self.kind.rails.items()):
            milliwatts = full if busy else idle
            if self.kind.jetpack == 4:
                folder = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
                self.write(f"{folder}/rail_name_{channel}", f"{name}\n")
                self.write(f"{folder}/in_power{channel}_input", f"{milliwatts}\n")
            else:
                folder = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
                self.write(f"{folder}/in{channel + 1}_label", f"{name}\n")
                self.write(f"{folder}/in{channel + 1}_input", "5000\n")
                self.write(f"{folder}/curr{channel + 1}_input", f"{milliwatts // 5}\n")
        if self.kind.input:
            milliwatts = self.kind.input[busy]
            folder = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon4"
            self.write(f"{folder}/name", "ina238\n")
            self.write(f"{folder}/in1_input", "20000\n")
            self.write(f"{folder}/curr1_input", f"{milliwatts // 20}\n")
            self.write(f"{folder}/power1_input", f"{1000 * milliwatts}\n")

    def write(self, name: str, text: str) -> None:
        """Write one of its files; readers see the old or the new content, whole."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}-{os.getpid()}")
        partial.write_text(text)
        partial.replace(path)

    def _read(self, name: str) -> str:
        return (self.root / name).read_text()

    def _make(self, name: str) -> None:
        self.kind = kind = KINDS[name]
        self.write("sim/kind", name)
        self.write("etc/nv_tegra_release", kind.release + "\n")
        self.write("proc/device-tree/model", kind.model + "\0")
        self.write("proc/device-tree/compatible", f"nvidia,board\0{kind.chip}\0")
        implementer, part = kind.cpu
        core = f"CPU implementer\t: {implementer}\nCPU part\t: {part}\n"
        self.write("proc/cpuinfo", f"processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n{core}")
        self.write("sys/devices/system/cpu/present", "0-3\n" if kind.jetpack == 4 else "0-5\n")
        version = ".".join(map(str, kind.tensorrt))
        self.write(f"usr/lib/aarch64-linux-gnu/libnvinfer.so.{version}", "a library of TensorRT's\n")
        self.write("proc/meminfo", "MemTotal:        4059288 kB\nMemAvailable:    2903120 kB\n")
        self.write("proc/loadavg", "0.21 0.14 0.09 1/420 8001\n")
        ubuntu = {4: "18.04", 5: "20.04", 6: "22.04", 7: "24.04"}[kind.jetpack]
        self.write("etc/os-release", f'ID=ubuntu\nVERSION_ID="{ubuntu}"\n')
        modes = "\n".join(
            f"< POWER_MODEL ID={number} NAME={mode} >\nCPU_ONLINE CORE_0 1" for mode, number in kind.modes.items()
        )
        self.write("etc/nvpmodel.conf", f"# mandatory sections\n{modes}\n")
        for zone, (sensor, degrees) in enumerate({"CPU-therm": 41.5, "GPU-therm": 40.0, "PMIC-Die": 100.0}.items()):
            self.write(f"sys/class/thermal/thermal_zone{zone}/type", sensor + "\n")
            self.write(f"sys/class/thermal/thermal_zone{zone}/temp", f"{int(1000 * degrees)}\n")
        for number, (device, state) in enumerate({"pwm-fan": 2, "devfreq-gpu": 0}.items()):
            self.write(f"sys/class/thermal/cooling_device{number}/type", device + "\n")
            self.write(f"sys/class/thermal/cooling_device{number}/cur_state", f"{state}\n")
        self.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1479000\n")
        self.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
        self.mode = next(iter(kind.modes.values()))
        self.locked = False
        self.sudo = True
        self.sensor = True
        self.load(busy=False)
        for path, tool in TOOLS.items():
            # A tool finds its board from any folder, and this computer's Python under any PATH.
            self.write(
                path,
                "#!/bin/sh\n"
                f"if [ {tool} = trtexec ] && grep -qs missing '{self.root}/sim/fault'; then\n"
                '  echo "$0: not found" >&2; exit 127\nfi\n'
                f"GAITPRESS_SIMULATED_ROOT='{self.root}' PYTHONPATH='{HERE.parent}' \\\n"
                f"exec '{sys.executable}' -m simulator.tools.{tool} \"$@\"\n",
            )
            executable = self.root / path
            executable.chmod(executable.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def here() -> Jetson:
    """The board on which a tool runs."""
    return Jetson(Path(os.environ["GAITPRESS_SIMULATED_ROOT"]))
