"""Checkpoints of OpenGait: GaitSet, GaitPart, GaitGL, GLN, Baseline, GaitBase and DeepGaitV2.

Names are those of ShiqiYu/OpenGait, versions 1.0 to 2.0 and later. There ``bin_num`` orders the parts as ``bins`` does here.
Up to version 1.1 what runs over all parts at once, BNNeck's batch norm and GLN's compact block, has the channels of part 0
first, as here ("by-part"); since then (June 2022) it has all parts of channel 0 first ("by-channel").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from gait.errors import DataError
from gait.imported.links import Link, Reading, batch_norm, same
from gait.networks.torch_model import TorchModel

NAME = "OpenGait"
# A beginning of names that each model alone has, from the rarest on: the last two may stand beside others.
TELLTALES = {
    "TFA.": "gaitpart",
    "GLConvA0.": "gaitgl",
    "sil_stage_0.": "gln",
    "set_block1.": "gaitset",
    "layer0.forward_block.": "deepgaitv2",
    "Backbone.forward_block.layer1.": "gaitbase",
    "Backbone.forward_block.feature.": "baseline",
}
# Settings that leave no trace in the weights: as published, by the number of stages or layers.
UNSEEN: dict[tuple[str, int], dict[str, Any]] = {
    ("gaitpart", 6): {"halving": [0, 2, 3]},
    ("gaitpart", 8): {"halving": [0, 0, 3, 3]},
    ("gaitgl", 3): {"pool_after": 1, "halving": 3},
    ("gaitgl", 6): {"pool_after": 2, "halving": 1},
}
GAITSET = {
    "frame1": "set_block1.forward_block.0",
    "frame2": "set_block1.forward_block.2",
    "frame3": "set_block2.forward_block.0",
    "frame4": "set_block2.forward_block.2",
    "frame5": "set_block3.forward_block.0",
    "frame6": "set_block3.forward_block.2",
    "global1": "gl_block2.0",
    "global2": "gl_block2.2",
    "global3": "gl_block3.0",
    "global4": "gl_block3.2",
}
GLN = {
    "frame1": "sil_stage_0.forward_block.0",
    "frame2": "sil_stage_0.forward_block.2",
    "frame3": "sil_stage_1.forward_block.0",
    "frame4": "sil_stage_1.forward_block.2",
    "frame5": "sil_stage_2.forward_block.0",
    "frame6": "sil_stage_2.forward_block.2",
    "set3": "set_stage_1.0",
    "set4": "set_stage_1.2",
    "set5": "set_stage_2.0",
    "set6": "set_stage_2.2",
}
GLN_PYRAMID = {f"{layer}{level}": f"{layer}_layer{level}" for layer in ("lateral", "smooth") for level in (1, 2, 3)}
# Layers of GaitGL by how many there are; the short form is that of CASIA-B, the long one of OU-MVLP and GREW.
GAITGL_LAYERS = {
    3: ("GLConvA0", "GLConvA1", "GLConvB2"),
    6: ("GLConvA0.0", "GLConvA0.1", "GLConvA1.0", "GLConvA1.1", "GLConvB2.0", "GLConvB2.1"),
}
GAITGL_HEAD = (*batch_norm("bn", "Bn"), Link("classifier.weight", ("Head1.fc_bin",)))
BACKBONE = "Backbone.forward_block"


def model_of(names: Collection[str]) -> str | None:
    """Our name of the model that has tensors of these names; None if none seems to."""
    return next((model for start, model in TELLTALES.items() if any(name.startswith(start) for name in names)), None)


def reading(model: TorchModel, tensors: Mapping[str, Tensor], bnneck: str) -> Reading:
    """How a file of the model's kind is read.

    Raises:
        DataError: no published network is built like this one.
    """
    name, settings = model.architecture.name, model.architecture.settings
    links = LINKS[name](model, bnneck)
    over_parts = any(link.name.startswith("classifier.bn.") for link in links)
    notes = [f"read as {name} of {NAME}" + (f", its batch norm over all parts {bnneck}" if over_parts else "")]
    depth = len([unit for unit in model.architecture.channels if unit.endswith(".whole") or unit.startswith("convs.")])
    for key, published in UNSEEN.get((name, depth), {}).items():
        if settings[key] != published:
            notes.append(f"published weights are for {key}: {published}, and {name} is configured with {settings[key]}")
    return Reading(links, notes)


def _gaitset(model: TorchModel, bnneck: str) -> list[Link]:
    return [*same(GAITSET, "conv.weight", "conv.weight"), Link("fc.weight", ("Head.fc_bin",))]


def _gaitpart(model: TorchModel, bnneck: str) -> list[Link]:
    motion = [
        Link(
            f"{branch}.{module}.weight",
            tuple(
                f"TFA.pooling_func.{foreign}.{part}.{place}.conv.weight"
                for part in range(len(model.get_parameter("fc.weight")))
            ),
        )
        for branch, foreign in (("short", "conv1d3x1"), ("long", "conv1d3x3"))
        for module, place in (("squeeze", 0), ("expand", 2))
    ]
    return [*_plain(model), *motion, Link("fc.weight", ("Head.fc_bin",))]


def _gaitgl(model: TorchModel, bnneck: str) -> list[Link]:
    layers = GAITGL_LAYERS.get(model.architecture.settings["layers"])
    if layers is None:
        raise DataError(f"gaitgl: {NAME} has it with {' or '.join(map(str, GAITGL_LAYERS))} layers")
    stems = [unit for unit in model.architecture.channels if unit.startswith("stem.")]
    # A LeakyReLU has a number of its own.
    modules = {stem: f"conv3d.{2 * number}" for number, stem in enumerate(stems)} | {"aggregation": "LTA.0"}
    for number, layer in enumerate(layers):
        modules |= {
            f"layers.{number}.whole": f"{layer}.global_conv3d",
            f"layers.{number}.local": f"{layer}.local_conv3d",
        }
    return [
        *same(modules, "conv.weight", "conv3d.weight"),
        Link("gem.power", ("HPP.p",)),
        Link("fc.weight", ("Head0.fc_bin",)),
        *(_bnneck(model, bnneck) if model.architecture.settings.get("head") == "bnneck" else GAITGL_HEAD),
    ]


def _gln(model: TorchModel, bnneck: str) -> list[Link]:
    parts, _, embedding = model.state_dict()["fc.weight"].shape
    order = _order(parts, embedding, bnneck)
    return [
        *same(GLN, "conv.weight", "conv.weight"),
        *same(GLN_PYRAMID, "conv.weight", "weight"),
        Link("fc.weight", ("Head.fc_bin",)),
        *batch_norm("classifier.bn", "encoder_bn", order),
        Link("classifier.reduce.weight", ("reduce_fc.weight",), order, axis=1),
        *batch_norm("classifier.reduced_bn", "reduce_bn"),
        Link("classifier.classes.weight", ("reduce_cls.weight",)),
    ]


def _baseline(model: TorchModel, bnneck: str) -> list[Link]:
    return [*_plain(model), *_bnneck_head(model, bnneck)]


def _gaitbase(model: TorchModel, bnneck: str) -> list[Link]:
    convs = {"stem": f"{BACKBONE}.conv1.conv"}
    norms = {"stem": f"{BACKBONE}.bn1"}
    for unit in model.architecture.channels:
        block, _, layer = unit.partition(".")
        foreign = f"{BACKBONE}.{block.replace('block', 'layer')}.0"
        if layer == "shortcut":
            convs[unit], norms[unit] = f"{foreign}.downsample.0", f"{foreign}.downsample.1"
        elif layer:
            convs[unit], norms[unit] = f"{foreign}.{layer}", f"{foreign}.{layer.replace('conv', 'bn')}"
    return [
        *same(convs, "conv.weight", "weight"),
        *(link for module, foreign in norms.items() for link in batch_norm(f"{module}.bn", foreign)),
        *_bnneck_head(model, bnneck),
    ]


def _deepgaitv2(model: TorchModel, bnneck: str) -> list[Link]:
    mode = model.architecture.settings["mode"]
    links = [
        *same({"stem": "layer0.forward_block.0"}, "conv.weight", "weight"),
        *batch_norm("stem.bn", "layer0.forward_block.1"),
    ]
    for unit in list(model.architecture.channels)[1:]:
        stage, place, layer = unit.split(".")
        form = "2d" if stage == "stage1" else mode
        block = f"{stage.replace('stage', 'layer')}.{'forward_block.' if form == '2d' else ''}{place}"
        inner = f"{block}.{layer}"
        # Of pseudo-3D blocks, what works on each frame alone is wrapped, and what stands beside it is 3D there.
        conv, norm, ones = {
            "shortcut": (f"{block}.downsample.0", f"{block}.downsample.1", int(form == "p3d")),
            "temporal": (f"{block}.shortcut3d", f"{block}.sbn", 1),
        }.get(
            layer,
            (f"{inner}.forward_block.0", f"{inner}.forward_block.1", 0)
            if form == "p3d"
            else (inner, inner.replace("conv", "bn"), 0),
        )
        links += [Link(f"{unit}.conv.weight", (f"{conv}.weight",), ones=ones), *batch_norm(f"{unit}.bn", norm)]
    return [*links, *_bnneck_head(model, bnneck)]


def _plain(model: TorchModel) -> list[Link]:
    """The plain convolutions; a LeakyReLU after each and the poolings after the first pairs have numbers of their own."""
    poolings = model.architecture.settings.get("poolings", 2)
    places = {unit: 2 * number + min(number // 2, poolings) for number, unit in enumerate(model.architecture.channels)}
    modules = {unit: f"{BACKBONE}.feature.{place}" for unit, place in places.items()}
    return same(modules, "conv.weight", "conv.weight")


def _bnneck_head(model: TorchModel, bnneck: str) -> list[Link]:
    return [Link("fc.weight", ("FCs.fc_bin",)), *_bnneck(model, bnneck)]


def _bnneck(model: TorchModel, bnneck: str) -> list[Link]:
    parts, _, embedding = model.state_dict()["fc.weight"].shape
    return [
        *batch_norm("classifier.bn", "BNNecks.bn1d", _order(parts, embedding, bnneck)),
        Link("classifier.weight", ("BNNecks.fc_bin",)),
    ]


def _order(parts: int, channels: int, bnneck: str) -> Tensor | None:
    """Where the channels of part 0, of part 1 and so on stand in a file."""
    return None if bnneck == "by-part" else torch.arange(parts * channels).view(channels, parts).T.flatten()


LINKS = {
    "gaitset": _gaitset,
    "gaitpart": _gaitpart,
    "gaitgl": _gaitgl,
    "gln": _gln,
    "baseline": _baseline,
    "gaitbase": _gaitbase,
    "deepgaitv2": _deepgaitv2,
}
