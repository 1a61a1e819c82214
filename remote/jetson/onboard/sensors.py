"""Read temperatures, throttling, clocks and power rails from sysfs."""

import functools
import glob
import os
import re

from remote.jetson.onboard.tools import at, number, text


def gpu_clocks():
    """The lowest, highest and current clock of the GPU in Hz; None where sysfs has none."""
    for folder in sorted(glob.glob(at("sys/class/devfreq/*"))):
        if re.search(r"gpu|gp10b|gv11b|ga10b|gb10b", os.path.basename(folder)):
            clocks = [number(os.path.join(folder, name)) for name in ("min_freq", "max_freq", "cur_freq")]
            if None not in clocks:
                return clocks
    return None


def temperatures():
    """Degrees Celsius of processor and GPU by sensor, without sensors that are off (-256) or constant (PMIC)."""
    degrees = {}
    for zone in sorted(glob.glob(at("sys/class/thermal/thermal_zone*"))):
        name, value = text(os.path.join(zone, "type")).strip(), number(os.path.join(zone, "temp"))
        if value is not None and -40000 < value < 150000 and re.search(r"cpu|gpu|soc|tj|pll", name, re.IGNORECASE):
            degrees[name] = value / 1000
    return degrees


def throttling():
    """The causes that slow the board down: cooling devices at work, and how often its current was too high so far."""
    causes: dict = {}
    for device in sorted(glob.glob(at("sys/class/thermal/cooling_device*"))):
        name, value = text(os.path.join(device, "type")).strip(), number(os.path.join(device, "cur_state"))
        if value and "fan" not in name.lower():
            causes[name] = max(value, causes.get(name, 0))
    for path in sorted(glob.glob(at("sys/class/hwmon/hwmon*/oc*_event_cnt"))):
        if number(path):
            causes[os.path.basename(path)] = number(path)
    return causes


def rails():
    """The power rails: [(name, sensor, function that reads its power in mW)]."""
    channels: list = []
    # INA3221 in JetPack 4: power in mW.
    for path in sorted(glob.glob(at("sys/bus/i2c/drivers/ina3221x/*/iio:device*/in_power[0-9]_input"))):
        channel = re.sub(r".*/in_power(\d)_input$", r"\1", path)
        name = text(os.path.join(os.path.dirname(path), "rail_name_" + channel)).strip()
        channels.append((name, "ina3221", functools.partial(_value, path)))
    # INA3221 from JetPack 5: mV and mA. Channel 7 is the sum of shunt voltages; a channel that is off cannot be read.
    for path in sorted(glob.glob(at("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in[1-3]_label"))):
        folder, channel = os.path.dirname(path), re.sub(r".*/in(\d)_label$", r"\1", path)
        if number(os.path.join(folder, f"in{channel}_enable")) != 0:
            channels.append((text(path).strip(), "ina3221", functools.partial(_product, folder, channel)))
    # INA238: one channel, whose power the driver gives in uW; on a Jetson it is the board's input, named or not.
    for folder in _ina238():
        name = text(os.path.join(folder, "label")).strip() or text(os.path.join(folder, "in1_label")).strip() or "VIN"
        power = os.path.join(folder, "power1_input")
        read = functools.partial(_value, power, 1000) if os.path.exists(power) else functools.partial(_product, folder, "1")
        channels.append((name, "ina238", read))
    return [(name, sensor, read) for name, sensor, read in channels if name and name != "NC"]


def _ina238():
    """The folders of the INA238 sensors, each once, though two lists name them."""
    folders = glob.glob(at("sys/bus/i2c/drivers/ina238/*/hwmon/hwmon*"))
    folders += [
        folder
        for folder in glob.glob(at("sys/class/hwmon/hwmon*"))
        if text(os.path.join(folder, "name")).strip() == "ina238"
    ]
    return sorted({os.path.realpath(folder) for folder in folders})


def _value(path, divisor=1):
    with open(path) as file:
        return float(file.read()) / divisor


def _product(folder, channel):
    """The power in mW of a channel that gives mV and mA."""
    return _value(os.path.join(folder, f"in{channel}_input")) * _value(os.path.join(folder, f"curr{channel}_input")) / 1000
