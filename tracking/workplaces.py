"""Who tracks: a copy of the repository in which somebody works. On a shared server it tells one's runs from colleagues'."""

from __future__ import annotations

import getpass
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from gaitpress import outputs
from gaitpress.errors import StageError

FILE = "workplace.json"
TAG = "workplace."  # and the key: the runs that this workplace has as its own


@dataclass(frozen=True)
class Workplace:
    """A copy of the repository.

    Attributes:
        key: the letters that tell it from all others.
        owner: who works where, such as "ada@lab", for people.
    """

    key: str
    owner: str

    @property
    def tag(self) -> str:
        """The tag of its runs."""
        return f"{TAG}{self.key}"


def of(folder: Path) -> Workplace:
    """The workplace that a folder belongs to; its key is in a file there.

    Whoever copies the folder gets a key of their own: a copy has another inode. A folder that is moved keeps both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, inode = folder / FILE, folder.stat().st_ino
    try:
        noted = outputs.read_json(file) if file.exists() else {}
    except StageError:
        noted = {}  # a loss of power left half a file
    if not isinstance(noted, dict) or noted.get("inode") != inode or not isinstance(noted.get("key"), str):
        noted = {"key": secrets.token_hex(4), "inode": inode}
        outputs.write_json(file, noted)
    return Workplace(noted["key"], _owner())


def _owner() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
