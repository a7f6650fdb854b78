"""Readers of a result, one file each: its tables, formulas, span, memory, receptive field, differences, sweeps."""

__all__: list[str] = []
