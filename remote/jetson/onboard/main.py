"""The command line on the board: a command by argv, its request as a line of JSON on standard input, answers as JSON."""

import json
import sys

from remote.jetson.onboard.engines import cached, keep
from remote.jetson.onboard.hold import guard, hold
from remote.jetson.onboard.infer import infer
from remote.jetson.onboard.observe import measure, power, sample
from remote.jetson.onboard.state import cool, facts, state


def main(arguments):
    if arguments[0] == "guard":
        return guard(arguments[1])
    request = json.loads(sys.stdin.buffer.readline() or b"{}")
    if arguments[0] == "infer":
        return infer(request, sys.stdin.buffer, sys.stdout.buffer)
    if arguments[0] == "hold":
        return hold(request)
    questions = {"facts": facts, "state": state, "cool": cool, "cached": cached, "keep": keep, "measure": measure}
    questions.update(power=power, sample=sample)
    answer = questions[arguments[0]](request)
    sys.stdout.write(json.dumps(answer) + "\n")
    return None
