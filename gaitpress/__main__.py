"""The commands beside the DAG, with one help for all of them."""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
from pathlib import Path

from gaitpress import command_line, commands

FOLDER = Path(commands.__file__).parent
# In the order in which one needs them.
COMMANDS = (
    "describe",
    "params",
    "recipe",
    "scout",
    "forecast",
    "review",
    "select",
    "bundle",
    "silhouettes",
    "watch",
    "promote",
    "serve-study",
    "watch-study",
    "compare",
    "submission",
)


def purpose(name: str) -> str:
    """The first sentence of a command's module, which is not imported for it."""
    module = name.replace("-", "_")
    path = FOLDER / module / "__init__.py" if (FOLDER / module).is_dir() else FOLDER / f"{module}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]


def overview() -> str:
    """What ``--help`` prints."""
    lines = [f"  {name:11} {purpose(name)}" for name in COMMANDS]
    return "\n".join(
        [
            "usage: python -m gaitpress COMMAND [options]",
            "",
            *lines,
            "",
            "python -m gaitpress COMMAND --help tells more. Devices have a command of their own: python -m remote --help.",
            "The pipeline runs by snakemake --cores 2 all or dvc repro.",
        ]
    )


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name in (None, "-h", "--help"):
        print(overview())
        sys.exit(2 if name is None else 0)
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(COMMANDS)}"
        sys.exit(f"error: no command {name}; {hint}")
    del sys.argv[1]
    command_line.run(importlib.import_module(f"gaitpress.commands.{name.replace('-', '_')}").main)


if __name__ == "__main__":
    main()
