"""The gallery as a file: the signatures of people who were enrolled, by name, and nothing else of them.

It is JSON. Its signatures are numbers of one network, by whose digest the file knows it: other networks cannot use them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from gaitpress_runtime.recogniser import Gallery

FORM = 1  # of the file


@dataclass
class GalleryFile:
    """A gallery on disk; see :meth:`open`.

    Attributes:
        path: the file, which need not be there yet.
        network: the digest of the network that made the signatures.
        people: by name, each signature: "enrolled" (when), "windows" (how many), "shape" and "signature".
    """

    path: Path
    network: str
    people: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, bundle: Path) -> GalleryFile:
        """Read a gallery, or begin one.

        Args:
            path: of the gallery.
            bundle: the folder whose network makes the signatures.

        Raises:
            ValueError: the file is no gallery, or one of another network.
        """
        network = hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
        if not path.exists():
            return cls(path, network)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            gallery = cls(path, content["network"], content["people"])
            known = content["form"] == FORM
            for name in gallery.people:
                gallery.signatures(name)
        except (ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            raise ValueError(f"{path}: is no gallery that this program knows")
        if gallery.network != network:
            raise ValueError(f"{path}: its signatures are of another network; enrol anew, as with --gallery gallery-2.json")
        return gallery

    def signatures(self, name: str) -> list[np.ndarray]:
        """Those of a person, float32 [parts, channels] each."""
        return [
            np.frombuffer(base64.b64decode(entry["signature"], validate=True), "<f4").reshape(entry["shape"])
            for entry in self.people[name]
        ]

    def loaded(self, distance: str) -> Gallery:
        """A gallery to identify by."""
        gallery = Gallery(distance)
        for name in self.people:
            for signature in self.signatures(name):
                gallery.enrol(name, signature)
        return gallery

    def enrol(self, name: str, signature: np.ndarray, windows: int) -> None:
        """Add a signature of a person, the mean of so many windows', and write the file."""
        values = np.ascontiguousarray(signature, "<f4")
        entry = {
            "enrolled": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "windows": windows,
            "shape": list(values.shape),
            "signature": base64.b64encode(values.tobytes()).decode("ascii"),
        }
        self._as_on_disk()
        self.people.setdefault(name, []).append(entry)
        self._write(self.path, self.people)

    def forget(self, name: str) -> int:
        """Delete a person from the file; returns the number of signatures that are gone.

        Raises:
            ValueError: nobody has that name.
        """
        self._as_on_disk()
        self._known(name)
        gone = self.people.pop(name)
        self._write(self.path, self.people)
        return len(gone)

    def export(self, name: str, to: Path) -> None:
        """Write a gallery of one person, which another can take over.

        Raises:
            ValueError: nobody has that name, or the file is there already.
        """
        self._known(name)
        if to.exists():
            raise ValueError(f"{to}: is there already")
        self._write(to, {name: self.people[name]})

    def add(self, other: GalleryFile) -> None:
        """Take over the people of another gallery of the same network; signatures that are here already are not doubled."""
        self._as_on_disk()
        for name, theirs in other.people.items():
            mine = self.people.setdefault(name, [])
            mine += [entry for entry in theirs if entry not in mine]
        self._write(self.path, self.people)

    def in_words(self) -> str:
        """A line for each person."""
        lines = [
            f"{name}: {_counted(entries)} of {sum(entry['windows'] for entry in entries)} windows, "
            f"last enrolled {max(entry['enrolled'] for entry in entries)}"
            for name, entries in self.people.items()
        ]
        return "\n".join(lines) or "nobody is enrolled"

    def _known(self, name: str) -> None:
        if name not in self.people:
            known = ", ".join(self.people) or "nobody"
            raise ValueError(f"{self.path}: {name} is not enrolled; there is: {known}")

    def _as_on_disk(self) -> None:
        """Take over what another program wrote meanwhile."""
        if self.path.exists():
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["network"] == self.network:
                self.people = content["people"]

    def _write(self, path: Path, people: dict[str, list[dict[str, Any]]]) -> None:
        """Write a whole new file, which only its owner can read, in place of the former."""
        content = {"form": FORM, "network": self.network, "people": people}
        descriptor, name = tempfile.mkstemp(dir=str(path.parent), prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise


def _counted(entries: list[dict[str, Any]]) -> str:
    return f"{len(entries)} signature{'s' * (len(entries) != 1)}"
