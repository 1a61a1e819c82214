"""An engine that was built, and its device: what benchmark and recognise work with."""

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
    """An engine that was built, and where it runs.

    Attributes:
        variant: which it is.
        device: its device.
        facts: the device's facts file.
        folder: directory with the engine and build.json.
        quantized: directory with the network's files.
        build: what build.json says.
        signature: what is known of the network's file that the engine was built of.
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
        """The network that the engine was built of."""
        return self.quantized / str(self.build.get("onnx"))

    @property
    def without_engine(self) -> str:
        """The status of a variant whose engine does not work: "skipped" if it was not built on purpose, else "failed"."""
        return "skipped" if self.build["status"] == "skipped" else "failed"

    def identity(self) -> dict[str, Any]:
        """What tells this engine from any other."""
        return {key: self.build[key] for key in ("key", "sha256", "onnx_sha256", "runtime", "version")}

    @contextmanager
    def connected(self, what: str) -> Iterator[tuple[Runtime, dict[str, Any]]]:
        """The device's runtime, with the device's facts as they are now.

        Args:
            what: is done with it, such as "the benchmark", for those who wait for the device meanwhile.

        Raises:
            StageError: the engine has to be built again.
            DeviceError: the device is no longer what its facts say.
        """
        with runtime_on(self.device, f"{what} of {self.variant.folder}") as runtime:
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
    """The options that say which engine it is, and where."""
    variant.add_options(parser)
    parser.add_argument("--engine", type=Path, required=True, help="directory with the engine, from the stage build")


def named(given: Namespace) -> Engine:
    """The engine that the options name."""
    build = outputs.read_json(given.engine / "build.json")
    return Engine(
        Variant(given.device, given.model, given.percentile, given.precision),
        inventory.find(given.devices, given.device),
        given.facts,
        given.engine,
        given.quantized,
        build,
        forms.described(given.quantized, str(build.get("onnx"))),
    )
