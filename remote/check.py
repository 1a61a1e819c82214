"""Look a device over before its first use: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from remote import runtimes
from remote.errors import DeviceError, HostKeyRefused
from remote.findings import Finding
from remote.inventory import Device
from remote.jetson import power, tegrastats
from remote.jetson.board import Board
from remote.transport import Transport, connect

FREE_MB, LITTLE_MB = 300, 2000
FEW_FILES = 2000  # an environment with numpy and a runtime has about so many
APART_S = 300  # between the clocks of two computers: beyond that, certificates and dates may be wrong
TOOLS = ("sha256sum", "timeout", "tail", "cut", "find", "flock", "grep")
# The tools of options that change the board.
SUDO_TOOLS = {"power_mode": "/usr/sbin/nvpmodel", "lock_clocks": "/usr/bin/jetson_clocks"}

# One round trip: it prints a line "name=value" for each fact. A simulated board has its files below a root.
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
say python "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null | tail -n 1)"
say free_mb "$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 {print int($4 / 1024)}')"
say free_files "$(df -Pi "$folder" 2>/dev/null | awk 'NR == 2 {print $2, $4}')"
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
say date "$(date +%s)"
say user "$(id -un)"
may() { [ "$(id -u)" = 0 ] || sudo -n "$@" </dev/null >/dev/null 2>&1; }
sudo=
if may true; then sudo="$sudo all"; fi
if may "$root/usr/sbin/nvpmodel" -q; then sudo="$sudo power_mode"; fi
if may "$root/usr/bin/jetson_clocks" --show; then sudo="$sudo lock_clocks"; fi
say sudo "$sudo"
absent=
[ -e "$root/usr/sbin/nvpmodel" ] || absent="$absent power_mode"
[ -e "$root/usr/bin/jetson_clocks" ] || absent="$absent lock_clocks"
say absent "$absent"
"""


def check(device: Device) -> Iterator[Finding]:
    """Look a device over; after a fault that hides the rest, yield no more findings."""
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
    argv = ["sh", "-c", LOOK, "sh", *(TOOLS if device.transport != "local" else ())]
    done = link.run(argv, env={"folder": home}, repeatable=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    facts = {key: value.strip() for key, _, value in (line.partition("=") for line in lines)}
    yield _board(facts, device)
    if facts.get("missing"):
        yield Finding("tools", "fault", f"missing: {facts['missing']}; sudo apt install coreutils findutils grep util-linux")
    else:
        yield Finding("tools", "ok", "all there")
    yield _python(facts)
    if device.transport != "local":
        yield _date(facts, time.time())
    # The runtime's room looks at the rest, with the facts so far.
    yield from runtimes.part(device.runtime, "check").check(link, device, facts)
    yield _disk(facts, home)
    yield _power(link, facts, device)
    yield _clocks(facts, device)
    yield _sudo(facts, device)


def _board(facts: dict[str, str], device: Device) -> Finding:
    evidence = device.evidence({"board": facts.get("board"), "simulated": facts.get("simulated")})
    text = ", ".join(filter(None, (facts.get("board") or "no board", facts.get("tegra"), facts.get("system"))))
    if evidence == "simulated":
        return Finding("board", "warning", f"SIMULATED {text}: its records say so, and no figure of it is one of hardware")
    return Finding("board", "ok", f"{text}; records say evidence: {evidence}")


def _python(facts: dict[str, str]) -> Finding:
    version = facts.get("python", "")
    if not version:
        return Finding("python", "fault", "no python3 on PATH; sudo apt install python3")
    if tuple(map(int, version.split("."))) < (3, 6):
        return Finding("python", "fault", f"python3 is {version}, our scripts need 3.6")
    return Finding("python", "ok", f"python3 is {version}")


def _date(facts: dict[str, str], now: float) -> Finding:
    """Whether the device's clock is right, if this computer's is."""
    if not facts.get("date", "").isdecimal():
        return Finding("date", "warning", "it does not say what time it is there")
    there = int(facts["date"])
    apart = there - now
    if abs(apart) <= APART_S:
        return Finding("date", "ok", "its clock and this computer's agree")
    days, hours = divmod(round(abs(apart) / 3600), 24)
    words = f"{days} days and {hours} h" if days else f"{hours} h" if hours else f"{abs(apart) / 60:.0f} min"
    side = "ahead of" if apart > 0 else "behind"
    return Finding(
        "date",
        "warning",
        f"it is {datetime.fromtimestamp(there, UTC):%Y-%m-%d %H:%M} UTC there, {words} {side} this computer: measurements "
        "and records do not depend on it, but its pip may refuse certificates, and then packages are sent from here; there: "
        "sudo timedatectl set-ntp true",
    )


def _disk(facts: dict[str, str], home: str) -> Finding:
    if not facts.get("free_mb", "").isdecimal():
        return Finding("disk", "warning", f"the board does not say how much is free at {home}")
    files = facts.get("free_files", "").split()
    if len(files) == 2 and files[0] not in ("0", "-") and files[1].isdecimal() and int(files[1]) < FEW_FILES:
        words = f"the disk of {home} takes {files[1]} more files, whatever room is free: few inodes are left (`df -i` there)"
        return Finding("disk", "warning", f"{words}; what is in this folder may be removed while no job runs")
    free = int(facts["free_mb"])
    advice = f"; what is in {home} may be removed at any time but while a job runs" if free < LITTLE_MB else ""
    verdict: Literal["ok", "warning", "fault"] = "fault" if free < FREE_MB else "warning" if free < LITTLE_MB else "ok"
    return Finding("disk", verdict, f"{free} MB free at {home}{advice}")


def _power(link: Transport, facts: dict[str, str], device: Device) -> Finding:
    """Say what will measure a record's energy; the program that will read it answers."""
    nothing = "no energy in records"
    rapl = facts.get("rapl") if runtimes.room_of(device.runtime).on_processor else None
    if rapl == "unreadable":
        how = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj there lets all users, until its next start"
        return Finding("power", "warning", f"the counters are there, but this user may not read them: {nothing}; {how}")
    if rapl:
        return Finding("power", "ok", f"read from {rapl}")
    try:
        answer = Board(link, str(device.options.get("python") or link.python)).ask("power", {})
    except DeviceError as error:
        return Finding("power", "warning", f"the sensors cannot be looked for ({error}): {nothing}")
    rails = answer["rails"] or list(tegrastats.parse(answer["line"]).power_mw)
    if choice := power.counted(rails):
        return Finding("power", "ok", f"read from {answer['source']}: {choice}")
    if rails:
        return Finding("power", "warning", f"{power.unknown(rails)}: {nothing}")
    why = answer["fault"] or (tegrastats.NO_POWER if answer["line"] else "no sensor")
    return Finding("power", "warning", f"{why}: {nothing}")


def _clocks(facts: dict[str, str], device: Device) -> Finding:
    governors = facts.get("governors", "").split()
    if not governors:
        return Finding("clocks", "warning", "cannot be read (usual in a virtual machine): times may drift unnoticed")
    if device.options.get("lock_clocks") and "lock_clocks" not in facts.get("absent", "").split():
        return Finding("clocks", "ok", "a measurement locks them (option lock_clocks)")
    if not facts.get("loose") or governors == ["performance"]:
        return Finding("clocks", "ok", f"locked (governor {', '.join(governors)})")
    how = "sudo jetson_clocks" if facts.get("tegra") else "sudo cpupower frequency-set -g performance"
    return Finding(
        "clocks", "warning", f"not locked ({facts['loose'].strip()}, governor {', '.join(governors)}): times vary; {how}"
    )


def _sudo(facts: dict[str, str], device: Device) -> Finding:
    allowed = facts.get("sudo", "").split()
    wanted = [key for key in SUDO_TOOLS if device.options.get(key)]
    if without := [key for key in wanted if key in facts.get("absent", "").split()]:
        programs = " and no ".join(SUDO_TOOLS[key] for key in without)
        text = f"there is no {programs}: leave out the option {' and '.join(without)}, or install the board's JetPack"
        return Finding("sudo", "warning", text)
    if "all" in allowed:
        return Finding("sudo", "ok", "works without a password")
    if lacking := [key for key in wanted if key not in allowed]:
        rule = f"{facts.get('user') or 'USER'} ALL=(root) NOPASSWD: {', '.join(SUDO_TOOLS[key] for key in wanted)}"
        text = f"asks for a password, so {' and '.join(lacking)} cannot be set; this line there, by sudo visudo: {rule}"
        return Finding("sudo", "warning", text)
    if wanted:
        return Finding("sudo", "ok", f"works without a password for {' and '.join(wanted)}")
    return Finding("sudo", "ok", "asks for a password; no option of this device needs it")
