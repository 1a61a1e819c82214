"""The error that a command line ends with in one line."""


class StageError(Exception):
    """An input of a stage is missing or does not fit; the message names the file or key."""
