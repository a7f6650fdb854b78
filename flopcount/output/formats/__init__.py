"""How a table is written: one file per format, under its name; each offers a FORMAT and is loaded on first use."""

__all__: list[str] = []
