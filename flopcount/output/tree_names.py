"""Names in a tree: of each line the line above that it is part of, and its name without what that says."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.table import Table

__all__ = ["below_parents", "named_below", "parents_of"]


def parents_of(levels: Sequence[int]) -> list[int | None]:
    """For each line the place of its parent; None at level 0."""
    parents: list[int | None] = []
    above: list[int] = []
    for place, level in enumerate(levels):
        parents.append(above[level - 1] if 0 < level <= len(above) else None)
        above[level:] = [place]
    return parents


def below_parents(names: Sequence[str], parents: Sequence[int | None]) -> list[str]:
    """Paths without the path of their parent: below `layer1` stands `…0.conv1` for `layer1.0.conv1`."""
    above = [f"{names[parent]}." if parent is not None else "" for parent in parents]
    return [
        f"…{name.removeprefix(start)}" if start and name.startswith(start) else name
        for name, start in zip(names, above, strict=True)
    ]


def named_below(table: Table) -> list[tuple[int, str]]:
    """Of each line of a table its level and its name below its parent."""
    levels = [line.level for line in table.lines]
    names = below_parents([str(line.values[0]) for line in table.lines], parents_of(levels))
    return list(zip(levels, names, strict=True))
