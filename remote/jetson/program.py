"""Our program for a board, as one file that its Python runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOARD = "remote/jetson/onboard"
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write(path: Path, extra: str | None = None) -> None:
    """Write the program; the same sources give the same bytes, so no board gets the same program twice.

    Args:
        path: the file of the program.
        extra: a package that a runtime adds, relative to the repository; then its module ``main`` runs.
    """
    packages = [BOARD, *([extra] if extra else [])]
    parents = {str(folder) for package in packages for folder in Path(package).parents if folder.name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in sorted(parents):  # the packages around ours do nothing there
            _add(archive, f"{package}/__init__.py", b"")
        for package in packages:
            for source in sorted((ROOT / package).glob("*.py")):
                _add(archive, f"{package}/{source.name}", source.read_bytes())
        module = packages[-1].replace("/", ".")
        _add(archive, "__main__.py", f"import sys\n\nfrom {module}.main import main\n\nmain(sys.argv[1:])\n".encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
