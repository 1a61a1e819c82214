"""Of the section `select`; an edit makes the report again."""

from typing import Final

MAX_LOSS: Final = 1.0  # points of mean rank-1
SURE: Final = False
