"""Temperatures, throttling, clocks and power rails, from sysfs."""

import functools
import glob
import os
import re

from remote.jetson.onboard.tools import at, number, text


def gpu_clocks():
    """Lowest, highest and current clock of the GPU in Hz; None where sysfs does not tell."""
    for folder in sorted(glob.glob(at("sys/class/devfreq/*"))):
        if re.search(r"gpu|gp10b|gv11b|ga10b|gb10b", os.path.basename(folder)):
            found = [number(os.path.join(folder, name)) for name in ("min_freq", "max_freq", "cur_freq")]
            if None not in found:
                return found
    return None


def temperatures():
    """Degrees of the sensors of processor and GPU by name, without those switched off (-256) and the PMIC's constant."""
    found = {}
    for zone in sorted(glob.glob(at("sys/class/thermal/thermal_zone*"))):
        name, value = text(os.path.join(zone, "type")).strip(), number(os.path.join(zone, "temp"))
        if value is not None and -40000 < value < 150000 and re.search(r"cpu|gpu|soc|tj|pll", name, re.IGNORECASE):
            found[name] = value / 1000
    return found


def throttling():
    """What slows the board down by now: cooling devices at work, and how often its current was too high."""
    found: dict = {}
    for device in sorted(glob.glob(at("sys/class/thermal/cooling_device*"))):
        name, value = text(os.path.join(device, "type")).strip(), number(os.path.join(device, "cur_state"))
        if value and "fan" not in name.lower():
            found[name] = max(value, found.get(name, 0))
    for path in sorted(glob.glob(at("sys/class/hwmon/hwmon*/oc*_event_cnt"))):
        if number(path):
            found[os.path.basename(path)] = number(path)
    return found


def rails():
    """The power rails: [(name, sensor, function that reads its power in mW)]."""
    found: list = []
    # INA3221 in JetPack 4: power in mW.
    for path in sorted(glob.glob(at("sys/bus/i2c/drivers/ina3221x/*/iio:device*/in_power[0-9]_input"))):
        channel = re.sub(r".*/in_power(\d)_input$", r"\1", path)
        name = text(os.path.join(os.path.dirname(path), "rail_name_" + channel)).strip()
        found.append((name, "ina3221", functools.partial(_value, path)))
    # From JetPack 5: mV and mA. Channel 7 is the sum of shunt voltages; one that is switched off cannot be read.
    for path in sorted(glob.glob(at("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in[1-3]_label"))):
        folder, channel = os.path.dirname(path), re.sub(r".*/in(\d)_label$", r"\1", path)
        if number(os.path.join(folder, f"in{channel}_enable")) != 0:
            found.append((text(path).strip(), "ina3221", functools.partial(_product, folder, channel)))
    # INA238: one channel, whose power the driver tells in uW; on a Jetson it is the board's input, named or not.
    for folder in _ina238():
        name = text(os.path.join(folder, "label")).strip() or text(os.path.join(folder, "in1_label")).strip() or "VIN"
        power = os.path.join(folder, "power1_input")
        read = functools.partial(_value, power, 1000) if os.path.exists(power) else functools.partial(_product, folder, "1")
        found.append((name, "ina238", read))
    return [(name, sensor, read) for name, sensor, read in found if name and name != "NC"]


def _ina238():
    """The folders of the INA238 sensors, each once, by whatever way they are found."""
    found = glob.glob(at("sys/bus/i2c/drivers/ina238/*/hwmon/hwmon*"))
    found += [
        folder
        for folder in glob.glob(at("sys/class/hwmon/hwmon*"))
        if text(os.path.join(folder, "name")).strip() == "ina238"
    ]
    return sorted({os.path.realpath(folder) for folder in found})


def _value(path, divisor=1):
    with open(path) as file:
        return float(file.read()) / divisor


def _product(folder, channel):
    """Power in mW of a channel that tells mV and mA."""
    return _value(os.path.join(folder, f"in{channel}_input")) * _value(os.path.join(folder, f"curr{channel}_input")) / 1000
