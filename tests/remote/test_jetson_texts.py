"""The output of a Jetson's tools, with texts of real boards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.jetson import clocks, nvpmodel, power, release, tegrastats
from remote.jetson.onboard import hold, tools

FIXTURES = Path(__file__).parents[1] / "fixtures/jetson"
SAMPLES = [json.loads(line) for line in (FIXTURES / "tegrastats.jsonl").read_text().splitlines()]
LINES = {sample["id"]: sample["line"] for sample in SAMPLES}
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789.:_", min_size=1, max_size=12)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["id"])
def test_every_boards_line_is_understood(sample: dict) -> None:
    reading = tegrastats.parse(sample["line"])
    assert set(reading.memory_mb) >= {"RAM"}
    assert len(reading.cpu) == sample["line"].partition("CPU [")[2].partition("]")[0].count(",") + 1
    load = re.search(r"GR3D_FREQ (\d+)%", sample["line"])
    assert reading.gpu_load.get("GR3D_FREQ") == (int(load[1]) if load else None)
    assert reading.gpu_load or reading.gpu_mhz
    assert reading.memory_bus is not None
    assert all(-40 < degrees < 150 for degrees in reading.temperatures_c.values())
    assert "gpu" in {name.lower() for name in reading.temperatures_c} or "GPU@-256C" in sample["line"]
    if "no_power" in sample["id"]:
        assert (reading.power_mw, reading.power_reason) == ({}, tegrastats.NO_POWER)
        return
    assert reading.power_reason is None
    choice = power.counted(reading.power_mw)
    assert choice is not None
    if sample["total_rail"]:
        scope = "board" if sample["total_rail"] == "VIN" else "module"
        assert str(choice) == f"{scope}, at its input {sample['total_rail']}"
        assert choice.total(reading.power_mw) == reading.power_mw[sample["total_rail"]]
    else:
        assert str(choice).startswith("module rails, summed: ")
        # A rail inside another one, which JetPack 5 alone tells, is not added.
        apart = {name: value for name, value in reading.power_mw.items() if name != "VDDQ_VDD2_1V8AO"}
        assert choice.total(reading.power_mw) == sum(apart.values())


def test_the_present_power_is_taken_and_never_the_average() -> None:
    assert tegrastats.parse(LINES["orin_nano_jp6.2_idle"]).power_mw == {
        "VDD_IN": 5251,
        "VDD_CPU_GPU_CV": 512,
        "VDD_SOC": 2720,
    }
    assert tegrastats.parse(LINES["thor_r39_loaded"]).power_mw["VIN"] == 124486
    assert tegrastats.parse(LINES["tx1_jp4"]).power_mw == {"VDD_IN": 2532, "VDD_CPU": 76, "VDD_GPU": 19}


def test_rails_with_the_name_of_another_field_are_told_apart() -> None:
    reading = tegrastats.parse(LINES["agx_xavier_jp4"])
    assert reading.power_mw == {"GPU": 0, "CPU": 311, "SOC": 932, "CV": 0, "VDDRQ": 621, "SYS5V": 1482}
    assert reading.temperatures_c["GPU"] == 37.5
    assert reading.cpu == ((2, 1190), (0, 1190), (0, 1190), (0, 1190), None, None, None, None)


def test_all_shapes_of_the_gpus_field_are_read() -> None:
    for text, load, clocks_mhz in (
        ("0%", 0, ()),
        ("12%@76", 12, (76,)),
        ("0%@[305]", 0, (305,)),
        ("12%@[1300,1300]", 12, (1300, 1300)),
        ("@[314,314,314]", None, (314, 314, 314)),
        ("@[300,off,600]", None, (300, 600)),
        ("20%@[0, 300]", 20, (0, 300)),
        ("@76", None, (76,)),
    ):
        reading = tegrastats.parse(f"RAM 1/2MB (lfb 1x4MB) GR3D_FREQ {text} APE 25")
        assert (reading.gpu_load.get("GR3D_FREQ"), reading.gpu_mhz) == (load, clocks_mhz)
        assert reading.other == ("APE", "25")
    assert tegrastats.parse(LINES["agx_orin_jp5.0_gr3d2"]).gpu_load == {"GR3D_FREQ": 0, "GR3D2_FREQ": 0}
    assert tegrastats.parse("GR3D_FREQ off APE 25").gpu_load == {}


def test_a_thor_at_rest_prints_clocks_without_loads() -> None:
    reading = tegrastats.parse(LINES["thor_r39_idle"])
    assert reading.cpu == ((0, 2601), (5, 2601), None)
    assert reading.memory_bus == (None, 4266)
    assert (reading.gpu_load, reading.gpu_mhz) == ({}, (1574, 1574, 1574))
    assert reading.power_mw == {"VDD_GPU": 6330, "VIN": 28906}
    assert reading.other == ()


def test_sensors_with_hyphens_and_currents_below_zero_are_read() -> None:
    reading = tegrastats.parse("gpu-gpc-0@45.5C/50C gpu-nvd-0@44C VDD_GPU -392mW/-392mW/0mW VIN 23000mW/23000mW/23000mW")
    assert reading.temperatures_c == {"gpu-gpc-0": 45.5, "gpu-nvd-0": 44.0}
    assert reading.power_mw == {"VDD_GPU": -392, "VIN": 23000}


MAYBE = st.none() | st.integers(0, 9999)


@given(MAYBE, st.lists(st.integers(0, 9999), min_size=1, max_size=4), MAYBE, MAYBE, st.lists(MAYBE, min_size=1, max_size=14))
def test_values_printed_in_any_form_are_read_back(
    load: int | None, clocks_mhz: list[int], bus: int | None, bus_mhz: int | None, cores: list[int | None]
) -> None:
    gpu = f"{'' if load is None else f'{load}%'}@[{','.join(map(str, clocks_mhz))}]"
    memory = f"{'' if bus is None else f'{bus}%'}{'' if bus_mhz is None else f'@{bus_mhz}'}" or "off"
    listed = ["off" if core is None else f"{core}%" for core in cores]
    for cpu in (f"[{','.join(listed)}]@2601", f"[{','.join(core if core == 'off' else f'{core}@2601' for core in listed)}]"):
        reading = tegrastats.parse(f"RAM 1/2MB (lfb 1x4MB) CPU {cpu} EMC_FREQ {memory} GR3D_FREQ {gpu} VIC off")
        assert reading.cpu == tuple(None if core is None else (core, 2601) for core in cores)
        assert reading.memory_bus == (None if memory == "off" else (bus, bus_mhz))
        assert reading.gpu_load == ({} if load is None else {"GR3D_FREQ": load})
        assert reading.gpu_mhz == tuple(clocks_mhz)


@given(st.sampled_from(sorted(LINES)), st.data())
def test_a_cut_line_has_no_value_that_the_whole_line_lacks(name: str, data: st.DataObject) -> None:
    line = LINES[name]
    whole, cut = tegrastats.parse(line), tegrastats.parse(line[: data.draw(st.integers(0, len(line)))])
    assert cut.power_mw.items() <= whole.power_mw.items()
    assert cut.temperatures_c.items() <= whole.temperatures_c.items()
    assert cut.memory_mb.items() <= whole.memory_mb.items()
    assert bool(cut.power_mw) == (cut.power_reason is None)


@given(st.sampled_from(sorted(LINES)), WORD, st.data())
def test_an_unknown_field_survives_and_disturbs_nothing(name: str, word: str, data: st.DataObject) -> None:
    fields = re.findall(r"\S+ \d+/\d+[kM]B ?\([^)]*\)|[A-Z]\w* (?:[\d@]\S*|\[[^\]]*\]\S*)|\d\d-\S+ \S+|\S+", LINES[name])
    place = data.draw(st.integers(1, len(fields)))
    whole = tegrastats.parse(LINES[name])
    more = tegrastats.parse(" ".join([*fields[:place], f"x{word}", *fields[place:]]))
    assert f"x{word}" in more.other
    assert (more.power_mw, more.temperatures_c, more.cpu) == (whole.power_mw, whole.temperatures_c, whole.cpu)


@given(st.text())
def test_any_text_is_a_reading(text: str) -> None:
    assert tegrastats.parse(text).power_reason or tegrastats.parse(text).power_mw


def blocks(name: str) -> list[str]:
    """The texts of a file of samples, each below a line that begins with #."""
    return [
        part.partition("\n")[2].strip()
        for part in re.split(r"^# ", (FIXTURES / name).read_text(), flags=re.MULTILINE)
        if part
    ]


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ("NV Power Mode: MAXN\n0\n", "MAXN", 0),
        ("NV Power Mode: MAXN_SUPER", "MAXN_SUPER", None),
        (
            "NV Fan Mode:quiet\nNVPM VERB: Current mode: NV Power Mode: MODE_15W_6CORE\n2\nNVPM VERB: PARAM",
            "MODE_15W_6CORE",
            2,
        ),
        ("NV Power Mode: 25W\nNVPM ERROR: no\n", "25W", None),
    ],
)
def test_a_power_mode_has_a_name_and_perhaps_an_id(text: str, name: str, number: int | None) -> None:
    assert nvpmodel.parse_query(text) == nvpmodel.PowerMode(name, number)


def test_all_answers_of_real_boards_have_a_mode_or_an_error() -> None:
    texts = [text for text in blocks("query_samples.txt") if "NV" in text and "pmode" not in text]
    assert len(texts) >= 7
    for text in texts:
        assert nvpmodel.parse_query(text) or nvpmodel.errors(text)


@given(st.text(), st.text("0123456789\nNV PowerMd:", max_size=40))
def test_no_answer_breaks_the_reading_of_modes(first: str, second: str) -> None:
    for text in (first, second):
        mode = nvpmodel.parse_query(text)
        assert mode is None or mode.name in text
        nvpmodel.parse_config(text)


@pytest.mark.parametrize("text", blocks("nvpmodel_set_samples.txt")[1:])
def test_a_mode_that_needs_a_reboot_is_seen_before_any_other_text(text: str) -> None:
    assert re.fullmatch(r"Reboot required for changing to this power mode: \d", hold._reason(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NVPM ERROR: Error opening /sys/x: 2\nNVPM ERROR: failed to set power mode!\n", "Error opening /sys/x: 2"),
        ("sudo: a password is required\n", "sudo: a password is required"),
        ("", "no reason was given"),
    ],
)
def test_a_refusal_of_a_tool_has_a_reason(text: str, reason: str) -> None:
    assert hold._reason(text) == reason


def test_modes_can_be_read_without_rights() -> None:
    modes = nvpmodel.parse_config(
        "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
    )
    assert modes == {"15W": 0, "MAXN_SUPER": 2}
    assert nvpmodel.parse_status("pmode:0002\n", modes) == nvpmodel.PowerMode("MAXN_SUPER", 2)
    assert nvpmodel.parse_status("pmode:0007\n", modes) == nvpmodel.PowerMode("mode 7", 7)
    assert nvpmodel.parse_status("", modes) is None


def test_locked_clocks_are_told_from_free_ones() -> None:
    states = [clocks.parse(text) for text in blocks("jetson_clocks_show_samples.txt")]
    assert [one.locked for one in states] == [False, False, True, True, False, True]
    orin = states[0]
    assert orin.hz("GPU") == (306000000, 1300500000, 306000000)
    assert orin.units["EMC"]["FreqOverride"] == "0"
    assert orin.units["cpu1"]["Governor"] == "schedutil"
    assert any("SOC family" in line for line in orin.other)
    thor = states[-1]
    assert thor.hz("GPU") == thor.hz("gpu-gpc-0") == (1575000000, 1575000000, 1575000000)
    assert thor.hz("gpu-nvd-0") == (1692000000, 1692000000, 1692000000)


@given(st.sampled_from(blocks("jetson_clocks_show_samples.txt")), st.data())
def test_a_cut_output_of_clocks_is_unknown_and_never_wrong(text: str, data: st.DataObject) -> None:
    whole = clocks.parse(text)
    cut = text[: data.draw(st.integers(0, len(text)))]
    if cut.endswith("\n"):
        assert clocks.parse(cut).hz("GPU") in (None, whole.hz("GPU"))
    clocks.parse(cut)


@pytest.mark.parametrize(
    ("text", "version", "name"),
    [
        ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64", "32.7.1", "4.6.1"),
        ("# R32 (release), REVISION: 4.3, GCID: 21589087, BOARD: t210ref", "32.4.3", "4.4"),
        ("# R34 (release), REVISION: 1.0, GCID: 30102743, BOARD: t186ref, EABI: aarch64", "34.1.0", "5.0 DP"),
        ("# R34 (release), REVISION: 1.1, GCID: 30414990, BOARD: t186ref, EABI: aarch64", "34.1.1", "5.0.1 DP"),
        ("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref", "35.4.1", "5.1.2"),
        ("# R36 (release), REVISION: 2.0", "36.2.0", "6.0 DP"),
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic", "36.4.3", "6.2"),
        ("# R36 (release), REVISION: 4.9", "36.4.9", "6.2.1 or later"),
        ("# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic", "38.2.0", "7.0"),
        ("# R38 (release), REVISION: 4.0", "38.4.0", "7.1"),
        ("# R39 (release), REVISION: 2.0", "39.2.0", "7.2"),
        ("# R37 (release), REVISION: 1.0", "37.1.0", None),
        ("# R28 (release), REVISION: 2.1", "28.2.1", None),
        ("", None, None),
    ],
)
def test_the_release_gives_l4t_and_jetpack(text: str, version: str | None, name: str | None) -> None:
    assert release.l4t(text) == version
    assert release.jetpack(version) == name


@given(st.integers(28, 45), st.integers(0, 9), st.integers(0, 9))
def test_the_generation_of_l4t_decides_the_jetpack(generation: int, major: int, minor: int) -> None:
    name = release.jetpack(f"{generation}.{major}.{minor}")
    of_generation = {32: "4", 34: "5", 35: "5", 36: "6", 38: "7", 39: "7"}
    assert name is None or name.partition(".")[0] == of_generation[generation]
    assert release.jetpack(f"{generation}.{major}") == release.jetpack(f"{generation}.{major}.0")


def test_the_device_tree_gives_the_gpu() -> None:
    assert release.gpu("nvidia,p3450-0000\0nvidia,jetson-nano\0nvidia,tegra210\0") == ("Tegra X1", "5.3")
    assert release.gpu("nvidia,p3767-0005\0nvidia,tegra234\0") == ("Orin", "8.7")
    assert release.gpu("raspberrypi,4-model-b\0brcm,bcm2711\0") == (None, None)


def test_a_user_whom_sudo_allows_the_boards_tools_alone_has_roots_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "ROOT", str(tmp_path))
    scripts = {
        "usr/bin/sudo": 'shift; [ "$1" != true ] && exec "$@"; echo "sudo: a password is required"; exit 1',
        "usr/sbin/nvpmodel": 'echo "NV Power Mode: MAXN"',
    }
    for name, script in scripts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    assert tools.may_be_root()
    (tmp_path / "usr/sbin/nvpmodel").unlink()
    assert not tools.may_be_root()
