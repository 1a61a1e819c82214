"""Other frameworks' pickles: arrays of numpy are read, all else is refused, and no code in a file runs."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gait.data.readers import open_dataset, pickled_arrays, pickles
from gait.data.readers.pickled_arrays import Refused
from gait.errors import DataError
from tests.gait.readers import trees

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 8, 6), np.uint8)
ARRANGED = {
    "rows first": FRAMES,
    "columns first": np.asfortranarray(FRAMES),
    "axes exchanged": np.ascontiguousarray(FRAMES.transpose(1, 0, 2)).transpose(1, 0, 2),
    "a part": np.repeat(FRAMES, 2, axis=1)[:, ::2],
    "read-only": np.frombuffer(FRAMES.tobytes(), np.uint8).reshape(FRAMES.shape),
    "a list": list(FRAMES),
    "a tuple": tuple(FRAMES.copy()),
    "a list of columns first": [np.asfortranarray(frame) for frame in FRAMES],
}


def as_numpy_1(content: bytes) -> bytes:
    """The same pickle with the names that numpy 1 writes."""
    for new, old in ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"numpy._core.numeric", b"numpy.core.numeric")):
        content = content.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old).replace(new, old)
    return content


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("arranged", ARRANGED)
def test_pickles_of_numpy_are_read(arranged: str, protocol: int) -> None:
    written = pickle.dumps(ARRANGED[arranged], protocol)
    for content in (written, as_numpy_1(written)):
        frames = pickled_arrays.read(content)
        assert np.array_equal(np.stack(frames), FRAMES)
        assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}
    assert as_numpy_1(written) != written


def test_pickles_of_python_2_are_read() -> None:
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
        b"(K\x01K\x02K\x01K\x03\x87cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x06\x00\xff\x01\x02\x80\x03tb."
    )
    assert np.array_equal(pickled_arrays.read(content), [[[0, 255, 1]], [[2, 128, 3]]])


class Calls:
    """Runs a command when it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


MANY = 2000
UNFILLED = b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"


def state(
    shape: Any = (1, 2, 2), kind: bytes = b"X\x02\x00\x00\x00u1", data: bytes = b"C\x04abcd", tail: bytes = b""
) -> bytes:
    """A protocol-3 pickle of an array with this state."""
    return (
        UNFILLED
        + b"(K\x01"
        + pickle.dumps(shape, 2)[2:-1]
        + b"cnumpy\ndtype\n"
        + kind
        + b"\x89\x88\x87R(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + data
        + b"tb"
        + (tail or b".")
    )


def with_fields(names: bytes) -> bytes:
    return state().replace(b"|NNN", b"|N" + names + b"N")


HOSTILE = {
    "os.system": pickle.dumps(Calls(os.system, "touch owned")),
    "eval": pickle.dumps(Calls(eval, "open('owned', 'w')"), 2),
    "exec at protocol 0": pickle.dumps(Calls(exec, "open('owned', 'w')"), 0),
    "a call within a list": pickle.dumps([FRAMES[0], Calls(os.system, "touch owned")]),
    "a call as an array's data": state(data=b"cposix\nsystem\nX\x0b\x00\x00\x00touch owned\x85R"),
    "a name as text": b"\x80\x04\x8c\x06encode\x8c\x01a\x8c\x06latin1\x86R.",
    "names within numpy": b"\x80\x02cnumpy.core.multiarray\nscalar\n.",
    "names with dots": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tobytes\x93.",
    "another codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.",
    "objects": pickle.dumps(np.array([[[None]]], object)),
    "fractions beyond 255": pickle.dumps(np.full((2, 3, 4), 255.5, np.float32)),
    "fractions below 0": pickle.dumps(np.full((2, 3, 4), -0.1)),
    "no numbers": pickle.dumps(np.full((2, 3, 4), np.nan)),
    "large numbers": pickle.dumps(np.full((2, 3, 4), 256, np.uint16)),
    "complex numbers": pickle.dumps(np.zeros((2, 3, 4), complex)),
    "fields": pickle.dumps(np.zeros((2, 3, 4), [("a", "u1")])),
    "fields of bytes": with_fields(b"X\x01\x00\x00\x00a\x85"),
    "one dimension": pickle.dumps(FRAMES[0, 0]),
    "two dimensions": pickle.dumps(FRAMES[0]),
    "a list of three dimensions": pickle.dumps([FRAMES]),
    "frames of two shapes": pickle.dumps([FRAMES[0], FRAMES[0, :4]]),
    "no frames": pickle.dumps(FRAMES[:0]),
    "an empty list": pickle.dumps([]),
    "a dictionary": pickle.dumps({"frames": FRAMES}),
    "a huge shape": state((2**40, 2**20, 2)),
    "an overflowing shape": state((2**33, 2**31, 0)),
    "a negative shape": state((-1, -2, 2)),
    "a shape of truths": state((True, 2, 2)),
    "a shape of text": state(("1", 2, 2)),
    "a shape that is too large": state((2, 2, 2)),
    "a shape that is too small": state((1, 1, 2)),
    "data that is a list": state(data=b"]"),
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "an array that is its own state": UNFILLED + b"q\x00h\x00b.",
    "an array without a state": UNFILLED + b".",
    "a persistent identity": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "an extension": b"\x80\x02\x82\x01.",
    "a buffer from elsewhere": b"\x80\x05\x97.",
    "new objects": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "more than one value": state(tail=b"N."),
    "no end": state()[:-1],
    "a stray mark": b"\x80\x02((N\x85.",
    "an unknown memory": b"\x80\x02h\x07.",
    "nothing to take": b"\x80\x020.",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc",
    "text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc",
    "memory far away": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "nested tuples that double": b"\x80\x02N" + b"q\x00h\x00\x86" * 60 + b".",
    "a name of tuples that double": b"\x80\x04N" + b"q\x00h\x00\x86" * 60 + b"q\x01h\x01\x93.",
    "a shape of tuples that double": state().replace(b"K\x01K\x02K\x02\x87", b"N" + b"q\x00h\x00\x86" * 60),
    "deep lists": b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "deep tuples": b"\x80\x02)" + b"\x85" * 20_000 + b".",
    "many operations": b"\x80\x02(" + b"N" * (2**20 + 9) + b"t.",
    "one text encoded often": (
        b"\x80\x02(c_codecs\nencode\nq\x01X\x00\x00\x10\x00" + b"a" * 2**20 + b"q\x02X\x06\x00\x00\x00latin1q\x03"
        + b"h\x01h\x02h\x03\x86R" * MANY + b"t."
    ),
    "one array often": pickle.dumps([np.zeros((1024, 1024), np.uint8)] * MANY),
    "one text as the data of many arrays": (
        b"\x80\x02(" + state((1024, 1024), data=b"X\x00\x00\x10\x00" + b"a" * 2**20 + b"q\x09")[2:-1]
        + state((1024, 1024), data=b"h\x09")[2:-1] * MANY + b"t."
    ),
    "many tiny frames": pickle.dumps(np.zeros((2**17, 1, 1), np.uint8)),
}  # fmt: skip


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; code that ran would leave a file in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("which", HOSTILE)
def test_anything_else_is_refused_in_little_memory(which: str, watched: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as refused:
            pickled_arrays.read(HOSTILE[which])
        assert tracemalloc.get_traced_memory()[1] < 2**26 + 4 * len(HOSTILE[which])
    finally:
        tracemalloc.stop()
    assert len(str(refused.value)) < 300
    assert list(watched.iterdir()) == []


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("os.system", "it names 'posix.system', which no array needs"),
        ("fractions below 0", "values from -0.1 to -0.1; silhouettes have 0 to 255, or 0 to 1"),
        ("objects", "an array of type 'O8'; silhouettes are whole numbers, fractions or truth values"),
        ("frames of two shapes", "its frames differ in shape"),
        ("one array often", "its frames would be larger than the file"),
        ("a persistent identity", "the operation BINPERSID, which no array needs"),
    ],
)
def test_the_reason_has_the_files_name(tmp_path: Path, which: str, reason: str) -> None:
    path = tmp_path / "001/nm-01/090/090.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(HOSTILE[which])
    (clip,), faults = trees.all_clips(open_dataset("pickles", tmp_path))
    assert faults == []
    shown, faults = trees.read(clip)
    assert shown == {}
    assert len(faults) == 1
    assert faults[0].startswith(f"{path}: not read (")
    assert reason in faults[0]


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_cut_pickle_is_refused_wherever_it_ends(protocol: int) -> None:
    content = pickle.dumps(list(FRAMES), protocol)
    for end in range(len(content)):
        with pytest.raises(Refused):
            pickled_arrays.read(content[:end])


@given(st.binary(max_size=300))
@hypothesis_settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        pickled_arrays.read(content)


@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from([2, 4, 5]), st.sampled_from(["rows first", "a list"]))
@hypothesis_settings(max_examples=300, deadline=None)
def test_a_changed_byte_gives_frames_or_a_refusal(at: int, value: int, protocol: int, arranged: str) -> None:
    content = bytearray(pickle.dumps(ARRANGED[arranged], protocol))
    content[at % len(content)] = value
    try:
        frames = pickled_arrays.read(bytes(content))
    except Refused:
        return
    assert sum(frame.nbytes for frame in frames) <= len(content)


def test_a_file_that_is_too_large_or_not_regular_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "LARGEST_FILE", 10)
    folder = tmp_path / "001/nm-01"
    for view in ("000", "018", "036"):
        (folder / view).mkdir(parents=True)
    (folder / "000/000.pkl").write_bytes(pickle.dumps(FRAMES))
    os.mkfifo(folder / "018/018.pkl")
    (folder / "036/036.pkl").symlink_to(tmp_path / "nowhere")
    clips, _ = trees.all_clips(open_dataset("pickles", tmp_path))
    assert [trees.read(clip)[0] for clip in clips] == [{}, {}, {}]
    assert all(len(trees.read(clip)[1]) == 1 for clip in clips)


def test_a_tree_of_pickles_gives_aligned_clips(tmp_path: Path) -> None:
    for path in ("001/nm-01/090/090.pkl", "001/nm-01/108/anything.pkl", "002/bg-01/000/000.pkl", "002/bg-01/000/more.pkl"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(pickle.dumps(FRAMES))
    reader = open_dataset("pickles", tmp_path)
    assert reader.identities() == ["001", "002"]
    assert reader.units() == ["001/nm-01/090", "001/nm-01/108", "002/bg-01/000"]
    assert reader.files("002/bg-01/000") == [tmp_path / "002/bg-01/000/000.pkl"]
    clips, faults = trees.all_clips(reader)
    assert faults == []
    for clip in clips:
        shown, problems = trees.read(clip)
        assert clip.aligned
        assert clip.video is None
        assert list(shown) == [1, 2, 3, 4, 5]
        assert np.array_equal(shown[5], FRAMES[4])
        assert problems == []
    assert list(reader.expected()) == []
    assert (reader.fps, reader.split()) == (None, {})


def test_a_walk_of_no_or_several_pickles_is_left_out_and_named(tmp_path: Path) -> None:
    for view, names in (("000", ["a.pkl", "b.pkl"]), ("018", []), ("0 3", ["a.pkl"])):
        (tmp_path / "001/nm-01" / view).mkdir(parents=True)
        for name in names:
            (tmp_path / "001/nm-01" / view / name).write_bytes(pickle.dumps(FRAMES))
    clips, faults = trees.all_clips(open_dataset("pickles", tmp_path))
    assert clips == []
    assert faults == [
        f"{tmp_path}/001/nm-01/0 3: left out, for names may have letters, digits, '_', '.' and '-' only",
        f"{tmp_path}/001/nm-01/000: left out, for it holds several pickles (a.pkl, b.pkl), and nothing says which of them "
        "is the walk",
        f"{tmp_path}/001/nm-01/018: left out, for it holds no pickle",
    ]


KINDS = {"090-aligned-sils.pkl": FRAMES, "090-ratios.pkl": np.ones(5), "090-rgbs.pkl": np.zeros((5, 3, 4, 4), np.uint8)}


def with_several(root: Path) -> Path:
    """Two walks, each of which holds the silhouettes and other data."""
    for walk in ("001/nm-01/090", "002/nm-01/090"):
        (root / walk).mkdir(parents=True)
        for name, array in KINDS.items():
            (root / walk / name).write_bytes(pickle.dumps(array))
    return root


def test_the_user_says_which_of_several_pickles_is_read(tmp_path: Path) -> None:
    reader = open_dataset("pickles", with_several(tmp_path), "*-aligned-sils.pkl")
    assert reader.identities() == ["001", "002"]
    assert reader.files("001/nm-01/090") == [tmp_path / "001/nm-01/090/090-aligned-sils.pkl"]
    clips, faults = trees.all_clips(reader)
    assert faults == []
    assert [np.stack(list(trees.read(clip)[0].values())).tolist() for clip in clips] == [FRAMES.tolist()] * 2


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (
            None,
            "it holds several pickles (090-aligned-sils.pkl, 090-ratios.pkl, 090-rgbs.pkl), and nothing says which of them "
            "is the walk",
        ),
        ("*-s.pkl", "pickle = *-s.pkl fits none of its pickles (090-aligned-sils.pkl, 090-ratios.pkl, 090-rgbs.pkl)"),
        ("*-r*", "pickle = *-r* fits several of its pickles (090-ratios.pkl, 090-rgbs.pkl)"),
    ],
)
def test_where_no_pickle_is_chosen_the_pickles_are_listed(tmp_path: Path, pattern: str | None, why: str) -> None:
    with pytest.raises(DataError) as refused:
        open_dataset("pickles", with_several(tmp_path), pattern).identities()
    assert str(refused.value) == f"{tmp_path}/001/nm-01/090: {why}; set `pickle` in the dataset's entry"


def test_one_walk_without_the_chosen_pickle_is_left_out(tmp_path: Path) -> None:
    (with_several(tmp_path) / "001/nm-01/090/090-aligned-sils.pkl").unlink()
    reader = open_dataset("pickles", tmp_path, "*-aligned-sils.pkl")
    assert reader.identities() == ["001", "002"]
    clips, faults = trees.all_clips(reader)
    assert [clip.name for clip in clips] == ["002-nm-01-090"]
    assert faults == [
        f"{tmp_path}/001/nm-01/090: left out, for pickle = *-aligned-sils.pkl fits none of its pickles "
        "(090-ratios.pkl, 090-rgbs.pkl)"
    ]


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folders identity/condition/view"):
        open_dataset("pickles", tmp_path).identities()
