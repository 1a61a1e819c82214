from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote import facts
from remote.errors import DeviceError

VALUES = st.one_of(st.none(), st.text(max_size=8), st.integers(), st.lists(st.text(max_size=4), max_size=3))
FACTS = st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=5)


@given(FACTS)
def test_written_facts_are_read_back(tmp_path_factory: pytest.TempPathFactory, recorded: dict) -> None:
    path = tmp_path_factory.mktemp("facts") / "deep" / "nano.json"
    facts.write(path, recorded)
    assert facts.read(path, "nano") == recorded
    assert [entry.name for entry in path.parent.iterdir()] == ["nano.json"]


@given(FACTS, FACTS)
def test_a_device_is_refused_only_if_a_fact_differs(recorded: dict, now: dict) -> None:
    same = all(recorded.get(key) == now.get(key) for key in {*recorded, *now})
    assert bool(facts.differences(recorded, now)) != same
    if same:
        facts.check("nano", recorded, now)
    else:
        with pytest.raises(DeviceError, match="python -m remote probe nano"):
            facts.check("nano", recorded, now)


def test_the_refusal_names_what_changed() -> None:
    with pytest.raises(DeviceError, match=r"device nano: its facts no longer hold \(runtime_version: 1 -> 2\)"):
        facts.check("nano", {"runtime_version": "1", "cores": 4}, {"runtime_version": "2", "cores": 4})


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file"), ("{", "not valid JSON"), ("[]", "must be a mapping")]
)
def test_a_missing_or_damaged_file_is_named_with_the_remedy(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "nano.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DeviceError, match=f"{reason}.*dvc repro -f -s probe@nano"):
        facts.read(path, "nano")
