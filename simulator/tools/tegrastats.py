"""``tegrastats --interval MS``: a line every MS milliseconds, in the form of the board's JetPack."""

import sys
import time
from datetime import datetime

from simulator.jetson import Jetson, here


def line(board: Jetson) -> str:
    busy = board.busy
    now = {name: full if busy else idle for name, (idle, full) in board.kind.rails.items()}
    if board.kind.jetpack == 4:
        power = " ".join(f"{name} {milliwatts}/{milliwatts}" for name, milliwatts in now.items())
        return (
            "RAM 534/3964MB (lfb 98x4MB) SWAP 5/1982MB (cached 1MB) IRAM 0/252kB(lfb 252kB) CPU [16%@204,9%@204,off,off] "
            f"EMC_FREQ 0%@204 GR3D_FREQ 0%@76 APE 25 PLL@34C CPU@36.5C PMIC@100C GPU@36C AO@39.5C thermal@36.25C {power}"
        )
    if board.kind.input:
        now["VIN"] = board.kind.input[busy]
    if board.kind.jetpack == 7:
        power = " ".join(f"{name} {milliwatts}mW/{milliwatts}mW/{milliwatts}mW" for name, milliwatts in now.items())
        return (
            f"{datetime.now():%m-%d-%Y %H:%M:%S} RAM 3429/125749MB (lfb 120x4MB) CPU [0%,5%,off]@2601 EMC_FREQ @4266 "
            f"GR3D_FREQ @[1574,1574,1574] VIC off cpu@49.75C/49.75C tj@51.218C/51.218C gpu@51.218C/51.218C {power}"
        )
    power = " ".join(f"{name} {milliwatts}mW/{milliwatts}mW" for name, milliwatts in now.items())
    return (
        f"{datetime.now():%m-%d-%Y %H:%M:%S} RAM 1343/7620MB (lfb 157x4MB) SWAP 165/3810MB (cached 3MB) CPU [0%@1497] "
        f"EMC_FREQ 15%@204 GR3D_FREQ 0%@[305] VIC off APE 200 cpu@48.562C gpu@49.625C tj@49.312C {power}"
    )


def main(words: list[str]) -> None:
    board = here()
    interval = int(words[words.index("--interval") + 1]) if "--interval" in words else 1000
    while True:
        print(line(board), flush=True)
        time.sleep(interval / 1000)


if __name__ == "__main__":
    main(sys.argv[1:])
