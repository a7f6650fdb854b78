"""Models of other libraries by prefix, one file each."""

__all__: list[str] = []
