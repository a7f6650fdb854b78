"""The commands, one file per family; each parses, calls one library function, and renders."""

__all__: list[str] = []
