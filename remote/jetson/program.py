"""Our program for a board, as one file that its Python runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

PACKAGES = ("remote", "remote/jetson", "remote/jetson/onboard")
ROOT = Path(__file__).parents[2]
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write(path: Path) -> None:
    """Write the program; the same sources give the same bytes, so that a board that has them is not sent them again."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in PACKAGES[:-1]:
            _add(archive, f"{package}/__init__.py", (ROOT / package / "__init__.py").read_bytes())
        for source in sorted((ROOT / PACKAGES[-1]).glob("*.py")):
            _add(archive, f"{PACKAGES[-1]}/{source.name}", source.read_bytes())
        _add(archive, "__main__.py", b"import sys\n\nfrom remote.jetson.onboard.main import main\n\nmain(sys.argv[1:])\n")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
