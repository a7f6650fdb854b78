"""A sweep as a table, a DataFrame and a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from ..analysis.sweep_rows import CHUNK, Configuration, SweepRows, sweep_rows
from ..hardware.setting import Setting
from .chart_size import SPREAD

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

__all__ = ["Sweep", "sweep"]


class Sweep(SweepRows):
    """All configurations of a grid, in the order given, with their costs."""

    def to_pandas(self) -> pandas.DataFrame:
        """One row per configuration, exact integers; a failure has none, and says why.

        A column `assumed` is there where a count had to invent values that decide it. What a device spends is in
        seconds, joules and units of the currency, with the range of the time, and `on` says which device.
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
                    for name in (quantity.name for quantity in self.quantities if not quantity.pico)
                },
                **({} if self.pricing is None else self._spent()),
                "problem": column_of([row.problem for row in self.rows]),
                **({"assumed": column_of(assumed)} if any(assumed) else {}),
            }
        )

    def _spent(self) -> dict[str, Any]:
        from ..output.frame import column_of

        spans = ("bound", "low", "high")
        return {
            **{
                quantity.key: column_of(
                    [None if row.cost is None else float(quantity.exact(row.cost[quantity.name])) for row in self.rows]
                )
                for quantity in self.quantities
                if quantity.pico
            },
            **{
                f"time_{name}_s": column_of([row.times and getattr(row.times, name) for row in self.rows])
                for name in spans
            },
            "on": column_of(["" if row.pricing is None else row.pricing.conditions for row in self.rows]),
        }

    def plot(
        self, x: str, ax: Axes | None = None, *, y: str = "macs", dark: bool = False, width: str = SPREAD.name
    ) -> Axes:
        """MACs, or "time" with its range, against one of the names, a line for each combination of the others.

        `width` is "3.3in", "7in", "slide" or "page".
        """
        from .figures import sweep_lines

        return sweep_lines(self, x, ax, y=y, dark=dark, width=width)


def sweep(
    build: Callable[..., Any],
    grid: Mapping[str, Iterable[Any]] | Iterable[Configuration],
    *,
    on: Setting | str | None = None,
    executor: Executor | None = None,
    chunk: int = CHUNK,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Sweep:
    """Count every configuration of a grid.

    Arguments:
        build: takes a configuration as keyword arguments and returns (module, input), or a Report. It runs without
            weights where it can. An executor of processes must be able to import it.
        grid: names with their values, of which every combination is counted; or configurations.
        on: a device to estimate time and energy on, such as "rtx-4090"; a `Setting` also says in which precision,
            whether compiled, and at which price. The builder then returns (module, input).
        executor: any `concurrent.futures.Executor`: a process pool, or a Dask cluster by `Client.get_executor()`; this
            process where None. The caller shuts it down.
        chunk: configurations handed out at once.
        progress: called with how many are done, and of how many (None where `grid` is an iterator).

    Raises:
        InputError: the grid is empty, or neither names with values nor configurations; or no such device.
    """
    setting = Setting.named(on) if isinstance(on, str) else on
    return Sweep(sweep_rows(build, grid, on=setting, executor=executor, chunk=chunk, progress=progress).rows)
