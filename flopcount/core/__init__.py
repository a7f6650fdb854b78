"""The nouns, which need neither torch nor a formula: operations, results, tables, clips, units, errors."""

__all__: list[str] = []
