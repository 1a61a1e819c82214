"""Packages of Python that hold nothing but their version, as pip installs them."""

from __future__ import annotations

import zipfile
from pathlib import Path


def index(folder: Path, **versions: str) -> Path:
    """A folder with a wheel of each package, for pip's --find-links."""
    folder.mkdir(parents=True)
    for name, version in versions.items():
        about = f"{name}-{version}.dist-info"
        files = {
            f"{name}/__init__.py": f'__version__ = "{version}"\n',
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for file, content in files.items():
                wheel.writestr(file, content)
    return folder
