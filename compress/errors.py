"""What can go wrong in compression."""


class CompressionError(ValueError):
    """A network cannot be pruned, exported or quantised as asked; the message says what and why."""
