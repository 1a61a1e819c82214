"""Of the section `prune`; an edit prunes again."""

from typing import Final

RECONSTRUCT: Final = True
