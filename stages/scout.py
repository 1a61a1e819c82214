"""Find the pruning percentiles that make a model faster on a device, before anything is trained: :mod:`stages.scouting`."""

from stages import io
from stages.scouting.command import main

if __name__ == "__main__":
    io.run(main)
