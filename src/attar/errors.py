"""The one error that users meet."""

__all__ = ["AttarError"]


class AttarError(ValueError):
    """Bad input, told in one sentence: what was wrong, where, what to do. The command prints it without a traceback."""
