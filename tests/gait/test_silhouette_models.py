"""Every silhouette model: its published size, any length and batch, saving, and the errors of wrong settings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gait.errors import DataError
from gait.networks import torch_model
from tests.support.published import LARGER, SMALLER, Published, small

EVERY = [
    *(pytest.param(published, id=f"{name}, CASIA-B") for name, published in SMALLER.items()),
    *(pytest.param(published, id=f"{name}, OU-MVLP") for name, published in LARGER.items()),
]
FORMS = [pytest.param(SMALLER[name], id=name) for name in SMALLER if name != "gln phase 2"] + [
    pytest.param(LARGER[name], id=f"{name}, larger")
    for name in ("gaitpart", "gaitgl", "gaitgl bnneck", "baseline", "baseline, three poolings", "deepgaitv2 2d")
]


def signatures(model: torch_model.TorchModel, frames: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(frames)


def drawn(model: torch_model.TorchModel, batch: int, frames: int) -> torch.Tensor:
    return torch.rand(batch, frames, *model.frame_shape, generator=torch.Generator().manual_seed(1))


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("published", EVERY)
def test_the_published_size_has_the_published_number_of_parameters(published: Published) -> None:
    with torch.device("meta"):
        model = torch_model.build(published.model, published.architecture, 1, published.identities)
    assert sum(tensor.numel() for tensor in model.parameters()) == published.parameters
    assert tuple(torch_model.signature_shape(model)) == published.signature


@pytest.mark.parametrize("published", FORMS)
@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_a_sequence_has_the_same_signature_alone_and_in_a_batch(published: Published, frames: int) -> None:
    model = small(published)
    batch = drawn(model, 3, frames)
    together = signatures(model, batch)
    assert_close(together, torch.cat([signatures(model, batch[row : row + 1]) for row in range(3)]))
    assert torch.isfinite(together).all()


@pytest.mark.parametrize("published", FORMS)
def test_the_order_of_frames_matters_only_to_models_of_motion(published: Published) -> None:
    model = small(published)
    frames = drawn(model, 1, 9) * torch.linspace(0, 1, 9)[:, None, None] ** 2  # a film that fades in
    forwards, backwards = signatures(model, frames), signatures(model, frames.flip(1))
    if published.ordered:
        assert (forwards - backwards).abs().max() > 1e-4 * forwards.abs().max()
    else:
        assert_close(backwards, forwards)


@pytest.mark.parametrize("name", [name for name in SMALLER if not SMALLER[name].ordered and "phase" not in name])
def test_frames_seen_twice_change_no_set(name: str) -> None:
    """So a sequence's own frames may fill it up to any length."""
    model = small(SMALLER[name])
    frames = drawn(model, 1, 4)
    assert_close(signatures(model, torch.cat([frames, frames[:, :3]], 1)), signatures(model, frames))


@pytest.mark.parametrize("form", [SMALLER["gaitgl"], LARGER["gaitgl"]])
def test_gaitgl_repeats_one_and_two_frames(form: Published) -> None:
    model = small(form)
    frames = drawn(model, 1, 2)
    assert torch.equal(signatures(model, frames), signatures(model, frames.repeat(1, 2, 1, 1)))
    assert torch.equal(signatures(model, frames[:, :1]), signatures(model, frames[:, :1].repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("published", FORMS)
def test_a_model_is_the_same_after_saving_and_loading(published: Published, tmp_path: Path) -> None:
    model = small(published)
    torch_model.save(model, tmp_path)
    loaded = torch_model.load(tmp_path)
    frames = drawn(model, 1, 4)
    assert torch.equal(signatures(model, frames), signatures(loaded, frames))
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert loaded.filter_groups() == model.filter_groups()


@pytest.mark.parametrize(("name", "key"), [("gaitgl", "head"), ("baseline", "poolings")])
def test_a_model_saved_without_a_later_setting_is_loaded_as_it_was(name: str, key: str, tmp_path: Path) -> None:
    model = small(SMALLER[name])
    torch_model.save(model, tmp_path)
    description = json.loads((tmp_path / "architecture.json").read_text(encoding="utf-8"))
    del description["settings"][key]
    (tmp_path / "architecture.json").write_text(json.dumps(description), encoding="utf-8")
    frames = drawn(model, 1, 4)
    assert torch.equal(signatures(torch_model.load(tmp_path), frames), signatures(model, frames))


@pytest.mark.parametrize("name", SMALLER)
def test_layers_list_every_parameter_and_multiply_add(name: str) -> None:
    model = small(SMALLER[name])
    rows = torch_model.layers(model, 30)
    assert sum(row["params"] for row in rows) == sum(tensor.numel() for tensor in model.parameters())
    in_training_only = {row["name"].partition(".")[0] for row in rows if row.get("training_only")}
    assert in_training_only == ({"classifier"} if model.classifier else set())
    first = next(row for row in rows if "conv" in row["name"])
    kernel = dict(model.named_modules())[first["name"]].weight
    places = np.prod(first["output"]) / kernel.shape[0]
    assert first["macs"] == places * kernel.numel()


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("gaitset", 3.26),
        ("gaitpart", 3.20),
        ("gaitgl", 12.62),
        ("deepgaitv2 2d", 35.35),
        ("deepgaitv2 p3d", 41.57),
        ("deepgaitv2 3d", 91.40),
    ],
)
def test_multiply_adds_of_the_published_size(name: str, billions: float) -> None:
    published = {**LARGER, **SMALLER}[name]
    model = torch_model.build(published.model, published.architecture, 1, published.identities)
    rows = torch_model.layers(model, 30)
    assert round(sum(row["macs"] for row in rows if not row.get("training_only")) / 1e9, 2) == billions


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("gaitpart", {"halving": [0, 2]}, "gaitpart: architecture.channels = .* halving"),
        ("gaitpart", {"halving": [0, 2, 5]}, r"gaitpart: architecture.halving\[2\] = 5: 2\*\*5 must divide 16 rows"),
        ("gaitgl", {"pool_after": 3}, "gaitgl: architecture.pool_after = 3: must be 1 to 2"),
        ("gaitgl", {"halving": 6}, "gaitgl: architecture.halving = 6"),
        ("gaitgl", {"stem": []}, "gaitgl: architecture.stem"),
        ("gaitgl", {"head": "arcface"}, "gaitgl: architecture.head = arcface: must be batch-norm or bnneck"),
        ("gln", {"bins": [3]}, r"gln: architecture.bins = \[3\]: each must divide the 32 rows"),
        ("gln", {"channels": [1, 2]}, "gln: architecture.channels"),
        ("baseline", {"channels": [1, 2]}, "baseline: architecture.channels"),
        ("baseline", {"poolings": 4}, "baseline: architecture.poolings = 4: must be 2 or 3"),
        ("gaitbase", {"channels": [1, 2]}, "gaitbase: architecture.channels"),
        ("gaitbase", {"depth": 2}, "gaitbase: architecture takes channels, embedding, bins, not .*depth"),
        ("deepgaitv2 3d", {"mode": "4d"}, "deepgaitv2: architecture.mode = 4d: must be one of 2d, p3d, 3d"),
        ("deepgaitv2 3d", {"blocks": [1, 0, 1, 1]}, "deepgaitv2: architecture.blocks"),
    ],
)
def test_wrong_architecture_settings_are_named(name: str, changed: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        torch_model.build(SMALLER[name].model, {**SMALLER[name].architecture, **changed}, 1, 3)
