"""Take a recipe: a complete params.yaml with the published settings of a dataset.

    python -m gaitpress recipe                   what there is
    python -m gaitpress recipe casia-b           show what would change, keep the present file beside it, take the recipe
    python -m gaitpress recipe casia-b --show    show what would change and what would run, and change nothing

The present params.yaml is kept as params.before-casia-b.yaml (or -2, -3 ...); nothing is ever overwritten.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path

from gaitpress import io, params
from remote import inventory

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def available() -> dict[str, Path]:
    """All recipes by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}


def difference(present: Path, recipe: Path) -> Iterator[str]:
    """The lines that the recipe changes, as a unified diff; none if it is what is there already."""
    before = present.read_text(encoding="utf-8").splitlines() if present.exists() else []
    after = recipe.read_text(encoding="utf-8").splitlines()
    return difflib.unified_diff(before, after, str(present), f"{present} by recipe {recipe.stem}", n=1, lineterm="")


def plan(settings: params.Params, known: Collection[str]) -> Iterator[str]:
    """What a recipe computes, and what is to be done before, a line each.

    Args:
        settings: the recipe.
        known: the names of the devices that remote/devices.yaml has.
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
        if device not in known:
            yield f"device {device} is not known yet: python -m remote add {device} ssh://you@host --runtime tensorrt"


def take(present: Path, recipe: Path) -> Path | None:
    """Put the recipe in the place of ``present``.

    Returns:
        Where the former file is kept, if there was one.
    """
    kept = _keep(present, recipe.stem) if present.exists() else None
    with io.new_file(present) as partial:
        partial.write_bytes(recipe.read_bytes())
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
    parser = io.parser(__doc__, command="recipe")
    parser.add_argument("name", nargs="?", help="a recipe; all are listed without it")
    parser.add_argument("--show", action="store_true", help="change nothing")
    options = parser.parse_args()
    known = available()
    if options.name is None:
        for name, path in known.items():
            print(f"{name:14} {path.read_text(encoding='utf-8').splitlines()[0].removeprefix('# ')}")
        return
    if options.name not in known:
        close = difflib.get_close_matches(options.name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
        raise io.StageError(f"no recipe {options.name}; {hint}")
    recipe = known[options.name]
    changes = list(difference(options.params, recipe))
    if not changes:
        print(f"{options.params} is the recipe {options.name} already")
        return
    print("\n".join(changes))
    if options.show:
        print("\n" + "\n".join(plan(params.load(recipe), inventory.load(Path("remote/devices.yaml")))))
        return
    kept = take(options.params, recipe)
    settings = params.load(options.params)
    print(f"\n{options.params} is now the recipe {options.name}" + (f"; the former one is {kept}" if kept else ""))
    for line in plan(settings, inventory.load(Path("remote/devices.yaml"))):
        print(line, file=sys.stderr)
