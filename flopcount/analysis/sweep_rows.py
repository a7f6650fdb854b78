"""Counting many configurations: every point of a grid, or of any list, in this process or on an executor.

What enters is something that builds a model from a configuration; what leaves are SweepRows: for each configuration
its cost, or the reason why there is none. Work is handed out in chunks and comes back by chunk, so a chunk whose
worker died is handed out again: no configuration is lost, and none is counted twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, product
from typing import Any, TypeAlias

from ..core.amount import Amount, in_brief
from ..core.errors import FlopcountError, InputError, TraceError, UnknownNameError
from ..core.model_spec import NAMELESS, ModelSpec
from ..core.one_line import OneLine
from ..core.pricing import LOW_TO_HIGH, Pricing, Times, unit_of
from ..core.protocol import ONE_VIEW, Clip, Protocol
from ..core.quantity import PICO, Quantity, of_layers, quantity_column
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import plural, times
from ..count import count, count_named
from ..hardware.setting import Setting
from ..symbolic.axes import Axes
from ..tracing import require_room, weighted, weightless
from ..tracing.callables import as_module

__all__ = ["Configuration", "SweepRow", "SweepRows", "build_of_zoo", "clip_axes", "sweep_rows"]

Configuration: TypeAlias = Mapping[str, Any]
"""Names and values that a builder takes as keyword arguments."""

CHUNK = 32  # configurations handed out at once: a second of work, so that handing out costs little
_ATTEMPTS = 3  # of a chunk whose worker dies; what kills three workers is reported as a failure


@dataclass(frozen=True, slots=True)
class SweepRow(OneLine):
    """One configuration: its cost, or the error; `assumed` names the values that its count had to invent.

    On a device the cost knows time, energy and money, and `pricing` has the range of the time and what it rests on.
    """

    configuration: Configuration
    cost: Amount | None = None
    uncosted: tuple[str, ...] = ()
    error: str = ""
    assumed: tuple[str, ...] = ()
    pricing: Pricing | None = None

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates, where it could be counted."""
        return None if self.cost is None else self.cost.macs

    @property
    def other_flops(self) -> int | None:
        """FLOPs outside contractions, where it could be counted."""
        return None if self.cost is None else self.cost.other_flops

    @property
    def params(self) -> int | None:
        """Parameters, where it could be counted."""
        return None if self.cost is None else self.cost.params

    @property
    def times(self) -> Times | None:
        """Seconds on a device: bound, estimate and range, where it was priced."""
        return None if self.pricing is None else self.pricing.times

    @property
    def problem(self) -> str:
        """Why its cost is missing or incomplete; empty where it is complete."""
        return self.error or (f"uncosted: {', '.join(self.uncosted)}" if self.uncosted else "")

    def _headline(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.configuration.items())
        return f"{values}: {self.error or (in_brief(self.cost) if self.cost is not None else 'not counted')}"


@dataclass(frozen=True, slots=True)
class SweepRows(ShownAsTable):
    """All configurations, in the order given."""

    rows: tuple[SweepRow, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in which configurations differ."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.configuration))

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that every configuration has that could be counted, in column order."""
        costs = [row.cost for row in self.rows if row.cost is not None]
        return tuple(q for q in of_layers(next(iter(costs), None)) if all(cost.knows(q) for cost in costs))

    @property
    def pricing(self) -> Pricing | None:
        """What the first configuration with a time ran on; all of a sweep run on the same."""
        return next((row.pricing for row in self.rows if row.pricing is not None), None)

    def table(self) -> Table:
        """One row per configuration."""
        spans = _SPAN if self.pricing is not None else ()
        columns = (
            *(Column(name, "text") for name in self.names),
            *(replace(quantity_column(quantity), unit=unit_of(quantity, self)) for quantity in self.quantities),
            *spans,
            *((Column("on", "text", drop=1, tone="quiet"),) if spans else ()),
            *((Column("problem", "prose"),) if any(row.problem for row in self.rows) else ()),
        )
        rows = tuple(tuple(self._cells(row))[: len(columns)] for row in self.rows)
        failed = sum(bool(row.problem) for row in self.rows)
        configurations = f"{len(self.rows)} configuration{'s' * (len(self.rows) != 1)}"
        notes = (f"{configurations}, {len(self.rows) - failed} counted, {failed} failed",)
        return Table("sweep", columns, rows, None, (*notes, *self._assumed(), *self._priced()))

    def _cells(self, row: SweepRow) -> Iterator[Any]:
        yield from (str(row.configuration.get(name, "")) for name in self.names)
        yield from ("" if row.cost is None else row.cost[quantity.name] for quantity in self.quantities)
        if self.pricing is not None:
            yield from ("", "") if row.times is None else (round(s * PICO) for s in (row.times.low, row.times.high))
            yield "" if row.pricing is None else row.pricing.conditions
        yield row.problem

    def _priced(self) -> Iterator[str]:
        """What the times are those of, what they rest on, and in how many configurations, where it is not in all."""
        if self.pricing is None:
            return
        yield f"time as estimated on {self.pricing.conditions}; {LOW_TO_HIGH}"
        times = Counter(note for row in self.rows if row.pricing is not None for note in row.pricing.notes)
        priced = sum(row.pricing is not None for row in self.rows)
        for note, number in times.items():
            yield note + (f" ({number} of {priced} configurations)" * (number < priced))

    def _assumed(self) -> Iterator[str]:
        """What was assumed, and in how many configurations, where it is not in all."""
        times = Counter(text for row in self.rows for text in row.assumed)
        for text, number in times.items():
            yield f"assumed: {text}" + (f" ({number} of {len(self.rows)} configurations)" * (number < len(self.rows)))

    def _headline(self) -> str:
        failed = sum(bool(row.problem) for row in self.rows)
        return f"of {', '.join(self.names)}: {plural(len(self.rows), 'configuration')}, {failed} failed"


_SPAN = (
    Column("low", unit="s", key="time_low_s", pico=True, drop=7),
    Column("high", unit="s", key="time_high_s", pico=True, drop=7),
)


def sweep_rows(
    build: Callable[..., Any],
    grid: Mapping[str, Iterable[Any]] | Iterable[Configuration],
    *,
    on: Setting | None = None,
    executor: Executor | None = None,
    chunk: int = CHUNK,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> SweepRows:
    """The rows of a sweep; arguments and errors as for `flopcount.sweep`."""
    if chunk < 1:
        raise InputError(f"chunk is {chunk}", [("fix", "hand out at least one configuration at a time")])
    configurations, total = _configurations(grid)
    chunks = enumerate(iter(lambda: tuple(islice(configurations, chunk)), ()))
    count_chunk = partial(_count_chunk, build, on)
    by_index: dict[int, tuple[SweepRow, ...]] = {}
    done = 0
    for index, rows in _results(count_chunk, chunks, executor):
        by_index[index] = rows
        done += len(rows)
        progress(done, total)
    if not by_index:
        raise InputError("the grid is empty", [("fix", "give each name at least one value")])
    return SweepRows(tuple(row for index in sorted(by_index) for row in by_index[index]))


def _configurations(grid: Any) -> tuple[Iterator[Configuration], int | None]:
    if isinstance(grid, Mapping):
        values = [tuple(choices) for choices in grid.values()]
        total = 1
        for choices in values:
            total *= len(choices)
        return (dict(zip(grid, point, strict=True)) for point in product(*values)), total
    if isinstance(grid, Iterable) and not isinstance(grid, str):
        return iter(grid), len(grid) if isinstance(grid, Sequence) else None
    raise InputError(
        f"a grid cannot be a value of type {type(grid).__name__}",
        [("fix", "give {'depth': (18, 50), 'frames': (8, 16)}, or a list of dicts")],
    )


_Chunks: TypeAlias = Iterator[tuple[int, tuple[Configuration, ...]]]


def _results(
    count: Callable[[tuple[Configuration, ...]], tuple[SweepRow, ...]], chunks: _Chunks, executor: Executor | None
) -> Iterator[tuple[int, tuple[SweepRow, ...]]]:
    """Each chunk's rows as they come; a few more chunks than workers are out at a time, however long the grid."""
    if executor is None:
        yield from ((index, count(chunk)) for index, chunk in chunks)
        return
    out: dict[Future[tuple[SweepRow, ...]], tuple[int, tuple[Configuration, ...], int]] = {}
    again: deque[tuple[int, tuple[Configuration, ...], int]] = deque()
    while True:
        while len(out) < _AT_ONCE and (job := again.popleft() if again else _next_job(chunks)) is not None:
            index, chunk, attempt = job
            try:
                out[executor.submit(count, chunk)] = job
            except Exception as refusal:  # a pool whose worker died accepts no more work
                yield index, _failed(chunk, refusal)
        if not out:
            return
        finished, _ = wait(out, return_when=FIRST_COMPLETED)
        for future in finished:
            index, chunk, attempt = out.pop(future)
            error = future.exception()
            if error is None:
                yield index, future.result()
            elif attempt < _ATTEMPTS:
                again.append((index, chunk, attempt + 1))
            else:
                yield index, _failed(chunk, error)


_AT_ONCE = 256  # chunks


def _next_job(chunks: _Chunks) -> tuple[int, tuple[Configuration, ...], int] | None:
    entry = next(chunks, None)
    return None if entry is None else (*entry, 1)


def _failed(chunk: tuple[Configuration, ...], error: BaseException) -> tuple[SweepRow, ...]:
    text = f"the worker failed: {type(error).__name__}: {error}".strip(": ")
    return tuple(SweepRow(configuration, error=text) for configuration in chunk)


def _count_chunk(
    build: Callable[..., Any], on: Setting | None, chunk: tuple[Configuration, ...]
) -> tuple[SweepRow, ...]:
    return tuple(_row(build, on, configuration) for configuration in chunk)


def _row(build: Callable[..., Any], on: Setting | None, configuration: Configuration) -> SweepRow:
    try:
        report = _counted(build, configuration, follow=on is not None)
        if on is not None and report.pricing is None:
            report = on.cost(report).result
    except FlopcountError as error:
        return SweepRow(configuration, error=error.message)
    except Exception as error:  # a builder may raise anything on values that it does not accept
        return SweepRow(configuration, error=next(iter(f"{type(error).__name__}: {error}".splitlines())))
    uncosted = tuple(row.op for row in report.uncosted)
    return SweepRow(configuration, report.total, uncosted, assumed=report.assumed, pricing=report.pricing)


def _counted(build: Callable[..., Any], configuration: Configuration, *, follow: bool) -> Result:
    answer = weightless(build, **configuration)
    if isinstance(answer, Result):
        if follow and answer.dataflow is None and answer.pricing is None:
            why = "the builder returned a report without its data, which its time is estimated from"
            raise InputError(why, [("fix", "return (module, input)")])
        return answer
    if not (isinstance(answer, tuple) and len(answer) == 2 and callable(answer[0])):
        raise InputError(f"the builder returned a {type(answer).__name__}", [("fix", "return (module, input)")])
    try:
        return count(*answer, dataflow=follow, saving=False)
    except TraceError as error:  # it needs its weights
        require_room(as_module(answer[0]), error)
        return count(*weighted(build, **configuration), dataflow=follow, saving=False)


def build_of_zoo(
    spec: ModelSpec = NAMELESS,
    protocol: Protocol = ONE_VIEW,
    follow: bool = False,
    /,
    *,
    model: str,
    frames: int,
    size: int,
    **options: Any,
) -> Result:
    """A configuration of a model by name: frames × size × size; `spec` and `protocol` have what all share.

    With `follow` the result has the data that its time is estimated from.
    """
    clip = Clip(frames, size, size)
    at_clip = {"inputs": clip_axes(spec).resized(clip.sizes)} if spec.inputs else {"clip": clip}
    spec = replace(spec, name=model, options={**spec.options, **options}, **at_clip)
    return count_named(spec, protocol, dataflow=follow, saving=False)


def clip_axes(spec: ModelSpec) -> Axes:
    """Frames, height and width of the inputs of a model: they move together, pathways in their proportion.

    Raises:
        InputError: the inputs have none.
    """
    try:
        return Axes.of(spec.inputs, "THW", spec.layouts)
    except UnknownNameError as error:
        shapes = ", ".join(times(tensor.shape) for _, tensor in spec.inputs)
        fix = "sweep a model whose inputs are clips, such as 1x3x16x112x112"
        raise InputError(f"no frames, height and width in {shapes}", [("fix", fix)]) from error
