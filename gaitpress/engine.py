"""A built engine and its device, with which `benchmark` and `recognise` work."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitpress import forms, outputs, variant
from gaitpress.errors import StageError
from gaitpress.variant import Variant
from remote import facts, inventory
from remote.errors import StaleEngine
from remote.runtimes import Runtime, runtime_on


@dataclass(frozen=True)
class Engine:
    """A built engine, and where it runs.

    Attributes:
        variant: the variant whose engine it is.
        device: its device.
        facts: the device's facts file.
        folder: directory with the engine and build.json.
        quantized: directory with the network's files.
        build: the content of build.json.
        signature: the facts about the network's file that the engine was built of.
    """

    variant: Variant
    device: inventory.Device
    facts: Path
    folder: Path
    quantized: Path
    build: Mapping[str, Any]
    signature: dict[str, Any]

    @property
    def onnx(self) -> Path:
        """The network's file that the engine was built of."""
        return self.quantized / str(self.build.get("onnx"))

    @property
    def without_engine(self) -> str:
        """The status of a variant whose engine does not work: "skipped" if it was not built on purpose, else "failed"."""
        return "skipped" if self.build["status"] == "skipped" else "failed"

    def identity(self) -> dict[str, Any]:
        """The entries of build.json that tell this engine from any other."""
        return {key: self.build[key] for key in ("key", "sha256", "onnx_sha256", "runtime", "version")}

    @contextmanager
    def connected(self, work: str, times: bool = True) -> Iterator[tuple[Runtime, dict[str, Any]]]:
        """The device's runtime, with the device's facts as they are now.

        Args:
            work: what the engine is used for, such as "the benchmark"; whoever waits for the device reads it.
            times: whether times are measured, so that nothing else may run there.

        Raises:
            StageError: the engine has to be built again.
            DeviceError: the device is no longer what its facts say.
        """
        with runtime_on(self.device, f"{work} of {self.variant.folder}", times) as runtime:
            now = runtime.facts()
            facts.check(self.variant.device, facts.read(self.facts, self.variant.device), now)
            try:
                yield runtime, now
            except StaleEngine as error:
                raise StageError(f"{error}; build it again: `dvc repro -f -s {self.variant.address('build')}`") from None

    def check(self, runtime: Runtime) -> None:
        """Make sure that the engine is the one that was built on this device, of this network.

        Raises:
            StaleEngine: it is not.
            EngineFailed: its build failed or was skipped.
        """
        runtime.check(self.folder, self.onnx)


def add_options(parser: ArgumentParser) -> None:
    """Add the options that say which engine it is, and where."""
    variant.add_options(parser)
    parser.add_argument("--engine", type=Path, required=True, help="directory with the engine, from the stage build")


def named(options: Namespace) -> Engine:
    """The engine that the options name."""
    build = outputs.read_json(options.engine / "build.json")
    return Engine(
        Variant(options.device, options.model, options.percentile, options.precision),
        inventory.find(options.devices, options.device),
        options.facts,
        options.engine,
        options.quantized,
        build,
        forms.described(options.quantized, str(build.get("onnx"))),
    )
