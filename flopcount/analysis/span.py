"""Work and span of a forward pass: how much of it could run at once, whatever the number of processors.

What enters is a result with the dataflow of its trace; what leaves is a frozen Span. A chain is a sequence of ops each
of which reads what the one before it wrote, through whatever views. Only such true dependences count: the reuse of a
buffer could be avoided with more memory. Two writes to different regions of one storage do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.dataflow import Access, Dataflow, Role
from ..core.errors import InputError
from ..core.ops import CostedOp
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import si
from ..core.wording import missing_lines, title
from ..rules.depth import depth_of, steps

if TYPE_CHECKING:
    from ..core.result import Result

__all__ = ["PathStep", "Span", "required_dataflow", "span_of", "spans_table"]


@dataclass(frozen=True, slots=True)
class PathStep:
    """One op of the critical path: its position in the trace, its module, its name, and how deep its arithmetic is."""

    position: int
    module: str
    op: str
    depth: int


@dataclass(frozen=True, slots=True)
class Span(ShownAsTable):
    """How parallel a forward pass is.

    `work` is all floating-point operations (`total_flops`), `span` the arithmetic on the deepest chain of dependent ops
    (1 per elementwise op, 1 + ceil(log2 K) per reduction of length K), `chain` the most ops on any chain (views aside).
    `steps` is the length of the longest recurrence: 1, and 1 more each time that a chain reuses a weight; a fused
    recurrence counts its own steps. `path` is the critical path.
    """

    model: str
    work: int
    span: int
    chain: int
    steps: int
    path: tuple[PathStep, ...]
    clip: str = ""
    title: str = ""
    gaps: tuple[str, ...] = ()

    @property
    def parallelism(self) -> int:
        """Work ÷ span, rounded down: the processors that could be kept busy on average."""
        return self.work // self.span if self.span else 0

    def table(self, depth: int = 2) -> Table:
        """The critical path by module, down to `depth` (-1: all levels), in the order it runs through them."""
        ops: dict[str, int] = {}
        depths: dict[str, int] = {}
        for step in self.path:
            place = step.module if depth < 0 else ".".join(step.module.split(".")[:depth])
            ops[place] = ops.get(place, 0) + 1
            depths[place] = depths.get(place, 0) + step.depth
        rows = tuple(
            (place or f"({self.model})", ops[place], depths[place], (depths[place], self.span)) for place in ops
        )
        total = ("total", len(self.path), self.span, (self.span, self.span))
        columns = (Column("layer", "text"), Column("ops", tally=True), Column("span"), Column("share", "share", drop=1))
        return Table(f"{self.title}: the critical path", columns, rows, total, self.notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes under the table."""
        work, parallelism = si(self.work, "FLOPs"), si(self.parallelism)
        return (
            *self.gaps,
            f"parallelism: {work} of work ÷ {si(self.span)} of span = {parallelism}",
            f"longest chain: {self.chain:,} dependent ops; sequential steps: {self.steps:,}",
            CONVENTION,
        )

    def _headline(self) -> str:
        return f"{self.model}: {si(self.work, 'FLOPs')} of work, span {self.span:,}, parallelism {si(self.parallelism)}"


CONVENTION = "span: 1 per elementwise op, 1 + ⌈log2 K⌉ per reduction of length K, data movement 0"


def span_of(result: Result) -> Span:
    """The work and span of a result that was counted with `dataflow=True`.

    Raises:
        InputError: the result was counted without `dataflow`.
    """
    flow = required_dataflow(result, "span")
    order = dependences(flow)
    depths = [depth_of(costed) for costed in result.ops]
    ends, before = _deepest(depths, order)
    writes = [bool(data.writes) for data in flow.flows]
    lengths, _ = _deepest([int(write) for write in writes], order)
    return Span(
        model=result.model,
        work=result.total_flops,
        span=max(ends, default=0),
        chain=max(lengths, default=0),
        steps=max(recurrence(result.ops, flow, order), default=0),
        path=_path(result.ops, depths, ends, before),
        clip=str(result.input.clip or ""),
        title=title(result),
        gaps=tuple(missing_lines(result)),
    )


def required_dataflow(result: Result, what: str) -> Dataflow:
    """The dataflow of a result.

    Raises:
        InputError: the result was counted without `dataflow`.
    """
    if result.dataflow is None:
        raise InputError(
            f"this result has no {what}: its data was not followed", [("fix", "count_flops(...).with_dataflow()")]
        )
    return result.dataflow


def dependences(flow: Dataflow) -> list[tuple[int, ...]]:
    """For each op the ops it waits for: the last writers of whatever it reads, in order of position."""
    writers: dict[int, list[tuple[int, Access]]] = {}
    order = []
    for position, data in enumerate(flow.flows):
        waits = {
            writer
            for access in data.reads
            for writer, region in writers.get(access.storage, ())
            if access.overlaps(region)
        }
        order.append(tuple(sorted(waits)))
        for access in data.writes:
            earlier = writers.get(access.storage, []) if access.axes else []
            writers[access.storage] = [(w, region) for w, region in earlier if region != access] + [(position, access)]
    return order


def _deepest(weights: Sequence[int], order: Sequence[tuple[int, ...]]) -> tuple[list[int], list[int]]:
    """For each op the weight of the heaviest chain that ends in it, and the op before it there (-1: none)."""
    ends: list[int] = []
    before: list[int] = []
    for weight, waits in zip(weights, order, strict=True):
        last = max(waits, key=ends.__getitem__, default=-1)
        before.append(last)
        ends.append(weight + (ends[last] if last >= 0 else 0))
    return ends, before


def _path(
    ops: Sequence[CostedOp], depths: Sequence[int], ends: Sequence[int], before: Sequence[int]
) -> tuple[PathStep, ...]:
    """The ops of the deepest chain that do arithmetic, first to last."""
    position = max(range(len(ends)), key=ends.__getitem__, default=-1)
    path = []
    while position >= 0:
        if depths[position]:
            costed = ops[position]
            path.append(PathStep(position, costed.op.module, costed.name, depths[position]))
        position = before[position]
    return tuple(reversed(path))


def recurrence(ops: Sequence[CostedOp], flow: Dataflow, order: Sequence[tuple[int, ...]]) -> list[int]:
    """For each op the sequential steps up to it; see `Span`.

    A weight used again by another operator is no recurrence (a language model's last layer and its embedding).
    """
    weights = _reused(ops, flow)
    at: list[int] = []
    latest: list[dict[tuple[int, str], int]] = []  # the latest step of each weight on the chains into an op
    for costed, waits, mine in zip(ops, order, weights, strict=True):
        past: dict[tuple[int, str], int] = {}
        for earlier in waits:
            for weight, step in latest[earlier].items():
                past[weight] = max(step, past.get(weight, 0))
        begins = max([1, *(at[earlier] for earlier in waits), *(past[weight] + 1 for weight in mine if weight in past)])
        ends = begins + (steps.of(costed.op.signature) or 1) - 1
        at.append(ends)
        latest.append(past | dict.fromkeys(mine, ends))
    return at


def _reused(ops: Sequence[CostedOp], flow: Dataflow) -> list[tuple[tuple[int, str], ...]]:
    """For each op its weights that the same operator uses more than once in the trace."""
    roles = (Role.PARAMETER, Role.FROZEN)
    uses: dict[tuple[int, str], int] = {}
    by_op = []
    for costed, data in zip(ops, flow.flows, strict=True):
        storages = dict.fromkeys(a.storage for a in data.reads if flow.storages[a.storage].role in roles)
        mine = [(storage, costed.name) for storage in storages]
        by_op.append(mine)
        for weight in mine:
            uses[weight] = uses.get(weight, 0) + 1
    return [tuple(weight for weight in mine if uses[weight] > 1) for mine in by_op]


def spans_table(spans: Iterable[Span]) -> Table:
    """One row per network, for comparison."""
    columns = (
        Column("network", "text"),
        Column("clip", "text", drop=2),
        Column("work"),
        Column("span"),
        Column("chain", drop=1, tally=True),
        Column("steps", tally=True),
        Column("parallelism"),
    )
    spans = tuple(spans)
    rows = tuple((s.model, s.clip, s.work, s.span, s.chain, s.steps, s.parallelism) for s in spans)
    gaps = tuple(f"{label} in {s.model}:{rest}" for s in spans for label, _, rest in (g.partition(":") for g in s.gaps))
    return Table(
        "work and span",
        columns,
        rows,
        None,
        (
            *gaps,
            "work: floating-point operations; chain: dependent ops; parallelism: work ÷ span",
            "steps: how often a recurrence runs, one step after another",
            CONVENTION,
        ),
    )
