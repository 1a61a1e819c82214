"""The files of a bundle, after a check that they are the measured ones."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gait.data import plausibility
from gait.data.modalities import flow, silhouettes
from gait.data.prepared import inputs as network_inputs
from gait.data.readers import masks, subtraction
from gait.live import background, drawing, facing, networks, people, pipeline, source, tracks, votes, windows
from gaitpress import forms, outputs
from gaitpress.commands.bundle.card import card
from gaitpress.commands.bundle.places import Places
from gaitpress.commands.bundle.windows import strangers, without_curve
from gaitpress.errors import StageError
from gaitpress.inputs import open_training
from gaitpress.results.records import Row
from remote import runtimes
from remote.digest import sha256
from remote.runtimes.room import Shipped

RUNTIME = Path(__file__).parent / "runtime"
PACKAGE = "gaitpress_runtime"
# Preprocessing must be the same in a bundle as here, so a bundle has the same code.
SHARED = (silhouettes, flow, network_inputs, masks, plausibility, subtraction)
LIVE = (people, background, facing, networks, tracks, windows, votes, source, pipeline, drawing)
LOOKED_AT = 200  # walks of the training, which tell to which side people walk
PROGRAMS = ("identify.py", "watch.py")
CHECKSUMS = "SHA256SUMS"
README = """# {name}

    python3 -m venv .venv
    .venv/bin/pip install -r requirements.txt
    .venv/bin/python identify.py{option} --gallery people --probe unknown

enrols the walks under people/<name>/<walk>/ or people/<name>/<condition>/<view>/ and names the nearest people for each walk
under unknown/; `--help` tells what the pictures must be: silhouettes, no photographs and no videos.

{watch}

`MODEL_CARD.md` says what the network was trained on, how good and fast it is, and its limits.
`model.onnx` is the network as any processor takes it, `settings.json` how its inputs are made, `engine/` what was built
for and measured on {device}, `record.json` the measurement. `sha256sum -c SHA256SUMS` checks the files.

{how}
"""


WATCH = """    .venv/bin/python watch.py{option} --source 0 --enrol ada
    .venv/bin/python watch.py{option} --source 0

enrols ada, who walks by alone, and then names people before the camera. In place of 0, the first camera, --source takes a
film or a stream (rtsp://...); `--help` tells more."""
NO_WATCH = "`watch.py` is for networks of silhouettes: this one takes optical flow of pictures in which one person walks."


def write(row: Row, places: Places, out: Path) -> None:
    """Write a measured variant's bundle into the empty directory ``out``.

    Raises:
        StageError: the variant has no measurement, or the files are not the measured ones.
    """
    if row.status != "ok":
        raise StageError(f"{row.key}: cannot be shipped: {row.status}: {'; '.join(row.reasons)}")
    if "test" not in row.settings:
        raise StageError(f"{row.key}: cannot be shipped: {'; '.join(row.reasons)}")
    build = _checked(row, places)
    (out / "engine").mkdir()
    for name in (build["engine"], "build.json"):
        shutil.copyfile(places.engine / name, out / "engine" / name)
    shutil.copyfile(places.quantized / forms.CPU, out / "model.onnx")
    _write_runtime(row, out)
    _write_texts(row, build, _facing(row, places), strangers(row, places), out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(out).as_posix()}" for path in files]
    (out / CHECKSUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _checked(row: Row, places: Places) -> dict[str, Any]:
    """The content of build.json, after a check that engine, network and record belong together."""
    build: dict[str, Any] = outputs.read_json(places.engine / "build.json")
    remedy = f"run `dvc repro {row.stage}`"
    try:
        engine = places.engine / Path(build["engine"]).name
        digests = {"engine": sha256(engine), "network": sha256(places.quantized / Path(build["onnx"]).name)}
        expected = {"engine": row.record["engine"]["sha256"], "network": build["onnx_sha256"]}
    except FileNotFoundError as error:
        raise StageError(f"{error.filename}: no such file; {remedy} or `dvc pull`") from None
    except (KeyError, TypeError):
        raise StageError(f"{places.engine}/build.json and the record do not belong together; {remedy}") from None
    for part, digest in digests.items():
        if digest != expected[part]:
            raise StageError(f"{row.key}: the {part} is not the one that was measured; {remedy}")
    return {**build, "engine": engine.name}


def _write_runtime(row: Row, out: Path) -> None:
    package = out / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text('"""Preprocessing and recognition."""\n', encoding="utf-8")
    shipped = _shipped(row)
    for module in (*SHARED, *LIVE):
        file = Path(str(module.__file__))
        (package / file.name).write_text(_as_shipped(file.read_text(encoding="utf-8")), encoding="utf-8")
    for file in shipped.modules:
        shutil.copyfile(file, package / file.name)
    shutil.copyfile(shipped.loader, package / "engine.py")
    for file in sorted(RUNTIME.glob("*.py")):
        shutil.copyfile(file, (out if file.name in PROGRAMS else package) / file.name)


def _as_shipped(text: str) -> str:
    """The text of a module with its imports of other shipped modules as a bundle has them."""
    for module in (*SHARED, *LIVE):
        package, _, name = module.__name__.rpartition(".")
        text = text.replace(f"from {module.__name__} import ", f"from {PACKAGE}.{name} import ")
        text = text.replace(f"from {package} import {name}\n", f"from {PACKAGE} import {name}\n")
    return text


def _facing(row: Row, places: Places) -> str | None:
    """To which side the people of the training walk, for watch.py; None if it is not clear or the data are gone."""
    if (data := places.silhouettes(row, "training", open_training)) is None:
        return None
    training, store = data
    chosen = np.linspace(0, len(training.train) - 1, min(LOOKED_AT, len(training.train))).round().astype(int)
    return facing.side(store.frames(store.sequences[training.train[place]]) for place in chosen)


def _write_texts(
    row: Row, build: Mapping[str, Any], side: str | None, of_windows: Mapping[str, Any] | None, out: Path
) -> None:
    option = " --engine" if _shipped(row).engine_first else ""
    watched = row.settings["data"]["preprocess"]["kind"] == "silhouette"
    texts = {
        "MODEL_CARD.md": card(row, build, of_windows),
        "README.md": README.format(
            name=row.name,
            device=row.device,
            option=option,
            watch=WATCH.format(option=option) if watched else NO_WATCH,
            how=_shipped(row).how.format(device=row.device),
        ),
        "requirements.txt": "".join(f"{name}\n" for name in _requirements(row)),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    engine = {"file": f"engine/{build['engine']}", "runtime": _runtime(row), "version": _version(row)}
    settings = {
        "preprocessing": row.settings["data"]["preprocess"],
        "fps": row.settings["data"]["fps"],
        "signature": row.get("signature"),
        "distance": row.get("accuracy", "distance"),
        "walks": without_curve(row.deployed_open_set) or {"enrolled": None, "promised": []},
        "windows": of_windows,
        "engine": engine,
        "facing": side,
    }
    for name, value in {"settings.json": settings, "record.json": dict(row.record)}.items():
        (out / name).write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _requirements(row: Row) -> list[str]:
    """The packages that the measurement used; numpy may be any version that these take."""
    common = ["numpy", f"opencv-python-headless=={version('opencv-python-headless')}"]
    return [*common, *(text.format(version=_version(row)) for text in _shipped(row).requirements)]


def _shipped(row: Row) -> Shipped:
    """The parts of the runtime that the bundle holds."""
    shipped: Shipped = runtimes.part(_runtime(row), "bundle").SHIPPED
    return shipped


def _runtime(row: Row) -> str:
    runtime: str = row.get("engine", "runtime")
    return runtime


def _version(row: Row) -> str:
    text: str = row.get("engine", "version")
    return text


def archive(folder: Path, out: Path, name: str) -> None:
    """Write a folder as a zip file with everything below ``name``; the same content makes the same file."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
