"""Hold a power mode and locked clocks for the time of a measurement, and put both back afterwards whatever happens."""

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
    """Set a power mode, lock the clocks, and keep both until standard input ends; then put the former ones back.

    The request has ``mode`` (an id or None), ``lock`` and ``journal``, the file that says what to put back. A process of
    its own, the guard, does that whatever happens to this one; after a power cut the next guard does it. This answers
    twice: with the mode and clocks that it reached, and with those that the guard put back.
    """
    guard = _start_guard(request["journal"])
    former = _heard(guard)
    if former is None:
        return _say({"mode": None, "locked": None, "refused": ["another measurement holds the power mode and the clocks"]})
    answer = {"mode": None, "locked": None, "refused": [], "former": former}
    if former["faults"]:
        # The journal must keep what an earlier guard could not put back, so this measurement changes nothing.
        answer["refused"] = ["not put back since an earlier measurement: " + fault for fault in former["faults"]]
    else:
        _change(request, answer)
    _say(answer)
    sys.stdin.readline()
    guard.stdin.close()
    return _say(_heard(guard) or {"faults": ["the guard process is gone"]})


def _change(request, answer):
    """Write down the present mode and clocks, then set the mode and lock the clocks; fill ``answer`` with the outcome."""
    journal: dict = {"mode": None, "clocks": None}
    if request["lock"]:
        stored = f"{request['journal']}.clocks-{os.getpid()}-{int(time.time())}"
        code, message = output(privileged([tool("jetson_clocks"), "--store", stored]))
        if code == 0 and os.path.exists(stored):
            journal["clocks"] = stored
        else:
            answer["refused"].append("clocks not locked: " + _reason(message))
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
        # For some modes nvpmodel asks whether to reboot; the answer is no.
        code, message = output(privileged([tool("nvpmodel"), "-m", str(request["mode"])]), "no\n")
        if code == 0 and present_mode() == request["mode"]:
            answer["mode"] = request["mode"]
        else:
            reason = _reason(message)
            if "reboot" in reason.lower():
                reason += f"; set it once by hand and let it reboot: sudo nvpmodel -m {request['mode']}"
            answer["refused"].append("power mode not set: " + reason)
    if journal["clocks"]:
        code, message = output(privileged([tool("jetson_clocks")]))
        answer["locked"] = code == 0
        if code:
            answer["refused"].append("clocks not locked: " + _reason(message))


def present_mode():
    """The id of the power mode, or None if nvpmodel does not tell."""
    match = re.search(r"NV Power Mode:[^\n]*\n\s*(\d+)", output([tool("nvpmodel"), "-q"])[1])
    return int(match.group(1)) if match else None


def _start_guard(journal):
    """Start the process that puts mode and clocks back, in a session of its own: signals to this one do not reach it."""
    environment = {key: value for key, value in os.environ.items() if key != "GAITPRESS_RUN"}
    return subprocess.Popen(
        [sys.executable, sys.argv[0], "guard", journal],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )


def _heard(guard):
    for line in iter(guard.stdout.readline, b""):
        if line.startswith(b"{"):  # before it, a Python may greet
            return json.loads(line.decode())
    return None


def guard(journal):
    """Put back what an earlier guard could not; when standard input ends, put back what this measurement changed.

    Only one guard lives at a time on a board; a second one ends without a word.
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
        # The asking process may be gone, and its pipe too.
        answer = put_back(journal)
        with contextlib.suppress(OSError):
            _say(answer)


def put_back(journal):
    """Restore mode and clocks as the journal says, and remove it if that worked; return faults and restored parts."""
    try:
        with open(journal) as file:
            former = json.load(file)
    except (OSError, ValueError):
        return {"faults": [], "put_back": []}
    faults, done = [], []
    restore = [tool("jetson_clocks"), "--restore", former["clocks"]]
    # A locked clock can prevent a change of mode, and a mode sets clocks: so restore the clocks first and last.
    if former["mode"] is not None:
        if former["clocks"]:
            output(privileged(restore))
        code, message = output(privileged([tool("nvpmodel"), "-m", str(former["mode"])]), "no\n")
        if code == 0 and present_mode() == former["mode"]:
            done.append("power mode")
        else:
            faults.append(f"power mode {former['mode']}: {_reason(message)}")
    if former["clocks"]:
        code, message = output(privileged(restore))
        if code == 0:
            done.append("clocks")
        else:
            faults.append("clocks: " + _reason(message))
    if not faults:
        os.remove(journal)
        if former["clocks"]:
            with contextlib.suppress(OSError):  # it is root's, but in a folder of ours
                os.remove(former["clocks"])
    return {"faults": faults, "put_back": done}


def _write(path, content):
    with open(path + ".partial", "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".partial", path)


def _reason(message):
    """The line of a tool's output that gives the reason: one about a reboot, else its first error, else its last line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for pattern in ("reboot", "^NVPM ERROR"):
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return re.sub(r"^NVPM [A-Z]+\s*:\s*", "", line)
    return lines[-1] if lines else "no reason was given"


def _say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
