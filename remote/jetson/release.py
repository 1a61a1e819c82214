"""/etc/nv_tegra_release and the device tree: which L4T, which JetPack, which GPU."""

from __future__ import annotations

import re

# First L4T of each JetPack, in descending order (NVIDIA's release notes).
JETPACKS = (
    ((38, 0), "7"),
    ((36, 4), "6.1 or 6.2"),
    ((36, 2), "6.0"),
    ((35, 2), "5.1"),
    ((35, 1), "5.0.2"),
    ((32, 7), "4.6.1 to 4.6.6"),
    ((32, 6), "4.6"),
    ((32, 4), "4.4 or 4.5"),
)
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
    found = re.search(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)*)", text)
    return f"{found[1]}.{found[2]}" if found else None


def jetpack(version: str | None) -> str | None:
    """The JetPack that an L4T belongs to, or None if it is older than 4.4 or no L4T."""
    numbers = re.match(r"(\d+)\.(\d+)", version or "")
    if not numbers:
        return None
    of_board = int(numbers[1]), int(numbers[2])
    return next((name for first, name in JETPACKS if of_board >= first), None)


def gpu(compatible: str) -> tuple[str | None, str | None]:
    """GPU and compute capability of a device tree's ``compatible`` (names separated by NUL), or (None, None)."""
    for name in re.split(r"[\0\s]+", compatible):
        if (chip := name.rpartition(",")[2]) in GPUS:
            return GPUS[chip]
    return None, None
