"""A bundle as a model of MLflow.

model = mlflow.pyfunc.load_model("models:/NAME@champion")
signature = model.predict({"silhouettes": frames})                     # uint8 [frames, height, width], the person bright
model.predict({"silhouettes": others, "gallery": {"ada": signature}})  # [("ada", 0.31), ...], the nearest first

Networks of optical flow need "video" too, a grey frame for each silhouette. MLflow's environment has the packages of the
bundle's requirements.txt.
"""

import importlib
import sys
from pathlib import Path


class Model:
    """The network of a bundle on this machine's processor."""

    def __init__(self, folder):
        sys.path.insert(0, str(folder))
        try:
            self._parts = importlib.import_module("gaitpress_runtime.recogniser")
        finally:
            sys.path.remove(str(folder))
        self._recogniser = self._parts.Recogniser.open(folder)

    def predict(self, model_input, params=None):
        """The signature of a walk, float32 [parts, channels]; with a gallery, people and their distances."""
        signature = self._recogniser.signature(model_input["silhouettes"], model_input.get("video"))
        if "gallery" not in model_input:
            return signature
        gallery = self._parts.Gallery(self._recogniser.distance)
        for name, enrolled in model_input["gallery"].items():
            gallery.enrol(name, enrolled)
        return gallery.identify(signature)


def _load_pyfunc(data_path):
    return Model(Path(data_path))
