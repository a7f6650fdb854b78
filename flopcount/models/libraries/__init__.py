"""Models of other libraries: one file or sub-package per library, named like its prefix, with its LIBRARY."""

__all__: list[str] = []
