"""Power sensors in the places and units of every JetPack, and the rails that count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.jetson import power, program, tegrastats
from remote.jetson.onboard import observe, sensors, tools
from remote.python import agent
from remote.runtimes.onnxruntime.runtime import PACKAGE
from simulator.jetson import Jetson
from tests.support.onnx_files import linear

Files = dict[str, str]


def jetpack4(*chips: Sequence[tuple[str, int]], bus: str = "1") -> Files:
    """INA3221 chips of JetPack 4: rails and mW, beside current and voltage."""
    files = {}
    for number, chip in enumerate(chips):
        folder = f"sys/bus/i2c/drivers/ina3221x/{bus}-004{number}/iio:device{number}"
        for channel, (name, milliwatts) in enumerate(chip):
            files |= {
                f"{folder}/rail_name_{channel}": f"{name}\n",
                f"{folder}/in_power{channel}_input": f"{milliwatts}\n",
                f"{folder}/in_voltage{channel}_input": "19000\n",
                f"{folder}/in_current{channel}_input": "77\n",
            }
    return files


def hwmon(*chips: Sequence[tuple[str, int, int]]) -> Files:
    """INA3221 chips from JetPack 5: rails, mV and mA, beside the sums of the chip."""
    files = {}
    for number, chip in enumerate(chips):
        folder = f"sys/bus/i2c/drivers/ina3221/1-004{number}/hwmon/hwmon{number + 3}"
        files |= {f"{folder}/name": "ina3221\n", f"{folder}/in7_label": "sum of shunt voltages\n"}
        files |= {f"{folder}/in7_input": "760\n", f"{folder}/curr4_input": "360\n"}
        for channel, (name, millivolts, milliamperes) in enumerate(chip, 1):
            files[f"{folder}/in{channel}_label"] = f"{name}\n"
            # A channel without a connection is there and cannot be read.
            if name != "NC":
                files[f"{folder}/in{channel}_input"] = f"{millivolts}\n"
                files[f"{folder}/curr{channel}_input"] = f"{milliamperes}\n"
    return files


def ina238(folder: str, **more: str) -> Files:
    """An INA238 at 20 V and 6.224 A, which shows power in uW."""
    files = {
        "name": "ina238",
        "in0_input": "12",
        "in1_input": "20000",
        "curr1_input": "6224",
        "power1_input": "124480000",
        **more,
    }
    return {f"{folder}/{name}": f"{text}\n" for name, text in files.items() if text}


THOR = hwmon([("VDD_GPU", 20000, 1897), ("VDD_CPU_SOC_MSS", 20000, 1503), ("VIN_SYS_5V0", 5000, 3097)])
DRIVER, CLASS = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5", "sys/class/hwmon/hwmon5"
AGX_ORIN = [("VDD_GPU_SOC", 20000, 160), ("VDD_CPU_CV", 20000, 20), ("VIN_SYS_5V0", 5000, 806)]

BOARDS: dict[str, tuple[Files, str, float]] = {
    "Nano": (
        jetpack4([("POM_5V_IN", 5240), ("POM_5V_GPU", 2150), ("POM_5V_CPU", 1010)], bus="6"),
        "module, at its input POM_5V_IN",
        5240,
    ),
    "TX1": (
        # The rails of the carrier board are beside the module, and behind one another.
        jetpack4(
            [("VDD_IN", 7000), ("VDD_GPU", 2000), ("VDD_CPU", 900)],
            [("VDD_MUX", 12000), ("VDD_5V_IO_SYS", 3000), ("VDD_3V3_SYS", 800)],
            [("VDD_3V3_IO", 90), ("VDD_1V8_IO", 60), ("VDD_M2_IN", 10)],
        ),
        "module, at its input VDD_IN",
        7000,
    ),
    "TX2": (
        jetpack4(
            [("VDD_SYS_GPU", 3000), ("VDD_SYS_SOC", 1000), ("VDD_4V0_WIFI", 20)],
            [("VDD_IN", 9000), ("VDD_SYS_CPU", 1500), ("VDD_SYS_DDR", 1200)],
            [("VDD_MUX", 13000), ("VDD_5V0_IO_SYS", 2000), ("VDD_3V3_SYS", 900)],
        ),
        "module, at its input VDD_IN",
        9000,
    ),
    "Xavier NX, JetPack 4": (
        jetpack4([("VDD_IN", 9120), ("VDD_CPU_GPU_CV", 4890), ("VDD_SOC", 1790)]),
        "module, at its input VDD_IN",
        9120,
    ),
    "Xavier NX, JetPack 5": (
        hwmon([("VDD_IN", 5000, 1824), ("VDD_CPU_GPU_CV", 5000, 978), ("VDD_SOC", 5000, 358)]),
        "module, at its input VDD_IN",
        9120,
    ),
    "AGX Xavier, JetPack 4": (
        jetpack4([("GPU", 5000), ("CPU", 1000), ("SOC", 2000)], [("CV", 100), ("VDDRQ", 900), ("SYS5V", 2500)]),
        "module rails, summed: GPU + CPU + SOC + CV + VDDRQ + SYS5V",
        11500,
    ),
    "AGX Xavier, JetPack 5": (
        hwmon(
            [("GPU", 20000, 250), ("CPU", 20000, 50), ("SOC", 20000, 100)],
            [("CV", 20000, 5), ("VDDRQ", 20000, 45), ("SYS5V", 5000, 500)],
        ),
        "module rails, summed: GPU + CPU + SOC + CV + VDDRQ + SYS5V",
        11500,
    ),
    "Orin Nano and NX": (
        hwmon([("VDD_IN", 5000, 2974), ("VDD_CPU_GPU_CV", 5000, 1386), ("VDD_SOC", 5000, 731)]),
        "module, at its input VDD_IN",
        14870,
    ),
    "AGX Orin, JetPack 5": (
        hwmon(AGX_ORIN, [("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5000, 218), ("NC", 0, 0)]),
        "module rails, summed: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0",
        7630,
    ),
    "AGX Orin, JetPack 6": (
        hwmon(AGX_ORIN),
        "module rails, summed: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0",
        7630,
    ),
    "Thor": (THOR | ina238(DRIVER), "board, at its input VIN", 124480),
    "Thor, named": (THOR | ina238(DRIVER, label="VIN"), "board, at its input VIN", 124480),
    "Thor, without power1_input": (THOR | ina238(DRIVER, power1_input=""), "board, at its input VIN", 124480),
    "Thor, of another driver": (THOR | ina238(CLASS), "board, at its input VIN", 124480),
    "Thor on another carrier board": (
        THOR,
        "module rails, summed: VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0",
        83485,
    ),
}


def board(root: Path, files: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(tools, "ROOT", str(root))


@pytest.mark.parametrize("name", BOARDS)
def test_every_boards_power_is_counted_once_and_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, scope, milliwatts = BOARDS[name]
    board(tmp_path, files, monkeypatch)
    rails, fault = observe.readable_rails()
    assert fault is None
    readings = {rail: read() for rail, _, read in rails}
    choice = power.counted(readings)
    assert str(choice) == scope
    assert choice is not None
    assert choice.total(readings) == pytest.approx(milliwatts)


def test_the_record_says_which_rails_and_which_sensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board(tmp_path, BOARDS["Thor"][0], monkeypatch)
    description = observe.power()
    assert description == {
        "source": "ina238 + ina3221",
        "rails": ["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", "VIN"],
        "line": "",
        "fault": None,
    }
    values = {rail: read() for rail, _, read in sensors.rails()}
    samples = [[0.1 * i, values] for i in range(80)]
    answer = {"source": description["source"], "samples": samples, "fault": None, "began": 2.0, "ended": 6.0}
    energy = power.energy(answer, 2.0, 6.0, 100, 4.0, 1)
    assert (energy["scope"], energy["rails"], energy["source"]) == ("board, at its input VIN", ["VIN"], "ina238 + ina3221")
    assert energy["gross_mj"] == pytest.approx(124480 * 0.04)


def test_one_sensor_that_is_seen_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board(tmp_path, THOR | ina238(DRIVER), monkeypatch)
    (tmp_path / CLASS).parent.mkdir(parents=True)
    (tmp_path / CLASS).symlink_to(tmp_path / DRIVER)
    assert [name for name, _, _ in sensors.rails()].count("VIN") == 1


def test_two_sensors_of_one_name_are_a_fault_and_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board(tmp_path, THOR | ina238(DRIVER) | ina238(DRIVER.replace("44", "45").replace("hwmon5", "hwmon6")), monkeypatch)
    assert observe.readable_rails() == ([], "two power sensors are called VIN")


def test_a_sensor_that_cannot_be_read_is_a_fault_and_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board(tmp_path, THOR | ina238(DRIVER, power1_input="busy"), monkeypatch)
    rails, fault = observe.readable_rails()
    assert rails == []
    assert "the power sensor of VIN (ina238) cannot be read" in (fault or "")


def test_a_channel_that_is_switched_off_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = hwmon([("VDD_IN", 5000, 1000), ("VDD_CPU_GPU_CV", 5000, 100), ("VDD_SOC", 5000, 100)])
    folder = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    files |= {f"{folder}/in1_enable": "1\n", f"{folder}/in3_enable": "0\n", f"{folder}/in3_input": ""}
    board(tmp_path, files, monkeypatch)
    assert [name for name, _, _ in observe.readable_rails()[0]] == ["VDD_IN", "VDD_CPU_GPU_CV"]


def test_a_board_without_sensors_and_tegrastats_has_no_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board(tmp_path, {}, monkeypatch)
    assert observe.power() == {"source": "tegrastats", "rails": [], "line": "", "fault": None}


NO_POWER = (
    "RAM 1689/3825MB (lfb 339x4MB) SWAP 0/1913MB (cached 0MB) CPU [3%@345,off,off,0%@345,1%@345,1%@345] EMC_FREQ 0% "
    "GR3D_FREQ 0% PLL@50.5C MCPU@50.5C PMIC@50C GPU@50C BCPU@50.5C thermal@50.3C"
)


def sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None) -> dict:
    """The answer of ONNX Runtime's agent about a simulated board's energy."""
    if kind:
        played = Jetson(tmp_path / "board", "nano" if kind == "no power" else kind)
        if kind == "no power":
            played.sensor = False
            (played.root / "usr/bin/tegrastats").write_text(f"#!/bin/sh\nwhile echo '{NO_POWER}'; do sleep 0.1; done\n")
        monkeypatch.setenv("GAITPRESS_SIMULATED_ROOT", str(played.root))
    else:
        monkeypatch.setenv("GAITPRESS_SIMULATED_ROOT", str(tmp_path / "nothing"))
    monkeypatch.setattr(agent, "REST_S", 0.8)
    monkeypatch.setattr(agent, "LEAST_S", 0.8)
    program.write(tmp_path / "jetson.pyz")
    np.save(tmp_path / "example.npy", np.ones((1, 4), np.float32))
    engine = linear(tmp_path / "engine.onnx")
    return agent.energy(
        agent.opened(PACKAGE.part, {}), engine, tmp_path / "example.npy", 1, 0.1, sensors=tmp_path / "jetson.pyz"
    )


@pytest.mark.parametrize(
    ("kind", "scope", "watts"),
    [("agx-thor", "board, at its input VIN", 28.906), ("nano", "module, at its input POM_5V_IN", 1.58)],
)
def test_onnx_runtime_on_a_board_has_power_by_the_same_sensors(
    kind: str, scope: str, watts: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = sampled(tmp_path, monkeypatch, kind)
    answer, queries, seconds = measured["power"], measured["queries"], measured["seconds"]
    energy = power.energy(answer, answer["began"], answer["ended"], queries, seconds, 1)
    assert energy["scope"] == scope
    # A simulated board's sensor rests while ONNX Runtime works on this computer.
    assert (energy["mean_w"], energy["idle_w"], energy["idle_subtracted_mj"]) == (watts, watts, 0)
    assert energy["gross_mj"] == pytest.approx(1000 * watts * seconds / queries, rel=1e-3)


def test_onnx_runtime_without_power_readings_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = sampled(tmp_path, monkeypatch, "no power")
    answer = measured["power"]
    energy = power.energy(answer, answer["began"], answer["ended"], measured["queries"], measured["seconds"], 1)
    assert energy == {"reason": tegrastats.NO_POWER}


def test_onnx_runtime_without_counters_and_sensors_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sampled(tmp_path, monkeypatch, None) == {"reason": "no RAPL energy counters under /sys/class/powercap"}


RAILS = sorted({rail for _, rails in power.COUNTED for rail in rails} | {"VDDQ_VDD2_1V8AO", "VDD_SOC", "VDD_MUX", "NEW"})


@given(st.dictionaries(st.sampled_from(RAILS), st.floats(0, 1e5), min_size=1), st.floats(0, 1e5))
def test_counted_rails_exist_and_a_rail_inside_another_changes_nothing(rails: dict[str, float], inside: float) -> None:
    choice = power.counted(rails)
    if choice is None:
        assert not any(set(names) <= set(rails) for _, names in power.COUNTED)
        return
    assert set(choice.rails) <= set(rails)
    assert len(set(choice.rails)) == len(choice.rails)
    # No input of a module or board is ever added to what it feeds.
    assert len(choice.rails) == 1 or not {"VIN", "VDD_IN", "POM_5V_IN"} & set(choice.rails)
    more = {**rails, "VDDQ_VDD2_1V8AO": inside, "VDD_SOC": inside}
    assert power.counted(more) == choice
    assert choice.total(more) == choice.total(rails)


def test_unknown_rails_are_a_reason_and_no_sum() -> None:
    samples = [[0.1 * i, {"VDD_NEW": 1.0, "VDD_OTHER": 2.0}] for i in range(80)]
    answer = {"source": "ina3221", "samples": samples, "fault": None, "began": 2.0, "ended": 6.0}
    energy = power.energy(answer, 2.0, 6.0, 100, 4.0, 1)
    assert energy == {"reason": "it is not known which of the rails VDD_NEW, VDD_OTHER lie inside others"}
