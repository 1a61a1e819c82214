"""dvc.lock with one entry replaced is the file that DVC writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workflow.dvc.lock_file import entry_of, record, with_aliases, with_entries
from workflow.dvc.private import serialize

dumps_yaml, loads_yaml = serialize.dumps_yaml, serialize.loads_yaml

LONG = "python -m stages.train --model gaitset --partition data/partition/{model}.json --out results/train/{model} and more"
NAMES = st.sampled_from(["train@gaitset", "train@gaitset-0", "t", "build@local-x-0.5-fp32", "build@my board-x", "yes", "12"])
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_categories=["Cc"]), max_size=120)
SCALARS = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), TEXT)
ENTRIES = st.fixed_dictionaries(
    {"cmd": st.one_of(st.just(LONG), TEXT)},
    optional={
        "deps": st.lists(st.fixed_dictionaries({"path": TEXT, "size": st.integers()}), max_size=3),
        "params": st.dictionaries(TEXT, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3)), max_size=3),
    },
)

# Files that several stages read, and texts of several lines that look like the start of one.
FILES = st.fixed_dictionaries(
    {"path": st.one_of(st.sampled_from(["a.py", "b", "- path: c"]), TEXT), "size": st.integers(0, 1)}
)
LINES = st.sampled_from(
    ["one\n    - path: a.py\n      size: 1\n", "\n    - path: b\n      c", "    - path: d\n      e: 1\n" * 9]
)
SHARING = st.fixed_dictionaries(
    {
        "cmd": st.one_of(st.just(LONG), LINES),
        "deps": st.lists(FILES, min_size=1, max_size=4),
        "outs": st.lists(FILES, max_size=2),
    },
    optional={
        "params": st.fixed_dictionaries({"params.yaml": st.dictionaries(TEXT, st.one_of(SCALARS, LINES), max_size=2)})
    },
)


def by_dvc(text: str, name: str, entry: Any, folder: Path) -> str:
    """What DVC makes of a dvc.lock."""
    file = folder / "by-dvc.lock"
    file.write_text(text, encoding="utf-8")
    with serialize.modify_yaml(file) as content:
        content["stages"].update({name: entry})
    return file.read_text(encoding="utf-8")


def written(entries: dict[str, Any]) -> str:
    return dumps_yaml({"schema": "2.0", "stages": entries})


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=4), NAMES, ENTRIES)
def test_the_file_is_the_one_that_dvc_writes(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], name: str, entry: dict[str, Any]
) -> None:
    text = written(before)
    assume(dumps_yaml(serialize.parse_yaml_for_update(text, "dvc.lock")) == text)  # DVC itself loses some odd texts
    changed = with_entries(text, [dumps_yaml({"stages": {name: entry}})])
    # None is the answer to what is not plain; then DVC writes the file.
    assert changed is None or changed == by_dvc(text, name, entry, tmp_path_factory.getbasetemp())
    alone = entry_of(text, dumps_yaml({"stages": {name: None}}).split("\n")[1])
    assert alone is None or loads_yaml(alone).get("stages", {}) == {key: before[key] for key in before if key == name}


def test_entries_as_stages_have_them_are_replaced_and_added_in_place() -> None:
    entries = {f"{name}@gaitset-{number}": {"cmd": LONG, "outs": [{"path": "a", "md5": "b.dir", "nfiles": 3}],
                                            "params": {"params.yaml": {"model.gaitset": {"lr": 1e-3, "loss": [{"a": 1}]}}}}
               for name in ("train", "prune") for number in (0, 30)}  # fmt: skip
    text = written(entries)
    for name in ("train@gaitset-0", "train@gaitset-30", "prune@gaitset-30", "export@gaitset-0"):
        changed = {**entries, name: {"cmd": "another"}}
        assert with_entries(text, [dumps_yaml({"stages": {name: {"cmd": "another"}}})]) == written(changed)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, SHARING, min_size=1, max_size=3), st.lists(st.tuples(NAMES, SHARING), max_size=5))
def test_many_entries_at_once_are_as_one_after_the_other(before: dict[str, Any], fresh: list[tuple[str, Any]]) -> None:
    text = written(before)
    dumped = [dumps_yaml({"stages": {name: entry}}) for name, entry in fresh]
    one_by_one: str | None = text
    for entry in dumped:
        one_by_one = one_by_one and with_entries(one_by_one, [entry])
    assert with_entries(text, dumped) == one_by_one


def test_a_first_lock_is_written_without_dvc(tmp_path: Path) -> None:
    entries = {f"train@{number}": {"cmd": LONG} for number in range(3)}
    assert record(tmp_path / "dvc.lock", [dumps_yaml({"stages": {name: entry}}) for name, entry in entries.items()])
    assert (tmp_path / "dvc.lock").read_text() == written(entries)
    (tmp_path / "dvc.lock").write_text("")  # such as a full disk leaves
    assert record(tmp_path / "dvc.lock", [dumps_yaml({"stages": {"a": {"cmd": "x"}}})]) is None


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, SHARING, min_size=1, max_size=4))
def test_names_for_what_is_repeated_change_nothing(entries: dict[str, Any]) -> None:
    text = written(entries)
    assert loads_yaml(with_aliases(text)) == loads_yaml(text)


def test_a_module_that_many_stages_read_is_parsed_once() -> None:
    deps = [{"path": f"gait/{name}.py", "hash": "md5", "md5": "0" * 32, "size": 9} for name in ("a", "b", "c")]
    text = written({f"train@{number}": {"cmd": LONG, "deps": deps} for number in range(50)})
    named = with_aliases(text)
    assert named.count("path: ") == 3
    assert loads_yaml(named) == loads_yaml(text)
    assert with_aliases("# mine\n" + text) == "# mine\n" + text


@pytest.mark.parametrize(
    ("text", "fresh"),
    [
        ("", "stages:\n  a:\n    cmd: x\n"),
        ("schema: '2.0'\ndatasets: []\nstages:\n  a:\n    cmd: x\n", "stages:\n  a:\n    cmd: y\n"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\ndatasets: []\n", "stages:\n  a:\n    cmd: y\n"),
        ("schema: '2.0'\nstages:\n  # mine\n  a:\n    cmd: x\n", "stages:\n  a:\n    cmd: y\n"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n\n", "stages:\n  a:\n    cmd: y\n"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x", "stages:\n  a:\n    cmd: y\n"),
        ("schema: '2.0'\nstages:\n<<<<<<< HEAD\n  a:\n    cmd: x\n", "stages:\n  a:\n    cmd: y\n"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n", "stages:\n  a:\n    p: &id001 [1]\n    q: *id001\n"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n", "stages: {}\n"),
    ],
)
def test_what_is_not_as_dvc_writes_it_is_left_to_dvc(text: str, fresh: str) -> None:
    assert with_entries(text, [fresh]) is None
