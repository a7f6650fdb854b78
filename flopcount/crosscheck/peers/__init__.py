"""The counters that a check can ask, one file each."""

__all__: list[str] = []
