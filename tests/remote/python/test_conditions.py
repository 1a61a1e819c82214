from pathlib import Path

import pytest

from remote.python import conditions


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


BOARD = {
    "proc/loadavg": "0.52 0.58 0.59 1/467 12345\n",
    "proc/meminfo": "MemTotal:  4059712 kB\nMemAvailable:    2097152 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1479000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1481000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "schedutil\n",
    "sys/class/thermal/thermal_zone0/type": "AO-therm\n",
    "sys/class/thermal/thermal_zone0/temp": "99000\n",
    "sys/class/thermal/thermal_zone1/type": "CPU-therm\n",
    "sys/class/thermal/thermal_zone1/temp": "41500\n",
    "sys/class/thermal/thermal_zone2/type": "cpu-off\n",
    "sys/class/thermal/thermal_zone2/temp": "-256000\n",
}


def test_a_boards_state_is_read(tmp_path: Path) -> None:
    assert conditions.read(tree(tmp_path, BOARD)) == {
        "load": 0.52,
        "free_memory_mb": 2048,
        "cpu_mhz": 1480.0,
        "governor": "schedutil",
        "temperature_c": 41.5,
        "unreadable": {},
    }


def test_a_virtual_machines_clock_is_that_of_cpuinfo(tmp_path: Path) -> None:
    text = "cpu MHz\t\t: 2445.404\n\ncpu MHz\t\t: 2445.406\n"
    assert conditions.read(tree(tmp_path, {"proc/cpuinfo": text}))["cpu_mhz"] == 2445.4


@pytest.mark.parametrize("name", ["load", "free_memory_mb", "cpu_mhz", "governor", "temperature_c"])
def test_an_unreadable_value_is_none_with_a_reason(tmp_path: Path, name: str) -> None:
    state = conditions.read(tmp_path)
    assert state[name] is None
    assert state["unreadable"][name]
    assert str(tmp_path) not in state["unreadable"][name]


def test_junk_is_none_with_a_reason(tmp_path: Path) -> None:
    state = conditions.read(tree(tmp_path, {"proc/loadavg": "", "proc/meminfo": "MemAvailable: lots\n"}))
    assert state["load"] is None
    assert state["free_memory_mb"] is None
