"""Six boards: the content of their files, in the formats of their JetPacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Kind:
    """A kind of board with its JetPack.

    Attributes:
        model: its model in the device tree.
        chip: its chip in the device tree's ``compatible``.
        cpu: implementer and part of its cores.
        release: the first line of /etc/nv_tegra_release.
        tensorrt: the version of its TensorRT.
        gpu: its name as trtexec prints it, compute capability and number of multiprocessors.
        modes: ids of power modes by name; a board starts in the first one.
        rebooting: modes that need a reboot.
        gpu_hz: the lowest and highest clock of the GPU.
        devfreq: the GPU's folder under /sys/class/devfreq.
        rails: the idle and busy power of each rail in mW, in the INA3221's order.
        input: the idle and busy power of the board's input in mW, read by an INA238; None without one.
        build: the build number in trtexec's banner; None if it has none.
        jetpack: its JetPack, 4 to 7.
    """

    model: str
    chip: str
    cpu: tuple[str, str]
    release: str
    tensorrt: tuple[int, int, int]
    gpu: tuple[str, str, int]
    modes: Mapping[str, int]
    rebooting: tuple[str, ...]
    gpu_hz: tuple[int, int]
    devfreq: str
    rails: Mapping[str, tuple[int, int]]
    jetpack: int
    input: tuple[int, int] | None = None
    build: int | None = None

    @property
    def newest_opset(self) -> int:
        """The newest ONNX operator set that its simulated TensorRT reads."""
        newest = {7: 11, 8: 13 if self.tensorrt < (8, 4) else 17, 10: 20 if self.tensorrt < (10, 13) else 24, 11: 24}
        return newest[self.tensorrt[0]]


KINDS = {
    "nano": Kind(
        model="NVIDIA Jetson Nano Developer Kit",
        chip="nvidia,tegra210",
        cpu=("0x41", "0xd07"),
        release="# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64",
        tensorrt=(8, 2, 1),
        gpu=("NVIDIA Tegra X1", "5.3", 1),
        modes={"MAXN": 0, "5W": 1},
        rebooting=(),
        gpu_hz=(76800000, 921600000),
        devfreq="57000000.gpu",
        rails={"POM_5V_IN": (1580, 5240), "POM_5V_GPU": (40, 2150), "POM_5V_CPU": (320, 1010)},
        jetpack=4,
    ),
    "xavier-nx": Kind(
        model="NVIDIA Jetson Xavier NX Developer Kit",
        chip="nvidia,tegra194",
        cpu=("0x4e", "0x004"),
        release="# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64",
        tensorrt=(8, 5, 2),
        gpu=("Xavier", "7.2", 6),
        modes={"MODE_15W_6CORE": 2, "MODE_15W_2CORE": 0, "MODE_20W_6CORE": 8},
        rebooting=("MODE_20W_6CORE",),
        gpu_hz=(114750000, 1109250000),
        devfreq="17000000.gv11b",
        rails={"VDD_IN": (4067, 9120), "VDD_CPU_GPU_CV": (738, 4890), "VDD_SOC": (1353, 1790)},
        jetpack=5,
    ),
    "orin-nano": Kind(
        model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        chip="nvidia,tegra234",
        cpu=("0x41", "0xd42"),
        release="# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
        tensorrt=(10, 3, 0),
        gpu=("Orin", "8.7", 8),
        modes={"25W": 1, "15W": 0, "MAXN_SUPER": 2},
        rebooting=(),
        gpu_hz=(306000000, 1020000000),
        devfreq="17000000.gpu",
        rails={"VDD_IN": (5251, 14870), "VDD_CPU_GPU_CV": (512, 6930), "VDD_SOC": (2720, 3659)},
        jetpack=6,
    ),
    "agx-thor": Kind(
        model="NVIDIA Jetson AGX Thor Developer Kit",
        chip="nvidia,tegra264",
        cpu=("0x41", "0xd83"),
        release="# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64",
        tensorrt=(10, 13, 3),
        gpu=("NVIDIA Thor", "11.0", 20),
        modes={"MAXN": 0, "120W": 1, "90W": 2},
        rebooting=("90W",),
        gpu_hz=(315000000, 1575000000),
        devfreq="gpu-gpc-0",
        rails={"VDD_GPU": (6330, 37939), "VDD_CPU_SOC_MSS": (6510, 30059), "VIN_SYS_5V0": (6520, 15486)},
        jetpack=7,
        input=(28906, 124486),
    ),
}
KINDS["nano-7"] = replace(
    KINDS["nano"],
    release="# R32 (release), REVISION: 5.1, GCID: 26202423, BOARD: t210ref, EABI: aarch64",
    tensorrt=(7, 1, 3),
)
# JetPack 7.2.2 is the first for TensorRT 11, by NVIDIA's migration guide; its L4T and this build number are made up.
KINDS["agx-thor-11"] = replace(
    KINDS["agx-thor"],
    release="# R39 (release), REVISION: 2.2, GCID: 0, BOARD: generic, EABI: aarch64",
    tensorrt=(11, 4, 1),
    build=1,
)
