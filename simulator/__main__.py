"""Start a simulated Jetson behind an SSH server on loopback, print how to add it, and run it until Ctrl-C.

    python -m simulator orin-nano

With ``--folder``, the board keeps its state from one start to the next.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from simulator import bindings
from simulator.boards import KINDS
from simulator.jetson import FAULTS, Jetson
from simulator.ssh_server import SSHD, Server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("board", nargs="?", default="orin-nano", choices=sorted(KINDS), help="default: %(default)s")
    parser.add_argument("--folder", type=Path, help="the folder of the board's files; default: a temporary one")
    parser.add_argument("--key", type=Path, help="your public key; default: the first in ~/.ssh")
    options = parser.parse_args()
    if SSHD is None:
        sys.exit("error: there is no sshd here (Debian and Ubuntu: apt install openssh-server)")
    key = options.key or next(iter(sorted(Path("~/.ssh").expanduser().glob("id_*.pub"))), None)
    if key is None or not key.exists():
        sys.exit(f"error: {key or 'no public key in ~/.ssh'}: make one with `ssh-keygen -t ed25519`")
    with tempfile.TemporaryDirectory(prefix="jetson-") as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        board = Jetson(folder / "root", options.board)
        if not (board.root / "usr/local/cuda-12.6").exists() and not bindings.install(board):
            print("There is no C compiler here, so trtexec starts anew for each sequence of a test, which takes minutes.\n")
        server = Server(folder / "ssh", key.with_suffix(""), GAITPRESS_SIMULATED_ROOT=str(board.root))
        name = f"simulated-{options.board}"
        version = ".".join(map(str, board.kind.tensorrt))
        print(f"{board.kind.model}, TensorRT {version}: a simulation on this computer. Add it:\n")
        print(f"    python -m remote add {name} {server.address} --runtime tensorrt --option python={sys.executable}")
        print(f"    python -m remote trust {name}")
        print(f"    python -m remote probe {name}\n")
        print(f"A fault, one of {', '.join(FAULTS)}:    echo -n oom > {board.root}/sim/fault", flush=True)
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        stopped.wait()
        server.kill()


if __name__ == "__main__":
    main()
