"""Comments stay with their keys when YAML files are merged, and the result has the form of params.yaml."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from gaitpress.recipes import commented
from tests.support.toy import ROOT

BASE = """\
# The base.
# In two lines.

# ---- Axes ----
models: [a, b]                      # what is computed

prune:
  round_to: 4                       # a multiple
  # Of each layer.
  keep: {least: 4, most: 1e3}
  spare: ["1", '2']

# ---- Models ----
model:
  a:                                # the first
    lr: 0.10
    loss: [{name: triplet}]
  b: {lr: null}
"""


def merged(changes: str, base: str = BASE) -> str:
    document = commented.parse(base)
    commented.merge(document.entries, commented.parse(changes).entries)
    return document.text()


def test_a_file_in_the_form_of_params_yaml_is_written_as_it_is_read() -> None:
    for text in (BASE, (ROOT / "params.yaml").read_text(encoding="utf-8")):
        assert commented.parse(text).text() == text


def test_only_the_lines_of_changed_keys_change() -> None:
    after = merged("prune: {round_to: 8}\nmodel:\n  a:\n    lr: 5e-4\n")
    assert after == BASE.replace("round_to: 4", "round_to: 8").replace("lr: 0.10", "lr: 5e-4")


def test_sections_are_merged_and_lists_replaced_as_a_whole() -> None:
    after = merged("models: [c]\nprune:\n  keep: {most: 2}\nmodel:\n  a:\n    loss: []\n")
    data = YAML(typ="safe", pure=True).load(after)
    assert data["models"] == ["c"]
    assert data["prune"] == {"round_to": 4, "keep": {"least": 4, "most": 2}, "spare": ["1", "2"]}
    assert data["model"] == {"a": {"lr": 0.1, "loss": []}, "b": {"lr": None}}


def test_null_is_a_value() -> None:
    assert YAML(typ="safe", pure=True).load(merged("prune: null\nmodel:\n  a:\n"))["model"]["a"] is None
    assert YAML(typ="safe", pure=True).load(merged("prune: null"))["prune"] is None


def test_a_comment_beside_a_key_replaces_the_former_and_one_above_follows_it() -> None:
    after = merged("prune:\n  round_to: 8  # as boards are\n  # And more.\n  keep: {}\n")
    assert "  round_to: 8                       # as boards are\n" in after
    assert "  # Of each layer.\n  # And more.\n  keep: {least: 4, most: 1e3}\n" in after


def test_a_comment_stands_two_spaces_after_a_long_line() -> None:
    assert "models: [a, b, c, d, e, f, g, h, i, j, k]  # what is computed\n" in merged(
        "models: [a, b, c, d, e, f, g, h, i, j, k]"
    )


def test_a_new_key_follows_the_one_that_it_follows_among_the_changes() -> None:
    after = merged("prune:\n  first: 1\n  round_to: 8\n  second: 2\nmodel:\n  b: {lr: 1, decay: 2}\n  c: {lr: 3}\n")
    assert list(YAML(typ="safe", pure=True).load(after)["prune"]) == ["first", "round_to", "second", "keep", "spare"]
    assert after.endswith("  b: {lr: 1, decay: 2}\n  c: {lr: 3}\n")


def test_a_section_is_written_in_lines_if_either_file_has_it_so() -> None:
    after = merged("model:\n  b:\n    # The second.\n    lr: 1  # as published\n")
    assert after.endswith("  b:\n    # The second.\n    lr: 1                           # as published\n")


@pytest.mark.parametrize("path", ["model.a", "prune.keep.most", "models", "model"])
def test_a_key_is_removed_with_its_comments(path: str) -> None:
    document = commented.parse(BASE)
    assert path in commented.keys(document.entries)
    assert commented.remove(document.entries, path)
    assert path not in commented.keys(document.entries)
    assert ("# the first" in document.text()) == (not path.startswith("model") or path == "models")
    assert not commented.remove(document.entries, path)


def test_a_key_that_has_dots_is_removed() -> None:
    document = commented.parse("data:\n  a.b: {c: 1, d: 2}\n  a: {b: 3}\n")
    assert commented.remove(document.entries, "data.a.b.c")
    assert document.text() == "data:\n  a.b: {d: 2}\n  a: {b: 3}\n"
    assert commented.remove(document.entries, "data.a.b")


def test_an_emptied_section_stays_a_section() -> None:
    document = commented.parse("a:\n  b: 1\n")
    assert commented.remove(document.entries, "a.b")
    assert document.text() == "a: {}\n"


FREE = """\
---
models:   # chosen
  - a  # one
  - "b, c"
  # and
  - d # e
prune: {keep: 1,   # least
        round_to: [1,
          2]}
path: a, b [c] # no list
text: |
  # no comment
  line
quoted: 'it''s # no comment'
anchor: &same {x: 1}
alias: *same
empty:
# the end
"""


def test_any_yaml_keeps_its_values_and_comments_and_takes_the_form() -> None:
    after = commented.parse(FREE).text()
    reader = YAML(typ="safe", pure=True)
    assert reader.load(after) == reader.load(FREE)
    for comment in ("# chosen", "# one", "# and", "# e\n", "# least", "# no list", "# the end"):
        assert comment in after
    assert 'models: [a, "b, c", d]' in after
    assert "prune: {keep: 1, round_to: [1, 2]}" in after
    assert commented.parse(after).text() == after
