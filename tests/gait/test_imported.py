"""Checkpoints in foreign formats, written here from networks that compute the published forward passes in their own way."""

import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gait.errors import DataError
from gait.imported import load_into
from gait.networks import torch_model
from gait.networks.torch_model import TorchModel
from tests.support import foreign_networks as foreign
from tests.support.toy import ROOT

BINS = [16, 8, 4, 2, 1]
CLASSES = 7
DEEP = {"channels": [4, 6, 8, 10], "blocks": [1, 2, 1, 1]}
SETTINGS: dict[str, dict[str, Any]] = {
    "gaitset": {"channels": [4, 6, 8], "embedding": 5, "bins": BINS},
    "gaitpart": {"channels": [4, 8, 12], "halving": [0, 2, 3], "embedding": 5},
    "gaitpart-oumvlp": {"channels": [4, 4, 8, 12], "halving": [0, 0, 3, 3], "embedding": 5},
    "gaitgl": {"stem": [4], "layers": [6, 8, 10], "pool_after": 1, "halving": 3, "embedding": 10},
    "gaitgl-oumvlp": {"stem": [4, 4], "layers": [6, 6, 8, 8, 10, 10], "pool_after": 2, "halving": 1, "embedding": 10},
    "gaitgl-grew": {
        "stem": [4, 4],
        "layers": [6, 6, 8, 8, 10, 10],
        "pool_after": 2,
        "halving": 1,
        "embedding": 10,
        "head": "bnneck",
    },
    "gln": {"channels": [4, 6, 8], "lateral": 10, "embedding": 5, "bins": BINS, "compact": 0, "dropout": 0.9},
    "gln-phase-2": {"channels": [4, 6, 8], "lateral": 10, "embedding": 5, "bins": BINS, "compact": 6, "dropout": 0.9},
    "baseline": {"channels": [4, 6, 8], "embedding": 5, "bins": BINS},
    "baseline-oumvlp": {"channels": [4, 6, 8, 10], "embedding": 5, "bins": BINS},
    "baseline-hid": {"channels": [4, 6, 8, 10], "embedding": 5, "bins": BINS, "poolings": 3},
    "gaitbase": {"channels": [4, 6, 8, 10], "embedding": 5, "bins": [16]},
    **{f"deepgaitv2-{mode}": {"mode": mode, **DEEP, "embedding": 5, "bins": [16]} for mode in ("2d", "p3d", "3d")},
}
FOREIGN: dict[str, Callable[[], nn.Module]] = {
    "gaitset": lambda: foreign.GaitSet(4, 6, 8, 5, BINS),
    "gaitpart": lambda: foreign.GaitPart([4, 8, 12], [0, 2, 3], 5),
    "gaitpart-oumvlp": lambda: foreign.GaitPart([4, 4, 8, 12], [0, 0, 3, 3], 5),
    "gaitgl": lambda: foreign.GaitGL([4, 6, 8, 10], CLASSES, long=False),
    "gaitgl-oumvlp": lambda: foreign.GaitGL([4, 6, 8, 10], CLASSES, long=True),
    "gaitgl-grew": lambda: foreign.GaitGL([4, 6, 8, 10], CLASSES, long=True, order="by-channel"),
    "gln": lambda: foreign.GLN([4, 6, 8], 10, 5, BINS),
    "gln-phase-2": lambda: foreign.GLN([4, 6, 8], 10, 5, BINS, 6, CLASSES),
    "baseline": lambda: foreign.Baseline([4, 6, 8], 5, BINS, CLASSES),
    "baseline-oumvlp": lambda: foreign.Baseline([4, 6, 8, 10], 5, BINS, CLASSES),
    "baseline-hid": lambda: foreign.Baseline([4, 6, 8, 10], 5, BINS, CLASSES, poolings=3),
    "gaitbase": lambda: foreign.GaitBase([4, 6, 8, 10], 5, [16], CLASSES),
    "deepgaitv2-2d": lambda: foreign.DeepGaitV2("2d", **DEEP, embedding=5, classes=CLASSES),
    "deepgaitv2-p3d": lambda: foreign.DeepGaitV2("p3d", **DEEP, embedding=5, classes=CLASSES),
    "deepgaitv2-3d": lambda: foreign.DeepGaitV2("3d", **DEEP, embedding=5, classes=CLASSES),
}
OVER_PARTS: dict[str, Callable[[str], nn.Module]] = {
    "gln-phase-2": lambda order: foreign.GLN([4, 6, 8], 10, 5, BINS, 6, CLASSES, order),
    "gaitgl-grew": lambda order: foreign.GaitGL([4, 6, 8, 10], CLASSES, long=True, order=order),
    "baseline": lambda order: foreign.Baseline([4, 6, 8], 5, BINS, CLASSES, order),
    "gaitbase": lambda order: foreign.GaitBase([4, 6, 8, 10], 5, [16], CLASSES, order),
    "deepgaitv2-p3d": lambda order: foreign.DeepGaitV2("p3d", **DEEP, embedding=5, classes=CLASSES, order=order),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """With tensors this small, more threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(case: str, classes: int = CLASSES) -> TorchModel:
    torch.manual_seed(1)
    return torch_model.build(case.partition("-")[0], SETTINGS[case], 1, classes).eval()


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()}


def checkpoint(network: nn.Module, path: Path) -> Path:
    """A checkpoint in the form of OpenGait's training."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [20000, 40000])
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    others = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "iteration": 60000}
    torch.save({"model": state(network), **others}, path)
    return path


def frames(case: str, length: int) -> Tensor:
    """Narrow networks, which are quick."""
    height, width = (128, 24) if case.startswith("gln") or case == "baseline-hid" else (64, 12)
    return torch.rand(2, length, height, width, generator=torch.Generator().manual_seed(length), dtype=torch.float64)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def unchanged(model: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# GaitGL repeats one or two frames and leaves a seventh out; GaitPart's windows reach beyond both ends of short sequences.
@pytest.mark.parametrize(
    ("case", "length"),
    [(case, length) for case in FOREIGN for length in ((1, 2, 7) if case.startswith(("gaitgl", "gaitpart")) else (3,))],
)
@torch.inference_mode()
def test_signatures_and_logits_are_those_of_the_foreign_network(case: str, length: int, tmp_path: Path) -> None:
    network, model = foreign.randomise(FOREIGN[case]()), build(case)
    notes = load_into(model, checkpoint(network, tmp_path / "foreign.pt"))
    assert len(notes) == 1 and notes[0].startswith(f"read as {model.architecture.name} of OpenGait")
    expected, *logits = out if isinstance(out := network(frames(case, length)), tuple) else (out,)
    signatures = model.double()(frames(case, length))
    assert_close(signatures, expected)
    if model.classifier is not None:
        assert_close(model.classifier(signatures), logits[0])


@pytest.mark.parametrize("order", ["by-channel", "by-part"])
@pytest.mark.parametrize("case", OVER_PARTS)
@torch.inference_mode()
def test_tensors_over_all_parts_are_read_in_either_order(case: str, order: str, tmp_path: Path) -> None:
    network = foreign.randomise(OVER_PARTS[case](order))
    path = checkpoint(network, tmp_path / "foreign.pt")
    other = {"by-channel": "by-part", "by-part": "by-channel"}[order]
    right, wrong = build(case), build(case)
    load_into(right, path, order)
    load_into(wrong, path, other)
    expected, logits = network(frames(case, 3))
    assert_close(right.double()(frames(case, 3)), expected)
    assert_close(right.classifier(expected), logits)
    assert (wrong.double().classifier(expected) - logits).abs().max() > 0.01 * logits.abs().max()


@pytest.mark.parametrize("bins", [BINS, [1, 2, 4, 8, 16], [4, 16, 1, 8, 2]])
@pytest.mark.parametrize("apart", [False, True])
@torch.inference_mode()
def test_parts_of_the_original_gaitset_come_into_our_order(apart: bool, bins: list[int], tmp_path: Path) -> None:
    network = foreign.randomise(foreign.OriginalGaitSet(4, 6, 8, 5, apart))
    model = torch_model.build("gaitset", {**SETTINGS["gaitset"], "bins": bins}, 1, CLASSES).eval()
    # As its training writes it: DataParallel's names, and nothing else in the file.
    torch.save({f"module.{name}": tensor for name, tensor in state(network).items()}, tmp_path / "encoder.ptm")
    notes = load_into(model, tmp_path / "encoder.ptm")
    assert notes == [f"read as the original GaitSet's form for {'OU-MVLP' if apart else 'CASIA-B'}"]
    parts = network(frames("gaitset", 5))
    order = [(branch, strips, strip) for branch in "xg" for strips in bins for strip in range(strips)]
    assert_close(model.double()(frames("gaitset", 5)), torch.stack([parts[place] for place in order], 1))


def test_the_original_gaitset_needs_its_own_bins(tmp_path: Path) -> None:
    torch.save(state(foreign.OriginalGaitSet(4, 6, 8, 5, apart=False)), tmp_path / "encoder.ptm")
    model = torch_model.build("gaitset", {**SETTINGS["gaitset"], "bins": [8, 4]}, 1, CLASSES)
    with pytest.raises(DataError, match=r"bins = \[8, 4\]"):
        load_into(model, tmp_path / "encoder.ptm")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": state}, lambda state: {"model": state}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_all_forms_of_checkpoints_are_read(prefix: str, wrap: Callable, zipped: bool, tmp_path: Path) -> None:
    network, model = foreign.randomise(FOREIGN["gaitset"]()), build("gaitset")
    named = {f"{prefix}{name}": tensor for name, tensor in state(network).items()}
    torch.save(wrap(named), tmp_path / "anything", _use_new_zipfile_serialization=zipped)
    load_into(model, str(tmp_path / "anything"))
    assert torch.equal(model.fc.weight, network.Head.fc_bin.float())


def test_halved_precision_and_older_batch_norms_are_read(tmp_path: Path) -> None:
    network, model = foreign.randomise(FOREIGN["gaitbase"]()), build("gaitbase")
    old = {name: tensor.half() for name, tensor in state(network).items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pt")
    assert len(load_into(model, tmp_path / "old.pt")) == 1
    assert model.fc.weight.dtype == torch.float32
    assert torch.equal(model.fc.weight, network.FCs.fc_bin.half().float())


@pytest.mark.parametrize("case", ["baseline", "gaitbase", "gaitgl", "gln-phase-2"])
def test_the_classifier_may_be_for_other_identities(case: str, tmp_path: Path) -> None:
    network, model = foreign.randomise(FOREIGN[case]()), build(case, classes=3)
    before = snapshot(model)
    notes = load_into(model, checkpoint(network, tmp_path / "foreign.pt"))
    name = "classifier.classes.weight" if case == "gln-phase-2" else "classifier.weight"
    assert notes[1:] == [f"{name} is for 7 identities, this dataset has 3 in training: starts afresh"]
    kept = [tensor_name for tensor_name, tensor in model.state_dict().items() if torch.equal(tensor, before[tensor_name])]
    assert kept == [name]


def test_the_classifier_may_be_missing_on_either_side(tmp_path: Path) -> None:
    first, second = checkpoint(FOREIGN["gln"](), tmp_path / "1.pt"), checkpoint(FOREIGN["gln-phase-2"](), tmp_path / "2.pt")
    assert load_into(build("gln-phase-2"), first)[1:] == ["the classifier: not in the file, starts afresh"]
    assert load_into(build("gln"), second)[1:] == ["the file's classifier is left out, since gln as configured has none"]
    part = state(FOREIGN["baseline"]())
    del part["BNNecks.fc_bin"]
    torch.save(part, tmp_path / "3.pt")
    assert load_into(build("baseline"), tmp_path / "3.pt")[1:] == ["classifier.weight: not in the file, starts afresh"]


def test_all_tensors_that_do_not_fit_are_listed_by_the_files_names(tmp_path: Path) -> None:
    model = build("baseline")
    before = snapshot(model)
    damaged = state(foreign.randomise(FOREIGN["baseline"]()))
    del damaged["FCs.fc_bin"], damaged["Backbone.forward_block.feature.5.conv.weight"]
    damaged |= {"Backbone.forward_block.feature.0.conv.weight": torch.zeros(9, 1, 5, 5), "more.weight": torch.zeros(2, 3)}
    damaged["BNNecks.fc_bin"] = torch.zeros(31, 6, CLASSES)  # not another number of identities
    torch.save(damaged, tmp_path / "foreign.pt")
    with pytest.raises(DataError) as refused:
        load_into(model, tmp_path / "foreign.pt")
    assert str(refused.value).splitlines() == [
        f"{tmp_path}/foreign.pt does not fit baseline with the width and architecture that it is configured with",
        "missing in the file:",
        "  Backbone.forward_block.feature.5.conv.weight [6, 4, 3, 3]",
        "  FCs.fc_bin [31, 8, 5]",
        "unknown to the model:",
        "  more.weight [2, 3]",
        "of another shape:",
        "  Backbone.forward_block.feature.0.conv.weight [9, 1, 5, 5], the model's is [4, 1, 5, 5]",
        "  BNNecks.fc_bin [31, 6, 7], the model's is [31, 5, 7]",
    ]
    assert unchanged(model, before)


@pytest.mark.parametrize(("case", "other"), [("gaitgl-oumvlp", "gaitgl-grew"), ("baseline-oumvlp", "baseline-hid")])
def test_a_file_of_another_head_or_with_another_pooling_does_not_fit(case: str, other: str, tmp_path: Path) -> None:
    for ours, theirs in ((case, other), (other, case)):
        with pytest.raises(DataError, match="unknown to the model:"):
            load_into(build(ours), checkpoint(FOREIGN[theirs](), tmp_path / "foreign.pt"))


@pytest.mark.parametrize("name", ["gaitpart", "gaitgl", "baseline"])
def test_a_file_for_oumvlp_does_not_fit_a_network_for_casia_b(name: str, tmp_path: Path) -> None:
    path = checkpoint(FOREIGN[f"{name}-oumvlp"](), tmp_path / "oumvlp.pt")
    model = build(name)
    before = snapshot(model)
    with pytest.raises(DataError, match="unknown to the model:"):
        load_into(model, path)
    assert unchanged(model, before)


def test_a_network_of_another_width_lists_every_tensor(tmp_path: Path) -> None:
    model = torch_model.build("gaitset", {**SETTINGS["gaitset"], "channels": [8, 12, 16]}, 1, CLASSES)
    with pytest.raises(DataError, match=r"Head\.fc_bin \[62, 8, 5\], the model's is \[62, 16, 5\]") as refused:
        load_into(model, checkpoint(FOREIGN["gaitset"](), tmp_path / "foreign.pt"))
    assert len(str(refused.value).splitlines()) == 2 + 11


@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_of_another_model_names_that_model(case: str, tmp_path: Path) -> None:
    path = checkpoint(FOREIGN[case](), tmp_path / "foreign.pt")
    other = "gaitset" if case != "gaitset" else "gln"
    with pytest.raises(DataError, match=f"seems to hold {case.partition('-')[0]} of OpenGait, not {other}"):
        load_into(build(other), path)


def test_other_files_are_recognised_by_their_content(tmp_path: Path) -> None:
    torch.save(state(foreign.OriginalGaitSet(4, 6, 8, 5, apart=True)), tmp_path / "encoder.ptm")
    with pytest.raises(DataError, match="seems to hold gaitset of the original GaitSet, not gln"):
        load_into(build("gln"), tmp_path / "encoder.ptm")
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "unknown.pt")
    with pytest.raises(DataError, match=r"no model that is known here: layer\.weight"):
        load_into(build("gln"), tmp_path / "unknown.pt")


def test_settings_without_a_trace_in_the_weights_are_compared_with_the_published_ones(tmp_path: Path) -> None:
    path = checkpoint(FOREIGN["gaitgl-oumvlp"](), tmp_path / "foreign.pt")
    model = torch_model.build("gaitgl", {**SETTINGS["gaitgl-oumvlp"], "halving": 3}, 1, CLASSES)
    notes = load_into(model, path)
    assert notes[1:] == ["published weights are for halving: 1, and gaitgl is configured with 3"]


def test_gaitgl_has_published_weights_in_two_depths_only(tmp_path: Path) -> None:
    path = checkpoint(FOREIGN["gaitgl"](), tmp_path / "foreign.pt")
    settings = {**SETTINGS["gaitgl"], "layers": [6, 8, 10, 10]}
    with pytest.raises(DataError, match="3 or 6 layers"):
        load_into(torch_model.build("gaitgl", settings, 1, CLASSES), path)


def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    model = build("gaitbase")
    before = snapshot(model)
    damaged = state(foreign.randomise(FOREIGN["gaitbase"]()))
    damaged["FCs.fc_bin"][0, 0, 0] = float("nan")
    damaged["BNNecks.bn1d.running_var"][3] = float("inf")
    damaged["Backbone.forward_block.bn1.bias"] = torch.zeros(4, dtype=torch.int8)
    torch.save(damaged, tmp_path / "nan.pt")
    with pytest.raises(DataError, match="finite") as refused:
        load_into(model, tmp_path / "nan.pt")
    for name in ("FCs.fc_bin", "BNNecks.bn1d.running_var", "Backbone.forward_block.bn1.bias"):
        assert name in str(refused.value)
    assert unchanged(model, before)


class Hostile:
    """Creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_nothing_in_a_file_is_run(form: str, tmp_path: Path) -> None:
    path, victim = tmp_path / "hostile.pt", tmp_path / "victim"
    weights = {"set_block1.forward_block.0.conv.weight": torch.zeros(1), "x": Hostile(victim)}
    content = {"iteration": np.int64(3), "model": weights}
    if form == "pickle":
        path.write_bytes(pickle.dumps(Hostile(victim), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(DataError, match=r"hostile\.pt wants to run (posix|nt)\.system"):
        load_into(build("gaitset"), path)
    assert not victim.exists()


@pytest.mark.parametrize(("module", "zipped"), [("numpy._core", True), ("numpy._core", False), ("numpy.core", False)])
def test_numbers_of_numpy_beside_the_weights_are_passed_over(module: str, zipped: bool, tmp_path: Path) -> None:
    network, model, path = foreign.randomise(FOREIGN["gaitset"]()), build("gaitset"), tmp_path / "file.pt"
    numbers = {"iteration": np.int64(60000), "rank1": np.float64(95.2), "done": np.bool_(True), "loss": [np.float32(0.1)]}
    allowed = set(torch.serialization.get_safe_globals())
    torch.save({**numbers, "model": state(network)}, path, _use_new_zipfile_serialization=zipped)
    # numpy 1 names the maker of its numbers otherwise.
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", f"{module}.multiarray".encode()))
    load_into(model, path)
    assert torch.equal(model.fc.weight, network.Head.fc_bin.float())
    assert set(torch.serialization.get_safe_globals()) == allowed


def test_arrays_of_numpy_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"model": state(FOREIGN["gaitset"]()), "losses": np.ones(3)}, tmp_path / "file.pt")
    with pytest.raises(DataError, match=r"wants to run numpy\._core\.multiarray\._reconstruct"):
        load_into(build("gaitset"), tmp_path / "file.pt")


class Called:
    """Has a function called where it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_of_numpy_is_run(tmp_path: Path) -> None:
    """Since numpy takes the bytes of a number for an address in memory where a file says that it is an object's."""
    number = Called(np._core.multiarray.scalar, (Called(np.dtype, ("what numpy refuses",)), b"\x41" * 8))
    torch.save({"model": state(FOREIGN["gaitset"]()), "x": number}, tmp_path / "file.pt")
    load_into(build("gaitset"), tmp_path / "file.pt")


def test_objects_of_other_classes_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(build("gaitset"), tmp_path / "whole.pt")
    with pytest.raises(DataError, match=r"wants to run gait\.models\.gaitset\.GaitSet"):
        load_into(build("gaitset"), tmp_path / "whole.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"frame1.conv.weight: 1\n", "is no file of weights"),
        (b"PK\x03\x04 and nothing of an archive", "is damaged"),
        (b"\x80\x02 and nothing of a pickle", "is damaged or no PyTorch checkpoint"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{]", "is damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(DataError, match=f"file.pt {message}"):
        load_into(build("gaitset"), tmp_path / "file.pt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_checkpoints_are_refused(share: float, zipped: bool, tmp_path: Path) -> None:
    torch.save(state(FOREIGN["gaitset"]()), tmp_path / "whole.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "part.pt").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"part\.pt is damaged"):
        load_into(build("gaitset"), tmp_path / "part.pt")


def test_archives_that_unpack_to_more_than_their_size_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02}.")
        archive.writestr("bomb/data/0", bytes(10_000_000))
    assert (tmp_path / "bomb.pt").stat().st_size < 100_000
    with pytest.raises(DataError, match="unpack to more than its own size"):
        load_into(build("gaitset"), tmp_path / "bomb.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]},
            "no state of a network, but an optimizer's",
        ),
        ({"epoch": 3, "loss": [0.1]}, "no state of a network, but epoch, loss"),
        ([torch.ones(3)], "no state of a network"),
        ({"a": torch.ones(3, 3).to_sparse()}, "sparse"),
        ({"a": torch.empty(3, device="meta")}, "sparse, quantised or nested|is damaged"),
    ],
)
def test_content_without_weights_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(DataError, match=message):
        load_into(build("gaitset"), tmp_path / "file.pt")


def test_huge_tensors_over_small_storage_are_compared_by_shape_only(tmp_path: Path) -> None:
    content = state(FOREIGN["gaitset"]())
    content["Head.fc_bin"] = torch.zeros(1).expand(10**6, 10**6, 5)
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(DataError, match=r"Head\.fc_bin \[1000000, 1000000, 5\], the model's is \[62, 8, 5\]"):
        load_into(build("gaitset"), tmp_path / "file.pt")


def test_missing_files_and_folders_without_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pt does not exist"):
        load_into(build("gaitset"), tmp_path / "none.pt")
    with pytest.raises(DataError, match=r"neither weights\.safetensors nor model\.keras"):
        load_into(build("gaitset"), tmp_path)


def test_an_unknown_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bnneck = by-row: must be by-channel or by-part"):
        load_into(build("baseline"), checkpoint(FOREIGN["baseline"](), tmp_path / "foreign.pt"), "by-row")


@pytest.mark.parametrize("what", ["folder", "file", "copy"])
def test_our_own_models_are_read(what: str, tmp_path: Path) -> None:
    trained, model = build("gaitbase"), torch_model.build("gaitbase", SETTINGS["gaitbase"], 1, 3)
    for parameter in trained.parameters():
        nn.init.uniform_(parameter)
    torch_model.save(trained, tmp_path)
    path = {"folder": tmp_path, "file": tmp_path / "weights.safetensors", "copy": tmp_path / "own.pt"}[what]
    if what == "copy":
        torch.save(trained.state_dict(), path)
    notes = load_into(model, path)
    assert notes == ["classifier.weight is for 7 identities, this dataset has 3 in training: starts afresh"]
    expected = {name: tensor for name, tensor in trained.state_dict().items() if name != "classifier.weight"}
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in expected.items())


def test_our_own_models_of_other_kinds_are_refused(tmp_path: Path) -> None:
    torch_model.save(build("gaitpart"), tmp_path)
    with pytest.raises(DataError, match="holds gaitpart, not gaitset"):
        load_into(build("gaitset"), tmp_path)
    otherwise = torch_model.build("gaitpart", {**SETTINGS["gaitpart"], "halving": [0, 1, 3]}, 1, CLASSES)
    assert load_into(otherwise, tmp_path) == ["trained with halving: [0, 2, 3], and gaitpart is configured with [0, 1, 3]"]
    (tmp_path / "architecture.json").write_text("{")
    with pytest.raises(DataError, match=r"architecture\.json cannot be read"):
        load_into(build("gaitpart"), tmp_path)


def test_our_second_phase_takes_the_weights_of_the_first_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    torch_model.save(build("gln"), tmp_path / "1")
    torch_model.save(build("gln-phase-2"), tmp_path / "2")
    assert load_into(build("gln-phase-2"), tmp_path / "1") == ["the classifier: not in the file, starts afresh"]
    assert load_into(build("gln"), tmp_path / "2") == ["the file's classifier is left out, since gln as configured has none"]


CNN2D = {"filters": [4, 4, 4, 4], "dense": 8, "signature": 8, "dropout": 0.2}


def keras_model(classes: int = CLASSES, **changes: Any) -> Any:
    from gait.networks import keras_model

    return keras_model.build("cnn2d", {**CNN2D, **changes}, 1, classes)


@pytest.mark.parametrize("name", ["", "model.keras", "copy"])
def test_our_own_keras_models_are_read(name: str, tmp_path: Path) -> None:
    trained, model = keras_model(), keras_model()
    for variable in trained.weights:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    trained.save(tmp_path / "model.keras")
    (tmp_path / "copy").write_bytes((tmp_path / "model.keras").read_bytes())
    assert load_into(model, tmp_path / name) == []
    for ours, theirs in zip(model.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_only_the_classifier_of_a_keras_file_may_be_for_other_identities(tmp_path: Path) -> None:
    keras_model(classes=5).save(tmp_path / "model.keras")
    notes = ["probs is for 5 identities, this dataset has 7 in training: starts afresh"]
    assert load_into(keras_model(), tmp_path) == notes
    with pytest.raises(DataError, match=r"code/0 \[8, 8\], the model's is \[8, 12\]"):
        load_into(keras_model(signature=12), tmp_path)


def test_damaged_keras_models_are_refused(tmp_path: Path) -> None:
    trained = keras_model()
    trained.weights[0].assign(np.full(trained.weights[0].shape, np.nan))
    trained.save(tmp_path / "model.keras")
    with pytest.raises(DataError, match="not finite in conv1/0"):
        load_into(keras_model(), tmp_path)
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"nothing of HDF5")
    with pytest.raises(DataError, match=r"model\.keras is damaged"):
        load_into(keras_model(), tmp_path)


def test_a_model_of_the_other_framework_is_refused(tmp_path: Path) -> None:
    keras_model().save(tmp_path / "model.keras")
    keras_model().save(tmp_path / "model.h5")
    for name in ("model.keras", "model.h5"):
        with pytest.raises(DataError, match="holds weights of a Keras model, and gaitset is a PyTorch model"):
            load_into(build("gaitset"), tmp_path / name)
    with pytest.raises(DataError, match="holds weights of a PyTorch model, and cnn2d is a Keras model"):
        load_into(keras_model(), checkpoint(FOREIGN["gaitset"](), tmp_path / "foreign.pt"))


def test_hdf5_files_are_read_into_keras_models(tmp_path: Path) -> None:
    trained = keras_model()
    trained.save(tmp_path / "weights.of.any.name.h5")
    assert isinstance(load_into(keras_model(), tmp_path / "weights.of.any.name.h5"), list)


def test_no_tensorflow_is_loaded_for_pytorch_files(tmp_path: Path) -> None:
    path = checkpoint(FOREIGN["gaitset"](), tmp_path / "foreign.pt")
    code = (
        "import sys\n"
        "from gait import imported\n"
        "print(sorted({'torch', 'h5py'} & set(sys.modules)))\n"
        "from gait.networks import torch_model\n"
        f"model = torch_model.build('gaitset', {SETTINGS['gaitset']}, 1, 7)\n"
        f"imported.load_into(model, {str(path)!r})\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]
