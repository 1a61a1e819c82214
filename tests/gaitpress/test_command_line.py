"""The command line: paths with names in braces, numbers, and errors in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compress.errors import CompressionError
from gait.errors import DataError
from gaitpress import command_line, params
from gaitpress.errors import StageError
from gaitpress.params import ParamsError
from remote.errors import DeviceError

ROOT = Path(__file__).parents[2]


def test_a_terminal_without_a_character_gets_its_number() -> None:
    code = "from gaitpress import command_line; command_line.run(lambda: print('2\u00d7 f\u00fcr'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "latin-1:strict"}, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, "2\u00d7 f\u00fcr\n".encode("latin-1")), done.stderr
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=ascii_only, capture_output=True)
    assert (done.returncode, done.stdout) == (0, rb"2\xd7 f\xfcr" + b"\n"), done.stderr


@pytest.fixture
def handler() -> Iterator[None]:
    """Puts the signal handler back that command_line.run replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("text", "value"), [("30", 30), ("0", 0), ("30.5", 30.5), ("1e1", 10.0), ("-5", -5.0)])
def test_numbers_stay_as_they_stand_in_params(text: str, value: float) -> None:
    assert command_line.number(text) == value
    assert isinstance(command_line.number(text), type(value))


@pytest.mark.parametrize("text", ["", "thirty", "nan", "inf", "-Infinity", "0x10"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        command_line.number(text)


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, object]:
    parser = command_line.parser("A stage.")
    for option in ("--dataset", "--out"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--model")
    parser.add_argument("--percentile", type=command_line.number)
    monkeypatch.setattr(sys, "argv", ["stage", "--params", str(ROOT / "params.yaml"), *words])
    options, settings = command_line.parse(parser)
    assert settings.dataset == params.load(ROOT / "params.yaml").dataset
    return vars(options)


def test_names_in_braces_stand_for_options_and_the_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = params.load(ROOT / "params.yaml").dataset
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
def test_a_name_in_braces_that_nothing_has_is_reported(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(StageError) as raised:
        parsed(monkeypatch, "--out", f"results/{{{name}}}")
    assert str(raised.value) == f"--out results/{{{name}}}: nothing is called {{{name}}}; known here: {{dataset}}"


@pytest.mark.parametrize("kind", [StageError, ParamsError, DataError, CompressionError, DeviceError, OSError])
def test_expected_errors_end_a_stage_with_one_line(handler: None, capsys: pytest.CaptureFixture, kind: type) -> None:
    def main() -> None:
        raise kind("data/x.json: no such file")

    with pytest.raises(SystemExit) as ended:
        command_line.run(main)
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
        command_line.run(main)
    assert ended.value.code == said
    assert capsys.readouterr().err == ""


def test_anything_else_is_reported_as_a_bug_with_its_traceback(handler: None, capsys: pytest.CaptureFixture) -> None:
    def main() -> None:
        json.loads("{}")["x"]

    with pytest.raises(SystemExit) as ended:
        command_line.run(main)
    assert ended.value.code == "error: a bug in gaitpress (KeyError: 'x'); please report it with the lines above"
    assert "Traceback" in capsys.readouterr().err


def test_a_stage_that_succeeds_ends_quietly(handler: None) -> None:
    assert command_line.run(lambda: None) is None


def test_a_stage_that_dvc_runs_notes_how_long_it_took(tmp_path: Path) -> None:
    def run(work: str, **variables: str) -> None:
        program = f"import sys, time\nimport stages\nfrom gaitpress import command_line\ncommand_line.run(lambda: {work})"
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), **variables}
        )

    run("None")
    assert not (tmp_path / command_line.DURATIONS).exists()
    run("time.sleep(0.2)", DVC_STAGE="train@gaitset")
    run("sys.exit('error: failed')", DVC_STAGE="train@cnn2d")
    ((name, seconds),) = [line.split(",") for line in (tmp_path / command_line.DURATIONS).read_text().splitlines()]
    assert name == "train@gaitset"
    assert 0.2 <= float(seconds) < 5


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_has_enough_is_no_error(lines: int) -> None:
    """Such as `head`: few lines are written when the program ends, many before."""
    program = f"from gaitpress import command_line\ncommand_line.run(lambda: print('line\\n' * {lines}, end=''))"
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, text=True)
    os.close(reading)
    os.close(writing)
    assert process.communicate() == (None, "")
    assert process.returncode == 1


def test_a_connection_that_ends_is_an_error_all_the_same() -> None:
    program = "from gaitpress import command_line\ndef main(): raise BrokenPipeError('gone')\ncommand_line.run(main)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, text=True)
    assert (done.stderr, done.returncode) == ("error: gone\n", 1)


@pytest.mark.parametrize(
    ("work", "printed", "status"), [("print('line')", "", 0), ("raise BrokenPipeError('gone')", "error: gone\n", 1)]
)
def test_a_closed_stdout_is_no_error(work: str, printed: str, status: int) -> None:
    program = f"from gaitpress import command_line\ndef main(): {work}\ncommand_line.run(main)"
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, program], capture_output=True, cwd=ROOT, text=True
    )
    assert (done.stderr, done.returncode) == (printed, status)
