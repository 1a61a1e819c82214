"""What TensorRT needs on a device, and on this computer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from remote.findings import Finding
from remote.inventory import Device
from remote.jetson import release
from remote.runtimes.tensorrt.trtexec import preflight
from remote.runtimes.tensorrt.trtexec.command import TOO_OLD
from remote.transport import Transport

FIRST_L4T = (32, 4)  # JetPack 4.4, the first with TensorRT 7.1
LOOK = r"""
for file in "$trtexec" "${GAITPRESS_SIMULATED_ROOT:-}/usr/src/tensorrt/bin/trtexec"; do
  if [ -n "$file" ] && [ -x "$file" ]; then printf '%s' "$file"; break; fi
done
"""


def check(link: Transport, device: Device, seen: Mapping[str, str]) -> Iterator[Finding]:
    """See remote/check.py."""
    yield _trtexec(link, device, seen)
    yield preflight_finding()


def _trtexec(link: Transport, device: Device, seen: Mapping[str, str]) -> Finding:
    l4t = release.l4t(seen.get("tegra", ""))
    if l4t and tuple(map(int, l4t.split(".")))[:2] < FIRST_L4T:
        return Finding("trtexec", "fault", f"L4T {l4t} has {TOO_OLD}")
    done = link.run(["sh", "-c", LOOK], env={"trtexec": str(device.options.get("trtexec", ""))}, repeatable=True)
    if path := done.stdout.decode(errors="replace").strip():
        return Finding("trtexec", "ok", path)
    advice = "sudo apt install libnvinfer-bin (JetPack's), or name it with the option trtexec"
    return Finding("trtexec", "fault", f"not at /usr/src/tensorrt/bin/trtexec; {advice}")


def preflight_finding() -> Finding:
    """Whether networks are tried before they are sent."""
    if version := preflight.available():
        text = f"TensorRT's parser ({version}) is on this computer: a network that it refuses is not sent"
        return Finding("preflight", "ok", text)
    text = (
        "TensorRT's parser is not on this computer, so only the board tells what it refuses; `make tensorrt-check` brings it"
    )
    return Finding("preflight", "ok", text)
