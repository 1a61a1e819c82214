"""``jetson_clocks`` with ``--show``, ``--store FILE``, ``--restore FILE`` and, without an option, the lock."""

import os
import sys
from pathlib import Path

from simulator.jetson import Jetson, here


def show(board: Jetson) -> None:
    low, high = board.kind.gpu_hz
    first, now = (high, high) if board.locked else (low, low)
    print(f"SOC family:{board.kind.chip.partition(',')[2]}  Machine:{board.kind.model}")
    print("Online CPUs: 0")
    online = "Online=1 " if board.kind.jetpack < 7 else ""
    print(f"cpu0: {online}Governor=schedutil MinFreq=729600 MaxFreq=1479000 CurrentFreq=1479000 IdleStates: WFI=1 c7=1")
    if board.kind.jetpack < 7:
        print(f"GPU MinFreq={first} MaxFreq={high} CurrentFreq={now}")
    else:
        print(f"gpu-gpc-0 MinFreq={first} MaxFreq={high} CurrentFreq={now}")
        print("gpu-nvd-0 MinFreq=1692000000 MaxFreq=1692000000 CurrentFreq=1692000000")
    print(f"EMC MinFreq=204000000 MaxFreq=1600000000 CurrentFreq=1600000000 FreqOverride={int(board.locked)}")
    names = {number: name for name, number in board.kind.modes.items()}
    print(f"NV Power Mode: {names[board.mode]}")


def main(words: list[str]) -> None:
    board = here()
    board.called(["jetson_clocks", *words])
    if os.environ.get("SIMULATED_RIGHTS") != "root":
        print("Please run this script with sudo")
        sys.exit(1)
    if words == ["--show"]:
        show(board)
    elif words[:1] == ["--store"]:
        # The real one asks whether to replace a file.
        assert not Path(words[1]).exists()
        Path(words[1]).write_text(f"locked {int(board.locked)}\n")
    elif words[:1] == ["--restore"]:
        board.locked = Path(words[1]).read_text().split() == ["locked", "1"]
    elif not words:
        board.locked = True
    else:
        sys.exit(f"Unknown option {words}")


if __name__ == "__main__":
    main(sys.argv[1:])
