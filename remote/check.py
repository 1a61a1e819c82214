"""Looking a device over before it is used: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from remote import interpreter
from remote.errors import DeviceError, HostKeyRefused
from remote.inventory import Device
from remote.jetson import power, release, tegrastats
from remote.jetson.board import Board
from remote.transport import Transport, connect
from remote.trtexec import preflight
from remote.trtexec.command import TOO_OLD

FREE_MB, LITTLE_MB = 300, 2000
FIRST_L4T = (32, 4)  # JetPack 4.4, the first with TensorRT 7.1
TOOLS = ("sha256sum", "timeout", "tail", "cut", "find", "flock", "grep")

# One round trip: a line "name=value" for each thing found. What plays a board has that board's files below a root.
LOOK = r"""
root=${GAITPRESS_SIMULATED_ROOT:-}
say() { printf '%s=%s\n' "$1" "$2"; }
say simulated "$root"
say system "$(uname -sm)"
say board "$(tr -d '\0' <"$root/proc/device-tree/model" 2>/dev/null)"
say tegra "$(head -n 1 "$root/etc/nv_tegra_release" 2>/dev/null)"
missing=
for tool in "$@"; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
say missing "$missing"
say python "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
say free_mb "$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 {print int($4 / 1024)}')"
rapl=
file=$root/sys/class/powercap/intel-rapl:0/energy_uj
if [ -e "$file" ]; then rapl=unreadable; fi
if [ -r "$file" ]; then rapl=$file; fi
say rapl "$rapl"
say governors "$(cat "$root"/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor 2>/dev/null | sort -u | tr '\n' ' ')"
loose=
for clock in "$root"/sys/devices/system/cpu/cpu*/cpufreq; do
  [ "$(cat "$clock/scaling_min_freq" 2>/dev/null)" = "$(cat "$clock/scaling_max_freq" 2>/dev/null)" ] || loose=CPU
done
for clock in "$root"/sys/class/devfreq/*; do
  case $clock in *gpu* | *gm20b | *gp10b | *gv11b | *ga10b | *gb10b)
    [ "$(cat "$clock/min_freq" 2>/dev/null)" = "$(cat "$clock/max_freq" 2>/dev/null)" ] || loose="$loose GPU" ;;
  esac
done
say loose "$loose"
if [ "$(id -u)" = 0 ] || sudo -n true >/dev/null 2>&1; then say sudo yes; fi
for file in "$trtexec" "$root/usr/src/tensorrt/bin/trtexec"; do
  if [ -n "$file" ] && [ -x "$file" ]; then say trtexec "$file"; break; fi
done
"""


@dataclass(frozen=True)
class Finding:
    """One thing about a device.

    Attributes:
        what: in a word or two.
        verdict: "fault" if it cannot be used like this, "warning" if its figures suffer.
        text: what was found and, unless it is ok, what to do.
    """

    what: str
    verdict: Literal["ok", "warning", "fault"]
    text: str


def check(device: Device) -> Iterator[Finding]:
    """Look a device over; what comes after a fault that hides the rest is left out."""
    begun = time.monotonic()
    try:
        with connect(device.name, device.transport) as link:
            home = link.home
            where = "this computer" if device.transport == "local" else f"{link.endpoint}"  # type: ignore[attr-defined]
            yield Finding("link", "ok", f"{where} answers ({time.monotonic() - begun:.1f} s); our files there: {home}")
            if device.transport != "local":
                yield Finding("host key", "ok", "known and unchanged")
            yield from _look(link, device, home)
    except HostKeyRefused as error:
        yield Finding("host key", "fault", str(error))
    except DeviceError as error:
        yield Finding("link", "fault", str(error))


def _look(link: Transport, device: Device, home: str) -> Iterator[Finding]:
    env = {"folder": home, "trtexec": str(device.options.get("trtexec", ""))}
    done = link.run(["sh", "-c", LOOK, "sh", *(TOOLS if device.transport != "local" else ())], env=env, repeatable=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    found = {key: value.strip() for key, _, value in (line.partition("=") for line in lines)}
    yield _board(found, device)
    if found.get("missing"):
        yield Finding("tools", "fault", f"missing: {found['missing']}; sudo apt install coreutils findutils grep util-linux")
    else:
        yield Finding("tools", "ok", "all there")
    yield _python(found)
    yield from _packages(link, device)
    if device.runtime == "tensorrt":
        yield _trtexec(found)
        yield preflight_finding()
    yield _disk(found, home)
    yield _power(link, found, device)
    yield _clocks(found, device)
    yield _sudo(found, device)


def _board(found: dict[str, str], device: Device) -> Finding:
    evidence = device.evidence({"board": found.get("board"), "simulated": found.get("simulated")})
    text = ", ".join(filter(None, (found.get("board") or "no board", found.get("tegra"), found.get("system"))))
    if evidence == "simulated":
        return Finding("board", "warning", f"SIMULATED {text}: its records say so, and no figure of it is one of hardware")
    return Finding("board", "ok", f"{text}; records say evidence: {evidence}")


def _python(found: dict[str, str]) -> Finding:
    version = found.get("python", "")
    if not version:
        return Finding("python", "fault", "no python3 on PATH; sudo apt install python3")
    if tuple(map(int, version.split("."))) < (3, 6):
        return Finding("python", "fault", f"python3 is {version}, our scripts need 3.6")
    return Finding("python", "ok", f"python3 is {version}")


def _packages(link: Transport, device: Device) -> Iterator[Finding]:
    """What ONNX Runtime needs, without installing it."""
    if device.runtime != "onnxruntime":
        return
    try:
        if "python" in device.options or device.transport == "local":
            python = interpreter.interpreter(link, device.options)
            interpreter.try_out(link, python)
            yield Finding("onnxruntime", "ok", f"by {python}")
        elif interpreter.is_there(link):
            yield Finding("onnxruntime", "ok", f"in {interpreter.environment(link)}")
        else:
            about = interpreter.suitable(link)
            version = ".".join(map(str, about["version"]))
            yield Finding("onnxruntime", "ok", f"not yet; the first probe installs it for {about['name']} ({version})")
    except DeviceError as error:
        yield Finding("onnxruntime", "fault", str(error))


def _trtexec(found: dict[str, str]) -> Finding:
    l4t = release.l4t(found.get("tegra", ""))
    if l4t and tuple(map(int, l4t.split(".")))[:2] < FIRST_L4T:
        return Finding("trtexec", "fault", f"L4T {l4t} has {TOO_OLD}")
    if path := found.get("trtexec"):
        return Finding("trtexec", "ok", path)
    advice = "sudo apt install libnvinfer-bin (JetPack's), or name it with the option trtexec"
    return Finding("trtexec", "fault", f"not at /usr/src/tensorrt/bin/trtexec; {advice}")


def preflight_finding() -> Finding:
    if version := preflight.available():
        text = f"TensorRT's parser ({version}) is on this computer: a network that it refuses is not sent"
        return Finding("preflight", "ok", text)
    text = (
        "TensorRT's parser is not on this computer, so only the board tells what it refuses; `make tensorrt-check` brings it"
    )
    return Finding("preflight", "ok", text)


def _disk(found: dict[str, str], home: str) -> Finding:
    if not found.get("free_mb", "").isdecimal():
        return Finding("disk", "warning", f"how much is free at {home} cannot be told")
    free = int(found["free_mb"])
    advice = f"; what is in {home} may be removed at any time but while a job runs" if free < LITTLE_MB else ""
    verdict: Literal["ok", "warning", "fault"] = "fault" if free < FREE_MB else "warning" if free < LITTLE_MB else "ok"
    return Finding("disk", verdict, f"{free} MB free at {home}{advice}")


def _power(link: Transport, found: dict[str, str], device: Device) -> Finding:
    """What a record's energy will be measured by, asked of the very program that will read it."""
    nothing = "no energy in records"
    rapl = found.get("rapl") if device.runtime == "onnxruntime" else None
    if rapl == "unreadable":
        return Finding("power", "warning", f"the counters are there, but this user may not read them: {nothing}")
    if rapl:
        return Finding("power", "ok", f"read from {rapl}")
    try:
        told = Board(link, str(device.options.get("python") or link.python)).ask("power", {})
    except DeviceError as error:
        return Finding("power", "warning", f"the sensors cannot be looked for ({error}): {nothing}")
    rails = told["rails"] or list(tegrastats.parse(told["line"]).power_mw)
    if choice := power.counted(rails):
        return Finding("power", "ok", f"read from {told['source']}: {choice}")
    if rails:
        return Finding("power", "warning", f"{power.unknown(rails)}: {nothing}")
    why = told["fault"] or (tegrastats.NO_POWER if told["line"] else "no sensor")
    return Finding("power", "warning", f"{why}: {nothing}")


def _clocks(found: dict[str, str], device: Device) -> Finding:
    governors = found.get("governors", "").split()
    if not governors:
        return Finding("clocks", "warning", "cannot be read (usual in a virtual machine): times may drift unnoticed")
    if device.options.get("lock_clocks"):
        return Finding("clocks", "ok", "a measurement locks them (option lock_clocks)")
    if not found.get("loose") or governors == ["performance"]:
        return Finding("clocks", "ok", f"locked (governor {', '.join(governors)})")
    how = "sudo jetson_clocks" if found.get("tegra") else "sudo cpupower frequency-set -g performance"
    return Finding(
        "clocks", "warning", f"not locked ({found['loose'].strip()}, governor {', '.join(governors)}): times vary; {how}"
    )


def _sudo(found: dict[str, str], device: Device) -> Finding:
    wanted = [key for key in ("power_mode", "lock_clocks") if device.options.get(key)]
    if found.get("sudo") == "yes":
        return Finding("sudo", "ok", "works without a password")
    if wanted:
        user = re.sub(r"\W.*", "", device.transport.removeprefix("ssh://")) or "USER"
        rule = f"{user} ALL=(root) NOPASSWD: /usr/sbin/nvpmodel, /usr/bin/jetson_clocks"
        return Finding("sudo", "warning", f"asks for a password, so {' and '.join(wanted)} cannot be set; visudo: {rule}")
    return Finding("sudo", "ok", "asks for a password; no option of this device needs it")
