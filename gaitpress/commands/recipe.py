"""Take a recipe: the published settings of a dataset or a study, as a whole params.yaml.

    python -m gaitpress recipe                   list the recipes
    python -m gaitpress recipe casia-b           show what changes, keep the present file beside it, take the recipe
    python -m gaitpress recipe casia-b --show    print the whole file, what it changes and what it computes; change nothing
    python -m gaitpress recipe my/site.yaml      a recipe of your own; docs/recipes.md says how to write one
    python -m gaitpress recipe demo              back to params.yaml as it is delivered

The command keeps the present params.yaml as params.before-casia-b.yaml (or -2, -3 ...); it never overwrites a file.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path

from gaitpress import command_line, outputs, params, recipes
from remote import inventory


def difference(present: Path, whole: str, name: str) -> Iterator[str]:
    """The lines that a recipe changes, as a unified diff; none if the file is that recipe already.

    Args:
        present: the present params file.
        whole: the text of the params file that the recipe makes.
        name: the recipe's name.
    """
    before = present.read_text(encoding="utf-8").splitlines() if present.exists() else []
    return difflib.unified_diff(before, whole.splitlines(), str(present), f"{present} by recipe {name}", n=1, lineterm="")


def plan(settings: params.Params, known_devices: Collection[str]) -> Iterator[str]:
    """Lines that say what a recipe computes, and what the user has to do before.

    Args:
        settings: the recipe.
        known_devices: the names of the devices that remote/devices.yaml has.
    """
    models, percentiles, precisions = settings.models, settings.prune.percentiles, settings.precisions
    networks = len(models) * len(percentiles)
    files, devices = networks * len(precisions), len(settings.devices)
    yield f"trainings        {len(models):4}  {', '.join(models)}"
    cut = ", ".join(f"{percentile:g}" for percentile in percentiles)
    yield f"networks         {networks:4}  each at {cut} %, fine-tuned"
    yield f"precisions       {files:4}  each in {', '.join(precisions)}"
    yield f"engines          {files * devices:4}  each on {', '.join(settings.devices)}: built, timed and tested there"
    where = getattr(settings.datasets[settings.dataset], "path", "")
    if where and not Path(where).is_dir():
        yield f"{where}: no such folder yet; put the dataset there or set datasets.{settings.dataset}.path"
    for device in settings.devices:
        if device not in known_devices:
            yield f"device {device} is not known yet: python -m remote add {device} ssh://you@host --runtime tensorrt"


def take(present: Path, whole: str, name: str) -> Path | None:
    """Put the recipe's params file in the place of ``present``; arguments as of :func:`difference`.

    Returns:
        The path of the former file's copy; None if there was no file.
    """
    kept = _keep(present, Path(name).stem) if present.exists() else None
    with outputs.new_file(present) as partial:
        partial.write_text(whole, encoding="utf-8")
    return kept


def _keep(present: Path, name: str) -> Path:
    for number in count(1):
        suffix = "" if number == 1 else f"-{number}"
        kept = present.with_name(f"{present.stem}.before-{name}{suffix}{present.suffix}")
        try:
            with kept.open("xb") as file:  # never over another file
                file.write(present.read_bytes())
        except FileExistsError:
            continue
        return kept
    raise AssertionError("numbers end")


def main() -> None:
    parser = command_line.parser(__doc__, command="recipe")
    parser.add_argument("name", nargs="?", help="a recipe, or the path of one of your own; all are listed without it")
    parser.add_argument("--show", action="store_true", help="print the whole file and the plan, and change nothing")
    options = parser.parse_args()
    if options.name is None:
        for name, path in recipes.available().items():
            print(f"{name:14} {path.read_text(encoding='utf-8').splitlines()[0].removeprefix('# ')}")
        return
    whole, settings = recipes.whole(options.name), recipes.load(options.name)
    changes = list(difference(options.params, whole, options.name))
    computed = list(plan(settings, inventory.load(Path("remote/devices.yaml"))))
    already = f"{options.params} is the recipe {options.name} already"
    if options.show:
        print(whole)
        print("\n".join([f"==== What it changes in {options.params}", *(changes or [already])]))
        print("\n".join(["", "==== What it computes", *computed]))
        return
    if not changes:
        print(already)
        return
    print("\n".join(changes))
    kept = take(options.params, whole, options.name)
    print(f"\n{options.params} is now the recipe {options.name}" + (f"; the former one is {kept}" if kept else ""))
    print("\n".join(computed), file=sys.stderr)
