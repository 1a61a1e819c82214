"""Write that no table of times is needed where `prune.device` is none, so that pruning waits for no device."""

from __future__ import annotations

from pathlib import Path

from gaitpress import command_line, outputs


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--model", required=True, help="entry of `model` in params.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the table to write")
    options, _ = command_line.parse(parser)
    outputs.write_json(options.out, {"needed": False})


if __name__ == "__main__":
    command_line.run(main)
