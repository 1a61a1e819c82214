"""What can go wrong with gait data and models."""


class DataError(ValueError):
    """Data or settings do not fit; the message names the file or key."""
