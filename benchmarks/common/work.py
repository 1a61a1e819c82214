"""A folder in which a benchmark runs stages. It makes no output again, so an interrupted benchmark goes on."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitpress import outputs, params
from gaitpress import settings as made_with
from gaitpress.frameworks import framework


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Work:
    """A folder of outputs of stages.

    Args:
        where: the folder, which is created if it is missing.
        settings: the sections of params.yaml.
    """

    def __init__(self, where: Path, settings: Mapping[str, Any]) -> None:
        self.where = where
        self.settings = settings
        where.mkdir(parents=True, exist_ok=True)

    def params(self, name: str, **sections: Any) -> Path:
        """Write the file of settings with some sections changed; end with an error if the folder has it with others."""
        text, path = json.dumps({**self.settings, **sections}), self.where / f"{name}.yaml"
        if path.exists() and path.read_text(encoding="utf-8") != text:
            sys.exit(f"error: {path}: made with other settings; take an empty folder for --work")
        path.write_text(text, encoding="utf-8")
        return path

    def stage(self, name: str, out: str, params: Path, *words: str, option: str = "--out") -> Path:
        """Run a stage unless its output, which ``option`` names, is there."""
        path = self.where / out
        if not path.exists():
            print(f"{time.strftime('%H:%M:%S')} {name} {out}", file=sys.stderr)
            command = [sys.executable, "-m", f"stages.{name}", "--params", str(params), option, str(path), *words]
            before = _child_seconds()
            if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
                sys.exit(f"error: the stage {name} failed")
            outputs.write_json(self._seconds_file, {**self.seconds(), out: round(_child_seconds() - before, 2)})
        return path

    @property
    def _seconds_file(self) -> Path:
        return self.where / "seconds.json"

    def seconds(self) -> dict[str, float]:
        """The CPU seconds that each output took, by its name."""
        return outputs.read_json(self._seconds_file) if self._seconds_file.exists() else {}

    def fresh(self, model: str, file: Path, classes: int, /, **facts: Any) -> Path:
        """The folder of a model with fresh weights, as its last phase of training has it.

        Args:
            model: an entry of ``model``.
            file: params.yaml.
            classes: of its classifier.
            facts: what it would have been made with.
        """
        path = self.where / f"fresh/{model}"
        if not path.exists():
            entry = params.load(file).entry(model).phases()[-1]
            library = framework(entry.framework)
            with outputs.new_directory(path) as out:
                library.save(library.build(model, entry, classes), out)
                made_with.write(out, {}, **facts)
        return path

    def prepare(self, model: str) -> None:
        """Make the walkers, the frames of the model's modality and the model's partition."""
        modality = self.settings["model"][model]["modality"]
        params, preprocessed = self.params("data"), str(self.where / "preprocessed")
        raw = str(self.stage("dataset", "walkers", params))
        words = ["--modality", modality, "--dataset", raw]
        self.stage("preprocess", f"preprocessed/{modality}", params, *words)
        words = ["--model", model, "--preprocessed", preprocessed, "--code", str(self.where / f"code/{model}.json")]
        words += ["--test", str(self.where / f"test/{model}.json"), "--protocol", str(self.where / f"protocol/{model}.json")]
        self.stage("partition", f"training/{model}.json", params, *words, option="--training")

    def training(self, model: str) -> list[str]:
        """The options of stages that read a model's training sequences."""
        return ["--training", str(self.where / f"training/{model}.json"), "--preprocessed", str(self.where / "preprocessed")]

    def test(self, model: str) -> list[str]:
        """The options of stages that read a model's test sequences."""
        return ["--test", str(self.where / f"test/{model}.json"), "--preprocessed", str(self.where / "preprocessed")]
