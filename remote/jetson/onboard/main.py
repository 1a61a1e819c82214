"""The command line on the board: a command by argv, its request as a line of JSON on standard input, answers as JSON."""

import json
import sys

from remote.jetson.onboard.hold import guard, hold
from remote.jetson.onboard.observe import measure, power, sample
from remote.jetson.onboard.state import cool, facts, state

QUESTIONS = {"facts": facts, "state": state, "cool": cool, "measure": measure, "power": power, "sample": sample}


def main(arguments, questions=QUESTIONS, streams=None):
    """Run one command.

    Args:
        arguments: the command line.
        questions: the commands; functions from a request to an answer.
        streams: further commands; functions of a request, standard input and standard output, which write their own answers.
    """
    if arguments[0] == "guard":
        return guard(arguments[1])
    request = json.loads(sys.stdin.buffer.readline() or b"{}")
    if arguments[0] == "hold":
        return hold(request)
    if arguments[0] in (streams or {}):
        return streams[arguments[0]](request, sys.stdin.buffer, sys.stdout.buffer)
    answer = questions[arguments[0]](request)
    sys.stdout.write(json.dumps(answer) + "\n")
    return None
