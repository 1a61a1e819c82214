"""A bundle on the device that it was built for, whose watch.py sees films there."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitpress import outputs
from gaitpress.errors import StageError
from remote.connection import killed_there
from remote.errors import DeviceError, LinkLost, ended_by
from remote.python import opencv
from remote.python.runtime import PythonRuntime
from remote.runtimes import Runtime
from remote.runtimes.tensorrt.runtime import TensorRT
from remote.transport import Finished, Transport


def way(runtime: Runtime) -> tuple[Transport, str]:
    """The way to a runtime's device, and the Python there that runs its engines.

    Raises:
        StageError: the runtime has none.
    """
    if isinstance(runtime, PythonRuntime):
        return runtime.link, runtime.agent.python
    if isinstance(runtime, TensorRT):
        return runtime.transport, runtime.board.python
    raise StageError(f"{type(runtime).__name__} runs engines in no Python of the device, as a bundle's watch.py would")


class There:
    """A bundle and films on a device, in a folder that goes with the connection.

    Args:
        link: the way to the device.
        python: a Python there that has what the bundle needs.
        bundle: a .zip file with the bundle in a folder of its own name.
        films: by the names that :meth:`watch` takes.

    Attributes:
        opencv: the version of OpenCV there.

    Raises:
        DeviceError: OpenCV is not there, or the files cannot be brought there.
    """

    def __init__(self, link: Transport, python: str, bundle: Path, films: Mapping[str, Path]) -> None:
        self._link, self._python = link, python
        self.opencv = opencv.brought(link, python)
        # A link that breaks meanwhile is renewed, and what has arrived stays; so the folder is made once all is there.
        placed = {name: link.place(film) for name, film in films.items()}
        archive = link.place(bundle)
        self._folder = link.scratch
        self._bundle = f"{self._folder}/{bundle.stem}"
        self._run([python, "-m", "zipfile", "-e", archive, self._folder], "the bundle cannot be unpacked there")
        for name, film in placed.items():
            self._run(["ln", "-s", "--", film, self._film(name)], "the film has no place there")

    def enrol(self, film: str, name: str) -> None:
        """Enrol the person of a film.

        Raises:
            DeviceError: watch.py failed.
        """
        self._watch(film, "--enrol", name)

    def watch(self, film: str, here: Path) -> dict[str, Any]:
        """The figures of watch.py for a film that plays at its own rate.

        Args:
            film: its name.
            here: a folder of this computer for the file with the figures.

        Raises:
            DeviceError: watch.py failed.
        """
        figures = f"{self._folder}/{film}.json"
        self._watch(film, "--live", "--figures", figures)
        self._link.fetch(figures, here / f"{film}.json")
        measured: dict[str, Any] = outputs.read_json(here / f"{film}.json")
        return measured

    def _film(self, name: str) -> str:
        return f"{self._folder}/{name}.avi"

    def _watch(self, film: str, *words: str) -> None:
        command = [self._python, f"{self._bundle}/watch.py", "--source", self._film(film), "--headless", "--engine"]
        self._run([*command, "--gallery", f"{self._folder}/gallery.json", *words], "watch.py failed there")

    def _run(self, command: list[str], failed: str) -> None:
        if self._link.scratch != self._folder:  # which a new connection has anew
            raise LinkLost(f"{self._link.name}: the connection was lost, and the bundle and its films there with it")
        done = self._link.run(command)
        if done.code:
            raise DeviceError(f"{self._link.name}: {failed}: {self._why(done)}")

    def _why(self, done: Finished) -> str:
        if done.code == -signal.SIGKILL:
            return str(killed_there(self._link, "it"))
        if done.code < 0:
            return ended_by("it", -done.code)
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("error: ") if lines else f"it ended with status {done.code}"
