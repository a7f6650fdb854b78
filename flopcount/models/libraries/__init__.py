"""Models of other libraries: one file per library, named as its prefix, and the registry that finds them."""

__all__: list[str] = []
