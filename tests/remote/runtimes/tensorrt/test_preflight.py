"""TensorRT's parser, which checks a network before it is sent, and the simulator's rules in its place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from onnx import TensorProto

from remote.runtimes.tensorrt import check
from remote.runtimes.tensorrt.trtexec import preflight
from simulator import engine, refusals
from simulator.boards import KINDS
from tests.remote.runtimes.tensorrt.test_trtexec_command import quantized
from tests.support.families import some
from tests.support.onnx_files import linear
from tests.support.played import Start, build, play
from tests.support.refused import REFUSED, write

installed = pytest.mark.skipif(
    preflight.available() is None, reason="TensorRT's parser is not installed (make tensorrt-check)"
)
MADE_ON_PURPOSE = ["an INT32 bias", "unsigned zero points", "an unknown operator"]


@installed
@pytest.mark.parametrize("what", REFUSED)
def test_tensorrts_own_parser_refuses_the_network_with_a_reason(what: str, tmp_path: Path) -> None:
    assert REFUSED[what][2] in preflight.ask(write(what, tmp_path / "m.onnx"))["refusal"]


@pytest.mark.parametrize("what", REFUSED)
def test_the_rules_refuse_the_networks_that_the_parser_refuses_for_the_same_reason(what: str, tmp_path: Path) -> None:
    assert REFUSED[what][2] in (refusals.by_rules(write(what, tmp_path / "m.onnx")) or "")


def test_the_rules_accept_the_networks_that_the_parser_accepts(tmp_path: Path) -> None:
    for file in (linear(tmp_path / "m.onnx"), quantized(tmp_path / "q.onnx", TensorProto.INT8)):
        assert refusals.by_rules(file) is None


@installed
def test_an_accepted_network_has_its_layers_and_its_size(tmp_path: Path) -> None:
    ranges = {"x": [[1, 4], [2, 4], [8, 4]]}
    answer = preflight.ask(linear(tmp_path / "m.onnx"), compiled=True, ranges=ranges)
    assert (answer["refusal"], answer["layers"], answer["computing"]) == (None, 2, 1)
    assert answer["bytes"] > 1000


@installed
@pytest.mark.parametrize("what", some(MADE_ON_PURPOSE, *list(MADE_ON_PURPOSE)[:1]))
def test_a_refused_network_is_not_sent_and_the_record_has_tensorrts_words(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, "xavier-nx")
    file, out = write(what, tmp_path / "m.onnx"), tmp_path / "engine"
    out.mkdir()
    precision = "fp32" if what == "an unknown operator" else "int8"
    described = start().build(file, out, precision, 1)
    words = preflight.ask(file)["refusal"]
    assert (described["status"], described["reason"]) == ("failed", f"TensorRT's parser refuses the network: {words}")
    assert set(board.calls) == {"trtexec --help"}
    # The simulator says the same of a network that reaches it.
    with pytest.raises(engine.Refused) as raised:
        engine.build(KINDS["xavier-nx"], file, precision, None, {})
    assert str(raised.value) == f"[TRT] ModelImporter.cpp:779: {words}"


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_that_tensorrt_refuses_passes_in_the_simulator(what: str, tmp_path: Path) -> None:
    with pytest.raises(engine.Refused):
        engine.build(KINDS["xavier-nx"], write(what, tmp_path / "m.onnx"), "fp32", None, {})


@installed
def test_build_json_has_the_parsers_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    play(tmp_path, monkeypatch, "orin-nano")
    assert build(start(), tmp_path)[0]["preflight"].startswith("accepted by the parser of TensorRT for RTX")


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the parser's place, with packages that look like those that the parser needs."""
    for name in (preflight.LIBRARIES, preflight.BINDINGS):
        (tmp_path / f"site/{name}").mkdir(parents=True)
        (tmp_path / f"site/{name}/__init__.py").touch()
    about = tmp_path / "site/tensorrt_rtx_cu12_bindings-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: {preflight.DISTRIBUTION}\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    program = tmp_path / "parser.py"
    monkeypatch.setattr(preflight, "PARSER", program)
    return program


@pytest.mark.parametrize(
    ("program", "reason"),
    [("import os; os.abort()", "broke: status -6"), ("import time; time.sleep(60)", "ended after 2 s")],
)
def test_a_parser_that_crashes_or_hangs_refuses_nothing(
    program: str, reason: str, parser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    parser.write_text(program)
    begun = time.monotonic()
    with pytest.raises(preflight.NoAnswer, match=reason):
        preflight.ask(linear(tmp_path / "m.onnx"), longest_s=2)
    assert time.monotonic() - begun < 30
    if "abort" in program:
        play(tmp_path, monkeypatch, "orin-nano")
        monkeypatch.setattr(preflight, "available", lambda: "1.2")
        described = build(start(), tmp_path)[0]
        assert (described["status"], described["reason"]) == ("ok", None)
        assert "not asked: TensorRT's parser broke" in described["preflight"]


def test_a_check_says_whether_the_parser_is_here(parser: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert preflight.available() == "1.2"
    finding = check.preflight_finding()
    assert (finding.verdict, "(1.2)" in finding.text) == ("ok", True)
    monkeypatch.setattr(preflight, "BINDINGS", "no_such_package")
    assert preflight.available() is None
    assert "make tensorrt-check" in check.preflight_finding().text
