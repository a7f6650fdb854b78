"""A sweep as a table, a DataFrame and a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from ..analysis.sweep_rows import CHUNK, Configuration, SweepRows, sweep_rows
from ..core.quantity import of_layers

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

__all__ = ["Sweep", "sweep"]


class Sweep(SweepRows):
    """All configurations of a grid, in the order given, with their costs."""

    def to_pandas(self) -> pandas.DataFrame:
        """One row per configuration, exact integers; a failure has none, and says why.

        A column `assumed` is there where a count had to invent values that decide it.
        """
        import pandas

        from ..output.frame import column_of

        costs = [row.cost for row in self.rows]
        assumed = ["; ".join(row.assumed) for row in self.rows]
        return pandas.DataFrame(
            {
                **{name: column_of([row.configuration.get(name) for row in self.rows]) for name in self.names},
                **{
                    name: pandas.array([None if cost is None else cost[name] for cost in costs], dtype="Int64")
                    for name in (quantity.name for quantity in of_layers())
                },
                "problem": column_of([row.problem for row in self.rows]),
                **({"assumed": column_of(assumed)} if any(assumed) else {}),
            }
        )

    def plot(self, x: str, ax: Axes | None = None, *, dark: bool = False) -> Axes:
        """MACs against one of the names, a line for each combination of the others."""
        from .figures import sweep_lines

        return sweep_lines(self, x, ax, dark=dark)


def sweep(
    build: Callable[..., Any],
    grid: Mapping[str, Iterable[Any]] | Iterable[Configuration],
    *,
    executor: Executor | None = None,
    chunk: int = CHUNK,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Sweep:
    """Count every configuration of a grid.

    Arguments:
        build: takes a configuration as keyword arguments and returns (module, input), or a Report. It runs without
            weights where it can. An executor of processes must be able to import it.
        grid: names with their values, of which every combination is counted; or configurations.
        executor: any `concurrent.futures.Executor`: a process pool, or a Dask cluster by `Client.get_executor()`; this
            process where None. The caller shuts it down.
        chunk: configurations handed out at once.
        progress: called with how many are done, and of how many (None where `grid` is an iterator).

    Raises:
        InputError: the grid is empty, or neither names with values nor configurations.
    """
    return Sweep(sweep_rows(build, grid, executor=executor, chunk=chunk, progress=progress).rows)
