"""What surrounds every stage: whole-or-nothing outputs, paths with names in braces, and errors in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compress.errors import CompressionError
from gait.errors import DataError
from gaitpress import io
from gaitpress.params import ParamsError
from remote.errors import DeviceError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def handler() -> Iterator[None]:
    """Puts the signal handler back that io.run replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def listing(directory: Path) -> dict[str, str | None]:
    """All that is in a directory, hidden things too, with the content of files."""
    return {str(path.relative_to(directory)): path.read_text() if path.is_file() else None for path in directory.rglob("*")}


@pytest.mark.parametrize("name", ["out", "p30.5"])
def test_a_new_directory_appears_whole_and_only_at_the_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / "parents/are/made" / name
    with io.new_directory(path) as partial:
        (partial / "sub").mkdir()
        (partial / "sub/file").write_text("new")
        assert not path.exists()
    assert listing(path) == {"sub": None, "sub/file": "new"}
    assert os.listdir(path.parent) == [name]


def test_a_new_directory_replaces_all_of_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    with io.new_directory(path) as partial:
        (partial / "new").write_text("new")
        assert (path / "old").read_text() == "old"
    assert listing(tmp_path) == {"out": None, "out/new": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("existing", [True, False])
def test_after_a_failure_a_directory_is_as_it_was(tmp_path: Path, error: type[BaseException], existing: bool) -> None:
    path = tmp_path / "out"
    if existing:
        path.mkdir()
        (path / "old").write_text("old")
    before = listing(tmp_path)
    with pytest.raises(error), io.new_directory(path) as partial:
        (partial / "new").write_text("half")
        raise error
    assert listing(tmp_path) == before


def test_when_the_last_step_fails_the_former_directory_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(FileNotFoundError), io.new_directory(path) as partial:
        shutil.rmtree(partial)
    assert listing(tmp_path) == {"out": None, "out/old": "old"}


def test_a_file_in_the_way_of_a_directory_is_told_before_any_work(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("precious")
    with pytest.raises(io.StageError, match="out: is in the way"), io.new_directory(path):
        pytest.fail("the work began")
    assert listing(tmp_path) == {"out": "precious"}


def test_a_linked_directory_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "large-disk/old").write_text("old")
    (tmp_path / "out").symlink_to("large-disk")
    with io.new_directory(tmp_path / "out") as partial:
        (partial / "new").write_text("new")
    assert (tmp_path / "out").is_symlink()
    assert os.listdir(tmp_path / "large-disk") == ["new"]
    assert sorted(os.listdir(tmp_path)) == ["large-disk", "out"]


@pytest.mark.parametrize("name", ["model.onnx", "p30.5-int8.json", "plain"])
def test_a_new_file_keeps_its_suffix_and_appears_only_at_the_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / "parent" / name
    with io.new_file(path) as partial:
        assert partial.name.endswith(path.suffix)  # savers choose a format by it
        assert partial.parent == path.parent
        assert partial.name.startswith(".")
        assert str(os.getpid()) in partial.name
        partial.write_text("new")
        assert not path.exists()
    assert listing(tmp_path) == {"parent": None, f"parent/{name}": "new"}


def test_after_a_failure_a_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"), io.new_file(path) as partial:
        partial.write_text("half")
        raise ValueError("half")
    assert listing(tmp_path) == {"file.json": "old"}


def test_json_is_sorted_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "new/metrics.json"
    io.write_json(path, {"b": 1.5, "a": ["ä", None, True]})
    assert path.read_text(encoding="utf-8").index('"a"') < path.read_text(encoding="utf-8").index('"b"')
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert io.read_json(path) == {"b": 1.5, "a": ["ä", None, True]}


def test_values_that_json_has_not_are_refused_and_leave_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    io.write_json(path, {"a": 1})
    for value in (float("nan"), float("inf"), object()):
        with pytest.raises((ValueError, TypeError)):
            io.write_json(path, {"a": value})
    assert os.listdir(tmp_path) == ["metrics.json"]
    assert io.read_json(path) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"a": }'])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(io.StageError, match=r"index\.json: not valid JSON"):
        io.read_json(path)
    with pytest.raises(io.StageError, match=r"other\.json: no such file; run `dvc repro`"):
        io.read_json(tmp_path / "other.json")


@pytest.mark.parametrize(("text", "value"), [("30", 30), ("0", 0), ("30.5", 30.5), ("1e1", 10.0), ("-5", -5.0)])
def test_numbers_stay_as_they_stand_in_params(text: str, value: float) -> None:
    assert io.number(text) == value
    assert isinstance(io.number(text), type(value))


@pytest.mark.parametrize("text", ["", "thirty", "nan", "inf", "-Infinity", "0x10"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        io.number(text)


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, object]:
    parser = io.parser("A stage.")
    for option in ("--dataset", "--out"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--model")
    parser.add_argument("--percentile", type=io.number)
    monkeypatch.setattr(sys, "argv", ["stage", "--params", str(ROOT / "params.yaml"), *words])
    options, settings = io.parse(parser)
    assert settings.dataset == io.params.load(ROOT / "params.yaml").dataset
    return vars(options)


def test_names_in_braces_stand_for_options_and_the_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = io.params.load(ROOT / "params.yaml").dataset
    options = parsed(
        monkeypatch,
        *("--model", "gaitset", "--percentile", "30"),
        *("--dataset", "data/raw/{dataset}", "--out", "results/{model}/p{percentile}/{model}"),
    )
    assert options["dataset"] == Path(f"data/raw/{chosen}"), "also where --dataset is the folder itself"
    assert options["out"] == Path("results/gaitset/p30/gaitset")
    assert options["model"] == "gaitset"


def test_paths_without_braces_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    options = parsed(monkeypatch, "--out", "a/b{}c/{not a name}")
    assert options["out"] == Path("a/b{}c/{not a name}")
    assert options["dataset"] is None


@pytest.mark.parametrize("name", ["mdel", "model", "out"])
def test_a_name_in_braces_that_nothing_has_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(io.StageError) as told:
        parsed(monkeypatch, "--out", f"results/{{{name}}}")
    assert str(told.value) == f"--out results/{{{name}}}: nothing is called {{{name}}}; known here: {{dataset}}"


@pytest.mark.parametrize("kind", [io.StageError, ParamsError, DataError, CompressionError, DeviceError, OSError])
def test_expected_errors_end_a_stage_with_one_line(handler: None, capsys: pytest.CaptureFixture, kind: type) -> None:
    def main() -> None:
        raise kind("data/x.json: no such file")

    with pytest.raises(SystemExit) as ended:
        io.run(main)
    assert ended.value.code == "error: data/x.json: no such file"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyboardInterrupt(), "error: interrupted; no output was written"), (MemoryError(), "error: out of memory")],
)
def test_interruptions_and_lack_of_memory_are_no_bugs(
    handler: None, capsys: pytest.CaptureFixture, error: BaseException, said: str
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        io.run(main)
    assert ended.value.code == said
    assert capsys.readouterr().err == ""


def test_anything_else_is_reported_as_a_bug_with_its_traceback(handler: None, capsys: pytest.CaptureFixture) -> None:
    def main() -> None:
        json.loads("{}")["x"]

    with pytest.raises(SystemExit) as ended:
        io.run(main)
    assert ended.value.code == "error: a bug in gaitpress (KeyError: 'x'); please report it with the lines above"
    assert "Traceback" in capsys.readouterr().err


def test_a_stage_that_succeeds_ends_quietly(handler: None) -> None:
    assert io.run(lambda: None) is None


def test_a_terminated_stage_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
import stages
from gaitpress import io
def main():
    with io.new_directory(Path(sys.argv[1])) as out:
        (out / "file").write_text("half")
        print("writing", flush=True)
        time.sleep(60)
io.run(main)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as stage:
        assert stage.stdout is not None
        assert stage.stdout.readline() == "writing\n"
        assert len(os.listdir(tmp_path)) == 1
        stage.terminate()
        _, errors = stage.communicate(timeout=20)
    assert stage.returncode == 1
    assert errors == "error: terminated; no output was written\n"
    assert os.listdir(tmp_path) == []


def test_progress_passes_everything_on_and_tells_a_log_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert list(io.progress(iter("abcdef"), 6, "letters")) == list("abcdef")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["letters: 3/6 in 12 s, 12 s left", "letters: 6/6 in 24 s, 0 s left", "letters: 6 done in 28.0 s"]


def test_a_stage_that_dvc_runs_notes_how_long_it_took(tmp_path: Path) -> None:
    def run(work: str, **variables: str) -> None:
        program = f"import sys, time\nimport stages\nfrom gaitpress import io\nio.run(lambda: {work})"
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), **variables}
        )

    run("None")
    assert not (tmp_path / io.DURATIONS).exists()
    run("time.sleep(0.2)", DVC_STAGE="train@gaitset")
    run("sys.exit('error: failed')", DVC_STAGE="train@cnn2d")
    ((name, seconds),) = [line.split(",") for line in (tmp_path / io.DURATIONS).read_text().splitlines()]
    assert name == "train@gaitset"
    assert 0.2 <= float(seconds) < 5


@pytest.fixture
def of_dvc(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a stage as DVC does, with inputs, a module and parameters; its main does what it is told."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    declared = {"cmd": "-", "deps": ["data", "code.py"], "params": ["export"], "outs": ["out"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"made": declared}}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/large").write_bytes(bytes(2 << 20))
    (tmp_path / "code.py").write_text("")

    def run(work: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = f"""
import os, re, sys
from pathlib import Path
import stages
from gaitpress import io
def edit(name, pattern, text):
    Path(name).write_text(re.sub(pattern, text, Path(name).read_text(), count=1))
def write(text):
    with io.new_directory(Path("out")) as out:
        (out / "file").write_text(text)
def main():
    io.parse(io.parser("A stage."))
{textwrap.indent(work, "    ")}
io.run(main)
"""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_STAGE": "made", **variables}
        return subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True)

    return run


OPSET = 'edit("params.yaml", r"opset: \\d+", "opset: 16")'


@pytest.mark.parametrize("work", [f"write('x'); {OPSET}", f"{OPSET}; write('x')"], ids=["once in place", "before"])
def test_what_was_finished_before_an_edit_is_taken_up_when_the_edit_is_taken_back(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, work: str
) -> None:
    before = (tmp_path / "params.yaml").read_text()
    done = of_dvc(work)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: export.opset (13 at its start, 16 now): edited while made ran")
    assert not (tmp_path / "out").exists()
    done = of_dvc("write('y')")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/file").read_text() == "y"
    (tmp_path / "params.yaml").write_text(before)
    done = of_dvc("raise AssertionError('made anew')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out: taken up as it was finished before\n", "")
    assert (tmp_path / "out/file").read_text() == "x"
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("work", "told"),
    [
        ("Path('code.py').write_text('1')", "code.py: edited while"),
        ("Path('data/more').write_text('1')", "data/more (added): edited while"),
        ("Path('data/large').unlink()", "data/large (removed): edited while"),
        ("os.utime('data/large', (1, 1))", "data/large: edited while"),
        ("Path('params.yaml').write_text('{')", "params.yaml"),
    ],
)
def test_any_edit_of_what_dvc_hashes_is_told(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, work: str, told: str
) -> None:
    done = of_dvc(f"{work}\nwrite('x')")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told}")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_a_stage_does_not_read_or_is_the_same_may_be_written(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    work = "edit('params.yaml', 'seed: 1', 'seed: 2'); Path('code.py').write_text(''); Path('other.py').write_text('1')"
    assert of_dvc(f"{work}; write('x')").returncode == 0
    assert (tmp_path / "out/file").read_text() == "x"


def test_a_stage_that_began_with_something_else_than_dvc_saw_ends_at_once(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = of_dvc("raise AssertionError('went on')", GAITPRESS_STARTED_FROM="something else")
    assert done.returncode == 1
    assert "edited as made began; nothing was made yet. Run the same again" in done.stderr
    assert "Traceback" not in done.stderr
