"""``nvpmodel -q`` and ``nvpmodel -m ID``."""

import os
import sys

from simulator.jetson import here


def main(words: list[str]) -> None:
    board = here()
    board.called(["nvpmodel", *words])
    names = {number: name for name, number in board.kind.modes.items()}
    if words == ["-q"]:
        print(f"NV Power Mode: {names[board.mode]}\n{board.mode}")
        return
    if os.environ.get("SIMULATED_RIGHTS") != "root":
        print("NVPM ERROR: failed to set power mode!")
        sys.exit(1)
    mode = int(words[words.index("-m") + 1])
    if mode not in names:
        print(f"NVPM ERROR: invalid power mode {mode}")
        sys.exit(1)
    if names[mode] in board.kind.rebooting and mode != board.mode:
        print("NVPM WARN: Golden image context is already created")
        print(f"NVPM WARN: Reboot required for changing to this power mode: {mode}")
        print("NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:")
        if sys.stdin.readline().strip().lower() != "yes":
            print("NVPM ERROR: optMask is 1, no request for power mode")
            return  # the mode stays as it is, under any exit status
    board.mode = mode
    board.locked = False  # a mode sets clocks


if __name__ == "__main__":
    main(sys.argv[1:])
