"""`python -m remote`, as typed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from remote import inventory
from remote.lock import held
from remote.transport import connect
from simulator.jetson import Jetson
from simulator.ssh_server import Server, new_key
from tests.support import commands
from tests.support.small_disk import mounted
from tests.support.toy import ROOT


@pytest.fixture
def remote(tmp_path: Path):
    devices, facts = tmp_path / "devices.yaml", tmp_path / "facts"
    devices.write_text("local: {transport: local}\n")

    def type_(*arguments: str) -> subprocess.CompletedProcess[str]:
        return commands.remote("--devices", devices, "--facts", facts, *arguments)

    return type_


def test_devices_are_listed_added_and_probed(remote, tmp_path: Path) -> None:
    assert "not probed yet" in remote("list").stdout
    assert remote("add", "desk", "local").returncode == 0
    assert remote("probe", "desk").returncode == 0
    facts = json.loads((tmp_path / "facts/desk.json").read_text())
    row = next(line for line in remote("list").stdout.splitlines() if line.startswith("desk"))
    assert facts["cpu"] in row
    assert facts["runtime_version"] in row


def test_a_probe_prints_the_changed_facts(remote, tmp_path: Path) -> None:
    remote("probe", "local")
    path = tmp_path / "facts/local.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "runtime_version": "0.1"}))
    assert "changed: runtime_version: 0.1 -> " in remote("probe", "local").stdout
    assert "changed" not in remote("probe", "local").stdout


@pytest.mark.parametrize(
    "arguments", [("probe", "nano"), ("add", "local", "local"), ("add", "No!", "local"), ("remove", "nano")]
)
def test_a_mistake_is_one_line(remote, arguments: tuple[str, ...]) -> None:
    done = remote(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def nano(remote, servers: Callable[..., Server]) -> Server:
    """A device whose host key is not known yet; its Python is this one."""
    server = servers(known=False)
    done = remote("add", "nano", server.address, "--option", f"python={sys.executable}")
    assert "python -m remote trust nano" in done.stdout
    return server


def test_a_device_over_ssh_is_added_trusted_checked_probed_and_removed(remote, nano: Server, tmp_path: Path) -> None:
    refused = remote("probe", "nano")
    assert refused.returncode == 1
    assert "python -m remote trust nano" in refused.stderr
    shown = subprocess.run(["ssh-keygen", "-lf", nano.host_key], capture_output=True, text=True, check=True).stdout.split()[
        1
    ]
    asked = remote("trust", "nano")
    assert asked.returncode == 1
    assert shown in asked.stderr
    assert shown in remote("trust", "nano", "--yes").stdout
    assert (Path.home() / ".ssh/known_hosts").read_text() == nano.known
    assert "known already" in remote("trust", "nano").stdout
    checked = remote("check", "nano")
    assert checked.returncode == 0, checked.stdout
    assert {line.split()[0] for line in checked.stdout.splitlines()[:-1]} <= {"ok", "warning"}
    assert remote("probe", "nano").returncode == 0
    output = remote("remove", "nano").stdout
    assert str(tmp_path / "facts/nano.json") in output
    assert (tmp_path / "facts/nano.json").exists()
    assert "nano" not in (tmp_path / "devices.yaml").read_text()


def test_a_probe_waits_for_who_uses_the_machine(remote, nano: Server, tmp_path: Path) -> None:
    remote("trust", "nano", "--yes")
    words = ["--devices", tmp_path / "devices.yaml", "--facts", tmp_path / "facts", "probe", "nano"]
    with connect("board", nano.address) as link, held(link, "another entry's job"):
        probe = subprocess.Popen([sys.executable, "-m", "remote", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert probe.stderr
        assert "is at another entry's job" in probe.stderr.readline()
        assert probe.poll() is None
    assert probe.wait() == 0


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "error: interrupted"), (signal.SIGTERM, "error: terminated")])
def test_a_probe_that_is_interrupted_ends_with_one_line(
    remote, nano: Server, tmp_path: Path, number: signal.Signals, said: str
) -> None:
    remote("trust", "nano", "--yes")
    words = ["--devices", tmp_path / "devices.yaml", "--facts", tmp_path / "facts", "probe", "nano"]
    with connect("board", nano.address) as link, held(link, "a job"):
        probe = subprocess.Popen(
            [sys.executable, "-m", "remote", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True,
            # Tests may run in the background of a shell, where Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert probe.stderr
        assert "is at a job" in probe.stderr.readline()
        probe.send_signal(number)
        assert probe.stderr.read().splitlines() == [said]
        assert probe.wait() == 1
    assert not (tmp_path / "facts/nano.json").exists()


def test_a_full_disk_here_leaves_facts_and_devices_as_they_were(remote, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1 << 16) as disk:
        devices, known = disk.where / "devices.yaml", disk.where / "facts"
        devices.write_text("local: {transport: local}\n")
        disk.leave(0)
        words = ("--devices", devices, "--facts", known)
        for command in (("add", "desk", "local"), ("probe", "local")):
            done = commands.remote(*words, *command)
            assert done.returncode == 1
            (line,) = done.stderr.splitlines()
            assert "cannot be written: No space left on device; it is as it was" in line
        assert devices.read_text() == "local: {transport: local}\n"
        assert not list(known.glob("*"))


def test_a_changed_host_key_is_a_fault_that_trust_does_not_mend_by_itself(remote, nano: Server, tmp_path: Path) -> None:
    remote("trust", "nano", "--yes")
    nano_known = nano.known
    nano.kill()
    nano.settings["HostKey"] = str(new_key(tmp_path / "other"))
    nano.start()
    checked = remote("check", "nano")
    assert checked.returncode == 1
    assert checked.stdout.startswith("fault    host key     HOST KEY CHANGED")
    trusted = remote("trust", "nano", "--yes")
    assert trusted.returncode == 1
    assert "HOST KEY CHANGED" in trusted.stderr
    assert (Path.home() / ".ssh/known_hosts").read_text() == nano_known


def test_the_key_of_a_server_on_the_way_is_shown_too(remote, servers: Callable[..., Server], client: Path) -> None:
    first, board = servers("first", known=False), servers("board", known=False)
    (client / ".ssh/config").write_text(
        f"Host first\n HostName 127.0.0.1\n Port {first.port}\n"
        f"Host nano\n HostName 127.0.0.1\n Port {board.port}\n ProxyJump first\n"
    )
    assert remote("add", "nano", "nano").returncode == 0
    assert f":{first.port}: ssh-ed25519" in remote("trust", "nano", "--yes").stdout
    assert (client / ".ssh/known_hosts").read_text() == first.known + board.known


@pytest.mark.parametrize("where", ["/dev/null", "none"])
def test_a_key_that_no_file_would_keep_is_not_called_added(remote, nano: Server, client: Path, where: str) -> None:
    (client / ".ssh/config").write_text(f"UserKnownHostsFile {where}\nStrictHostKeyChecking no\n")
    trusted = remote("trust", "nano", "--yes")
    assert trusted.returncode == 1
    assert trusted.stderr == (
        f"error: [127.0.0.1]:{nano.port}: UserKnownHostsFile of the SSH configuration is {where}, which keeps no key: "
        "name a file for this host in ~/.ssh/config\n"
    )


def test_a_check_prints_a_remedy_for_each_fault(remote, servers: Callable[..., Server], tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for program in Path("/usr/bin").iterdir():
        if not program.name.startswith(("python", "flock")):
            (tools / program.name).symlink_to(program)
    server = servers(PATH=str(tools))
    remote("add", "nano", server.address, "--runtime", "tensorrt")
    done = remote("check", "nano")
    assert done.returncode == 1
    verdicts = {line[9:21].strip(): (line.split()[0], line[22:]) for line in done.stdout.splitlines()}
    assert verdicts["tools"] == ("fault", "missing: flock; sudo apt install coreutils findutils grep util-linux")
    assert verdicts["python"] == ("fault", "no python3 on PATH; sudo apt install python3")
    assert verdicts["trtexec"][0] == "fault"
    assert verdicts["link"][0] == verdicts["disk"][0] == "ok"
    remote("add", "desk", server.address, "--option", "python=/nowhere/python")
    assert "fault    onnxruntime  desk: /nowhere/python cannot be used: " in remote("check", "desk").stdout


def test_a_check_tries_what_its_own_advice_allows(remote, servers: Callable[..., Server], tmp_path: Path) -> None:
    tools, root = tmp_path / "bin", tmp_path / "played"
    tools.mkdir()
    programs = {
        "id": "case $1 in -un) echo jane ;; *) echo 1000 ;; esac",
        "sudo": f'shift; grep -q "NOPASSWD:.*${{1#{root}}}" {tmp_path}/sudoers',
    }
    for name, script in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    (tmp_path / "sudoers").write_text("")
    server = servers(PATH=f"{tools}:/usr/bin:/bin", GAITPRESS_SIMULATED_ROOT=str(root))
    options = ["--runtime", "tensorrt", "--option", "power_mode=MAXN", "--option", "lock_clocks=true"]
    remote("add", "orin", server.address, *options)

    def line_of_sudo() -> str:
        [line] = [line for line in remote("check", "orin").stdout.splitlines() if line[9:].startswith("sudo ")]
        return line

    assert line_of_sudo() == (
        "warning  sudo         there is no /usr/sbin/nvpmodel and no /usr/bin/jetson_clocks: leave out the option "
        "power_mode and lock_clocks, or install the board's JetPack"
    )
    for tool in ("usr/sbin/nvpmodel", "usr/bin/jetson_clocks"):
        (root / tool).parent.mkdir(parents=True)
        (root / tool).touch(mode=0o755)
    advice = line_of_sudo()
    rule = "jane ALL=(root) NOPASSWD: /usr/sbin/nvpmodel, /usr/bin/jetson_clocks"
    assert advice.startswith("warning  sudo         asks for a password, so power_mode and lock_clocks cannot be set; ")
    assert advice.endswith(rule)
    (tmp_path / "sudoers").write_text(rule)
    assert line_of_sudo() == "ok       sudo         works without a password for power_mode and lock_clocks"


def test_a_check_reads_a_boards_own_files(remote, servers: Callable[..., Server], tmp_path: Path) -> None:
    root = tmp_path / "played"
    files = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3\n",
        "usr/src/tensorrt/bin/trtexec": "",
        "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_label": "VDD_IN\n",
        "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input": "5000\n",
        "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "1000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "729600\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1728000\n",
        "sys/class/devfreq/17000000.ga10b/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.ga10b/max_freq": "624750000\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "usr/src/tensorrt/bin/trtexec").chmod(0o755)
    remote("add", "orin", servers(GAITPRESS_SIMULATED_ROOT=str(root)).address, "--runtime", "tensorrt")
    output = remote("check", "orin").stdout
    assert "warning  board        SIMULATED NVIDIA Jetson Orin Nano, # R36 (release), REVISION: 4.3" in output
    assert f"ok       trtexec      {root}/usr/src/tensorrt/bin/trtexec" in output
    assert "ok       power        read from ina3221: module, at its input VDD_IN" in output
    assert "warning  clocks       not locked (CPU GPU, governor schedutil): times vary; sudo jetson_clocks" in output
    for which in ("sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq", "sys/class/devfreq/17000000.ga10b/min_freq"):
        (root / which).write_text((root / which.replace("min", "max")).read_text())
    assert "ok       clocks       locked (governor schedutil)" in remote("check", "orin").stdout


def test_a_check_promises_the_power_that_a_record_will_have(remote, servers: Callable[..., Server], tmp_path: Path) -> None:
    board = Jetson(tmp_path / "thor", "agx-thor")
    address = servers(GAITPRESS_SIMULATED_ROOT=str(board.root)).address
    for name, runtime in (("thor", "tensorrt"), ("processor", "onnxruntime")):
        remote("add", name, address, "--runtime", runtime, "--option", f"python={sys.executable}")
        assert "ok       power        read from ina238 + ina3221: board, at its input VIN" in remote("check", name).stdout
    board.sensor = False
    assert "ok       power        read from tegrastats: board, at its input VIN" in remote("check", "thor").stdout
    tegrastats = board.root / "usr/bin/tegrastats"
    tegrastats.write_text("#!/bin/sh\nwhile echo 'RAM 1/2MB (lfb 1x4MB) CPU [off]'; do sleep 0.1; done\n")
    nothing = "warning  power        tegrastats prints no power on this board: no energy in records"
    assert nothing in remote("check", "thor").stdout
    tegrastats.unlink()
    assert "warning  power        no sensor: no energy in records" in remote("check", "thor").stdout


def test_a_check_reports_a_tensorrt_that_is_too_old(remote, servers: Callable[..., Server], tmp_path: Path) -> None:
    board = Jetson(tmp_path / "nano", "nano")
    board.write("etc/nv_tegra_release", "# R32 (release), REVISION: 3.1, GCID: 18186506, BOARD: t210ref\n")
    remote("add", "nano", servers(GAITPRESS_SIMULATED_ROOT=str(board.root)).address, "--runtime", "tensorrt")
    output = remote("check", "nano").stdout
    assert "fault    trtexec      L4T 32.3.1 has TensorRT older than 7.1, too old for the networks made here" in output
    assert "update the board to JetPack 4.4 or later" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ssh://a:secret@nano"], "a password does not belong here"),
        (["a b"], "names are made of letters"),
        (["nano", "--option", "fast=1"], "unknown key; onnxruntime takes python"),
        (["nano", "--option", "python"], "must be KEY=VALUE"),
        (["nano", "--runtime", "tensorrt", "--option", "lock_clocks=1"], "must be true or false"),
    ],
)
def test_a_refused_device_has_a_reason(remote, tmp_path: Path, words: list[str], message: str) -> None:
    done = remote("add", "nano", *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert (tmp_path / "devices.yaml").read_text() == "local: {transport: local}\n"


def test_options_are_kept_by_their_type(remote, tmp_path: Path) -> None:
    options = ["--option", "lock_clocks=true", "--option", "workspace_mib=1024", "--option", "power_mode=MAXN"]
    assert remote("add", "nano", "board", "--runtime", "tensorrt", *options).returncode == 0
    device = inventory.find(tmp_path / "devices.yaml", "nano")
    assert device.transport == "ssh://board"
    assert device.options == {"lock_clocks": True, "workspace_mib": 1024, "power_mode": "MAXN"}
