"""Models of other libraries: one file or sub-package per library, named as its prefix, which holds its LIBRARY."""

__all__: list[str] = []
