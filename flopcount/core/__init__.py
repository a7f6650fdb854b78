"""The nouns, without torch and without a formula: operations, results, tables, clips, units, errors."""

__all__: list[str] = []
