"""Find recipes, and make whole params files of them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from gaitpress.params import Params, ParamsError, check, parse
from gaitpress.recipes import commented

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
DEMO = "demo"  # params.yaml as it is delivered


def available() -> dict[str, Path]:
    """The recipes of this repository by name, the demo first."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"), key=lambda path: (path.stem != DEMO, path.stem))}


def published() -> list[str]:
    """The names of the recipes that hold published settings: all but the demo."""
    return [name for name in available() if name != DEMO]


def path_of(recipe: str) -> Path:
    """Where a recipe is.

    Args:
        recipe: the name of one of this repository, or the path of any.

    Raises:
        ParamsError: there is none of this name.
    """
    known = available()
    if recipe in known:
        return known[recipe]
    if Path(recipe).suffix in (".yaml", ".yml"):
        return Path(recipe)
    close = difflib.get_close_matches(recipe, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}, and the path of your own"
    raise ParamsError(f"no recipe {recipe}; {hint}")


def load(recipe: str) -> Params:
    """Read and check a recipe.

    Args:
        recipe: its name or its path.

    Raises:
        ParamsError: as :func:`whole`.
    """
    return check(parse(whole(recipe), path_of(recipe)), path_of(recipe))


def whole(recipe: str) -> str:
    """The text of the params.yaml that a recipe makes.

    Args:
        recipe: its name or its path.

    Raises:
        ParamsError: the recipe is not there, is not valid YAML, starts from no recipe though it lacks sections, or removes a
            key that is not there. Whether its values are right, the result is to be checked for.
    """
    path = path_of(recipe)
    text = _read(path)
    data = parse(text, path)
    if "from" not in data:
        lacking = [name for name, field in Params.model_fields.items() if field.is_required() and name not in data]
        if lacking:
            raise ParamsError(
                f"{path}: must start from another recipe, such as `from: {DEMO}`, or have {', '.join(lacking)}"
            )
        return text
    document = _document(path, ())
    made = f"# Taken by `python -m gaitpress recipe {recipe}`."
    document.head = [*commented.parse(text).head, made]
    return document.text()


def _document(path: Path, started: tuple[Path, ...]) -> commented.Document:
    """A recipe merged into those that it starts from; its heading is not that of the result.

    Args:
        path: of the recipe.
        started: the recipes that start from this one.
    """
    if path in started:
        raise ParamsError(f"{path}: from: the recipe starts from itself")
    text = _read(path)
    data, own = parse(text, path), commented.parse(text)
    if "from" not in data:
        return own
    base = str(data["from"])
    if base not in available():
        raise ParamsError(f"{path}: from = {base}: must be one of {', '.join(available())}")
    document = _document(path_of(base), (*started, path))
    for key in _removed(data, path):
        if not commented.remove(document.entries, key):
            close = difflib.get_close_matches(key, list(commented.keys(document.entries)), 1)
            hint = f"did you mean {close[0]}?" if close else f"`python -m gaitpress recipe {base} --show` prints all of them"
            raise ParamsError(f"{path}: without = {key}: the recipe {base} has no such key; {hint}")
    for key in ("from", "without"):
        own.entries.pop(key, None)
    commented.merge(document.entries, own.entries)
    document.tail += own.tail
    return document


def _removed(data: dict[str, Any], path: Path) -> list[str]:
    keys = data.get("without", [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ParamsError(f"{path}: without: must be a list of keys, such as [datasets.walkers, model.gaitgl]")
    return keys


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not valid UTF-8: {error}") from None
