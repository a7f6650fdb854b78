"""How a table is written, one file per format, named as it; each offers a FORMAT and is loaded when it is asked for."""

__all__: list[str] = []
