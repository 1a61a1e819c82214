"""Find the L4T, the JetPack and the GPU of a board in /etc/nv_tegra_release and the device tree."""

from __future__ import annotations

import re

# The JetPack of each L4T (NVIDIA's JetPack archive, https://developer.nvidia.com/embedded/jetpack-archive, and the release
# notes of each Jetson Linux; DP is a developer preview, EA early access).
JETPACKS = {
    (32, 4, 2): "4.4 DP",
    (32, 4, 3): "4.4",
    (32, 4, 4): "4.4.1",
    (32, 5, 0): "4.5",
    (32, 5, 1): "4.5.1",
    (32, 5, 2): "4.5.1",
    (32, 6, 1): "4.6",
    (32, 7, 1): "4.6.1",
    (32, 7, 2): "4.6.2",
    (32, 7, 3): "4.6.3",
    (32, 7, 4): "4.6.4",
    (32, 7, 5): "4.6.5",
    (32, 7, 6): "4.6.6",
    (34, 1, 0): "5.0 DP",
    (34, 1, 1): "5.0.1 DP",
    (35, 1, 0): "5.0.2",
    (35, 2, 1): "5.1",
    (35, 3, 1): "5.1.1",
    (35, 4, 1): "5.1.2",
    (35, 5, 0): "5.1.3",
    (35, 6, 0): "5.1.4",
    (35, 6, 1): "5.1.5",
    (35, 6, 2): "5.1.5",
    (36, 2, 0): "6.0 DP",
    (36, 3, 0): "6.0",
    (36, 4, 0): "6.1",
    (36, 4, 2): "6.1.1",
    (36, 4, 3): "6.2",
    (36, 4, 4): "6.2.1",
    (36, 4, 7): "6.2.1",
    (36, 5, 0): "6.2.2",
    (36, 5, 2): "6.2.3",
    (38, 1, 0): "7.0 EA",
    (38, 2, 0): "7.0",
    (38, 2, 1): "7.0",
    (38, 2, 2): "7.0",
    (38, 4, 0): "7.1",
    (39, 2, 0): "7.2",
    (39, 2, 1): "7.2.1",
}
# The GPU of each system on a chip, by its name in /proc/device-tree/compatible: name and compute capability.
GPUS = {
    "tegra210": ("Tegra X1", "5.3"),
    "tegra186": ("Tegra X2", "6.2"),
    "tegra194": ("Xavier", "7.2"),
    "tegra234": ("Orin", "8.7"),
    "tegra264": ("Thor", "11.0"),
}


def l4t(text: str) -> str | None:
    """The L4T of a line such as ``# R32 (release), REVISION: 7.1, GCID: ...``: "32.7.1"; None if there is none."""
    match = re.search(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)*)", text)
    return f"{match[1]}.{match[2]}" if match else None


def jetpack(version: str | None) -> str | None:
    """The JetPack that an L4T belongs to.

    An L4T that is not in the table belongs to the JetPack before it, or a later one: "6.2.1 or later". None for an L4T older
    than JetPack 4.4, for one of an unknown generation (each has its own first number), or for no L4T.
    """
    if not re.fullmatch(r"\d+(\.\d+)+", version or ""):
        return None
    number = (*map(int, str(version).split(".")), 0)[:3]
    if number in JETPACKS:
        return JETPACKS[number]
    earlier = [row for row in JETPACKS if row[0] == number[0] and row < number]
    return f"{JETPACKS[max(earlier)]} or later" if earlier else None


def gpu(compatible: str) -> tuple[str | None, str | None]:
    """The GPU and compute capability of a device tree's ``compatible`` (names separated by NUL), or (None, None)."""
    for name in re.split(r"[\0\s]+", compatible):
        if (chip := name.rpartition(",")[2]) in GPUS:
            return GPUS[chip]
    return None, None
