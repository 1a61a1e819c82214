"""What a Jetson's tools print, with texts of real boards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.jetson import clocks, nvpmodel, power, release, tegrastats

FIXTURES = Path(__file__).parents[1] / "fixtures/jetson"
SAMPLES = [json.loads(line) for line in (FIXTURES / "tegrastats.jsonl").read_text().splitlines()]
LINES = {sample["id"]: sample["line"] for sample in SAMPLES}
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789.:_", min_size=1, max_size=12)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["id"])
def test_every_boards_line_is_understood(sample: dict) -> None:
    reading = tegrastats.parse(sample["line"])
    assert set(reading.memory_mb) >= {"RAM"}
    assert len(reading.cpu) == sample["line"].partition("CPU [")[2].partition("]")[0].count(",") + 1
    assert reading.gpu_load["GR3D_FREQ"] == int(re.search(r"GR3D_FREQ (\d+)%", sample["line"])[1])
    assert all(-40 < degrees < 150 for degrees in reading.temperatures_c.values())
    assert "gpu" in {name.lower() for name in reading.temperatures_c} or "GPU@-256C" in sample["line"]
    if "no_power" in sample["id"]:
        assert (reading.power_mw, reading.power_reason) == ({}, tegrastats.NO_POWER)
        return
    assert reading.power_reason is None
    scope, milliwatts = power.total(reading.power_mw)
    if sample["total_rail"]:
        assert scope == f"module, at its input {sample['total_rail']}"
        assert milliwatts == reading.power_mw[sample["total_rail"]]
    else:
        assert scope.startswith("module rails, summed: ")
        assert milliwatts == sum(reading.power_mw.values())


def test_the_present_power_is_taken_and_never_the_average() -> None:
    assert tegrastats.parse(LINES["orin_nano_jp6.2_idle"]).power_mw == {
        "VDD_IN": 5251,
        "VDD_CPU_GPU_CV": 512,
        "VDD_SOC": 2720,
    }
    assert tegrastats.parse(LINES["thor_r39_loaded"]).power_mw["VIN"] == 124486
    assert tegrastats.parse(LINES["tx1_jp4"]).power_mw == {"VDD_IN": 2532, "VDD_CPU": 76, "VDD_GPU": 19}


def test_rails_that_are_called_like_something_else_are_told_apart() -> None:
    reading = tegrastats.parse(LINES["agx_xavier_jp4"])
    assert reading.power_mw == {"GPU": 0, "CPU": 311, "SOC": 932, "CV": 0, "VDDRQ": 621, "SYS5V": 1482}
    assert reading.temperatures_c["GPU"] == 37.5
    assert reading.cpu == ((2, 1190), (0, 1190), (0, 1190), (0, 1190), None, None, None, None)


def test_all_shapes_of_the_gpus_field_are_read() -> None:
    for text, clock in (("0%", ()), ("12%@76", (76,)), ("0%@[305]", (305,)), ("12%@[1300,1300]", (1300, 1300))):
        assert tegrastats.parse(f"RAM 1/2MB (lfb 1x4MB) GR3D_FREQ {text} APE 25").gpu_mhz == clock
    assert tegrastats.parse(LINES["agx_orin_jp5.0_gr3d2"]).gpu_load == {"GR3D_FREQ": 0, "GR3D2_FREQ": 0}


@given(st.sampled_from(sorted(LINES)), st.data())
def test_a_line_that_is_cut_off_has_no_value_that_the_whole_one_has_not(name: str, data: st.DataObject) -> None:
    line = LINES[name]
    whole, cut = tegrastats.parse(line), tegrastats.parse(line[: data.draw(st.integers(0, len(line)))])
    assert cut.power_mw.items() <= whole.power_mw.items()
    assert cut.temperatures_c.items() <= whole.temperatures_c.items()
    assert cut.memory_mb.items() <= whole.memory_mb.items()
    assert bool(cut.power_mw) == (cut.power_reason is None)


@given(st.sampled_from(sorted(LINES)), WORD, st.data())
def test_an_unknown_field_survives_and_disturbs_nothing(name: str, word: str, data: st.DataObject) -> None:
    fields = re.findall(r"\S+ \d+/\d+[kM]B ?\([^)]*\)|[A-Z]\w* (?:\d\S*|\[[^\]]*\])|\d\d-\S+ \S+|\S+", LINES[name])
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


def test_modes_can_be_read_without_rights() -> None:
    modes = nvpmodel.parse_config(
        "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
    )
    assert modes == {"15W": 0, "MAXN_SUPER": 2}
    assert nvpmodel.parse_status("pmode:0002\n", modes) == nvpmodel.PowerMode("MAXN_SUPER", 2)
    assert nvpmodel.parse_status("pmode:0007\n", modes) == nvpmodel.PowerMode("mode 7", 7)
    assert nvpmodel.parse_status("", modes) is None


def test_locked_clocks_are_told_from_free_ones() -> None:
    found = [clocks.parse(text) for text in blocks("jetson_clocks_show_samples.txt")]
    assert [one.locked for one in found] == [False, False, True, True, False]
    orin = found[0]
    assert orin.hz("GPU") == (306000000, 1300500000, 306000000)
    assert orin.units["EMC"]["FreqOverride"] == "0"
    assert orin.units["cpu1"]["Governor"] == "schedutil"
    assert any("SOC family" in line for line in orin.other)


@given(st.sampled_from(blocks("jetson_clocks_show_samples.txt")), st.data())
def test_clocks_that_are_cut_off_are_unknown_and_never_wrong(text: str, data: st.DataObject) -> None:
    whole = clocks.parse(text)
    cut = text[: data.draw(st.integers(0, len(text)))]
    if cut.endswith("\n"):
        assert clocks.parse(cut).hz("GPU") in (None, whole.hz("GPU"))
    clocks.parse(cut)


@pytest.mark.parametrize(
    ("text", "version", "name"),
    [
        ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64", "32.7.1", "4.6.1 to 4.6.6"),
        ("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref", "35.4.1", "5.1"),
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic", "36.4.3", "6.1 or 6.2"),
        ("# R39 (release), REVISION: 2.0", "39.2.0", "7"),
        ("# R28 (release), REVISION: 2.1", "28.2.1", None),
        ("", None, None),
    ],
)
def test_the_release_tells_l4t_and_jetpack(text: str, version: str | None, name: str | None) -> None:
    assert release.l4t(text) == version
    assert release.jetpack(version) == name


def test_the_device_tree_tells_the_gpu() -> None:
    assert release.gpu("nvidia,p3450-0000\0nvidia,jetson-nano\0nvidia,tegra210\0") == ("Tegra X1", "5.3")
    assert release.gpu("nvidia,p3767-0005\0nvidia,tegra234\0") == ("Orin", "8.7")
    assert release.gpu("raspberrypi,4-model-b\0brcm,bcm2711\0") == (None, None)
