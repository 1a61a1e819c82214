"""A power mode and locked clocks for the time of a measurement, put back afterwards whatever happens."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

from remote.jetson.onboard.tools import output, privileged, tool


def hold(request):
    """Set a power mode, lock the clocks, and keep both until standard input ends; then put back what was.

    The request: ``mode`` (an id or None), ``lock`` and ``journal``, a file in which stands what has to be put back. A
    process of its own does that whatever becomes of this one; what a power cut left is put back at the next time.
    Answers twice: what was reached, and what was put back.
    """
    guard = _start_guard(request["journal"])
    said = guard.stdout.readline()
    if not said:
        return _say({"mode": None, "locked": None, "refused": ["another measurement holds the power mode and the clocks"]})
    former = json.loads(said.decode())
    answer = {"mode": None, "locked": None, "refused": [], "former": former}
    if former["faults"]:
        # What stands in the journal must not be forgotten for the sake of this measurement.
        answer["refused"] = ["not put back since an earlier measurement: " + fault for fault in former["faults"]]
    else:
        _change(request, answer)
    _say(answer)
    sys.stdin.readline()
    guard.stdin.close()
    return _say(json.loads(guard.stdout.readline().decode() or '{"faults": ["the guard process is gone"]}'))


def _change(request, answer):
    """Write down what is, then set the mode and lock the clocks; ``answer`` gets what was reached."""
    journal: dict = {"mode": None, "clocks": None}
    if request["lock"]:
        stored = f"{request['journal']}.clocks-{os.getpid()}-{int(time.time())}"
        code, says = output(privileged([tool("jetson_clocks"), "--store", stored]))
        if code == 0 and os.path.exists(stored):
            journal["clocks"] = stored
        else:
            answer["refused"].append("clocks not locked: " + _reason(says))
    if request["mode"] is not None:
        now = present_mode()
        if now == request["mode"]:
            answer["mode"] = now
        elif now is None:
            answer["refused"].append("power mode not set: nvpmodel does not tell the present one")
        else:
            journal["mode"] = now
    _write(request["journal"], journal)
    if journal["mode"] is not None:
        # Some modes ask whether to reboot: no.
        code, says = output(privileged([tool("nvpmodel"), "-m", str(request["mode"])]), "no\n")
        if code == 0 and present_mode() == request["mode"]:
            answer["mode"] = request["mode"]
        else:
            reason = _reason(says)
            if "reboot" in reason.lower():
                reason += f"; set it once by hand and let it reboot: sudo nvpmodel -m {request['mode']}"
            answer["refused"].append("power mode not set: " + reason)
    if journal["clocks"]:
        code, says = output(privileged([tool("jetson_clocks")]))
        answer["locked"] = code == 0
        if code:
            answer["refused"].append("clocks not locked: " + _reason(says))


def present_mode():
    """The id of the power mode, or None if nvpmodel does not tell."""
    found = re.search(r"NV Power Mode:[^\n]*\n\s*(\d+)", output([tool("nvpmodel"), "-q"])[1])
    return int(found.group(1)) if found else None


def _start_guard(journal):
    """Start the process that puts back, out of reach of what ends this one."""
    environment = {key: value for key, value in os.environ.items() if key != "GAITPRESS_RUN"}
    return subprocess.Popen(
        [sys.executable, sys.argv[0], "guard", journal],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )


def guard(journal):
    """Put back what an earlier guard could not, then wait until standard input ends, and put back what this one must.

    Only one lives at a time on a board; another one ends without a word.
    """
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    with open(journal + ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        _say(put_back(journal))
        sys.stdin.read()
        # The asking process may be gone: its pipe too.
        answer = put_back(journal)
        with contextlib.suppress(OSError):
            _say(answer)


def put_back(journal):
    """Restore mode and clocks as the journal says, and remove it if that worked; what did not, in words."""
    try:
        with open(journal) as file:
            known = json.load(file)
    except (OSError, ValueError):
        return {"faults": [], "put_back": []}
    faults, done = [], []
    restore = [tool("jetson_clocks"), "--restore", known["clocks"]]
    # A locked clock can keep a mode from being set, and a mode sets clocks: so the clocks come first and last.
    if known["mode"] is not None:
        if known["clocks"]:
            output(privileged(restore))
        code, says = output(privileged([tool("nvpmodel"), "-m", str(known["mode"])]), "no\n")
        if code == 0 and present_mode() == known["mode"]:
            done.append("power mode")
        else:
            faults.append(f"power mode {known['mode']}: {_reason(says)}")
    if known["clocks"]:
        code, says = output(privileged(restore))
        if code == 0:
            done.append("clocks")
        else:
            faults.append("clocks: " + _reason(says))
    if not faults:
        os.remove(journal)
        if known["clocks"]:
            output(privileged([tool("rm") or "rm", "-f", known["clocks"]]))
    return {"faults": faults, "put_back": done}


def _write(path, content):
    with open(path + ".partial", "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".partial", path)


def _reason(says):
    """The line of a tool's words that says why: one about a reboot, else its first error, else its last line."""
    lines = [line.strip() for line in says.splitlines() if line.strip()]
    for pattern in ("reboot", "^NVPM ERROR"):
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return re.sub(r"^NVPM [A-Z]+\s*:\s*", "", line)
    return lines[-1] if lines else "no reason was given"


def _say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
