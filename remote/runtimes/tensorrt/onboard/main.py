"""The command line on the board, with TensorRT's commands."""

from remote.jetson.onboard import main as board
from remote.runtimes.tensorrt.onboard.engines import cached, keep
from remote.runtimes.tensorrt.onboard.infer import infer
from remote.runtimes.tensorrt.onboard.trtexec import facts


def main(arguments):
    return board.main(arguments, dict(board.QUESTIONS, facts=facts, cached=cached, keep=keep), {"infer": infer})
