"""How objects that are read as tables show themselves: as text where they are printed, as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .one_line import OneLine
from .table import Table

__all__ = ["ShownAsTable", "ShownAsTables"]


class ShownAsTables(OneLine):
    """What is read as tables: `str` has them as text, and a notebook as HTML, light or dark."""

    __slots__ = ()

    def _tables(self) -> Iterable[Table]:
        """The tables that show it, in their order."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._tables()))

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self._tables())


class ShownAsTable(ShownAsTables):
    """What is read as the one table that its `table()` gives."""

    __slots__ = ()

    if TYPE_CHECKING:

        def table(self) -> Table:
            """Which every such class has."""

    def _tables(self) -> Iterable[Table]:
        return (self.table(),)
