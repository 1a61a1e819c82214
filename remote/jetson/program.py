"""Our program for a board, as one file that its Python runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOARD = "remote/jetson/onboard"
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write(path: Path, more: str | None = None) -> None:
    """Write the program; the same sources give the same bytes, so that a board that has them is not sent them again.

    Args:
        path: of the program.
        more: a package with what a runtime adds, relative to the repository; its module ``main`` is the one that runs.
    """
    packages = [BOARD, *([more] if more else [])]
    around = {str(folder) for package in packages for folder in Path(package).parents if folder.name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in sorted(around):  # what our packages lie in does nothing there
            _add(archive, f"{package}/__init__.py", b"")
        for package in packages:
            for source in sorted((ROOT / package).glob("*.py")):
                _add(archive, f"{package}/{source.name}", source.read_bytes())
        module = packages[-1].replace("/", ".")
        _add(archive, "__main__.py", f"import sys\n\nfrom {module}.main import main\n\nmain(sys.argv[1:])\n".encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
