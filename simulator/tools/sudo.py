"""``sudo -n command``, which works if the board asks for no password."""

import os
import sys

from simulator.jetson import here


def main(words: list[str]) -> None:
    assert words[:1] == ["-n"], "it would wait for a password"
    if not here().sudo:
        sys.exit("sudo: a password is required")
    os.execvpe(words[1], words[1:], {**os.environ, "SIMULATED_RIGHTS": "root"})


if __name__ == "__main__":
    main(sys.argv[1:])
