"""Costed ops -> a Report: totals, per sample, per video, per module, per operator, and what was not costed.

What enters is a trace's costed ops and the module's tree; what leaves is frozen data in plain integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from .clip import Clip, Views
from .dataflow import Dataflow
from .errors import InputError, UnknownNameError
from .ops import CostedOp, Kind, ModuleCall, Trace

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from .explanation import Explanation
    from .fields import Field
    from .memory import Memory
    from .span import Span
    from .symbolic import ClosedForm
    from .tables import Table
    from .training.step import Training

__all__ = [
    "CONVENTION",
    "Amount",
    "ModuleInfo",
    "ModuleRow",
    "OperatorRow",
    "Report",
    "ReportInput",
    "UncostedRow",
    "Unknown",
]

CONVENTION = "1 MAC = 2 FLOPs; flops = 2 * macs; other_flops apart"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of work. `flops` is always twice `macs`; `other_flops` is everything that is no contraction."""

    macs: int = 0
    other_flops: int = 0

    @property
    def flops(self) -> int:
        """FLOPs of all contractions."""
        return 2 * self.macs

    @property
    def total_flops(self) -> int:
        """Contractions and everything else."""
        return self.flops + self.other_flops

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.macs + other.macs, self.other_flops + other.other_flops)

    def __mul__(self, times: int) -> Amount:
        return Amount(self.macs * times, self.other_flops * times)

    def __floordiv__(self, parts: int) -> Amount:
        return Amount(self.macs // parts, self.other_flops // parts)


class ModuleInfo(NamedTuple):
    """One module of the tree: dotted path, class name, and the parameters it owns (a shared one: its first owner)."""

    path: str
    type: str
    params: int
    trainable_params: int

    @property
    def depth(self) -> int:
        """0 for the root."""
        return self.path.count(".") + 1 if self.path else 0


@dataclass(frozen=True, slots=True)
class ReportInput:
    """What was counted: shapes as given (batch included) and how the clip was sampled from the video."""

    clip: Clip | None
    stride: int
    fps: float | None
    shapes: tuple[tuple[int, ...], ...]
    batch: int
    dtype: str


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """Cost of a module with its children (`cost`, `params`) and of its own operators and parameters (`own*`).

    `input_shapes` and `output_shapes` list the distinct shapes of all its calls, in order of appearance.
    """

    path: str
    type: str
    depth: int
    calls: int
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    params: int
    own_params: int
    cost: Amount
    own: Amount


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """Cost of one operator under its canonical name."""

    op: str
    kind: Kind
    calls: int
    cost: Amount
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True, slots=True)
class UncostedRow:
    """An operator without a rule: how often, where, how many elements it read and wrote, and what it may cost.

    `upper_macs` is the full contraction of each call: every element written is a sum over every element read, one
    multiply-add for each pair. Convolution, matmul, attention, a Fourier transform and anything elementwise stay far
    below that. It is an estimate and no guarantee: an operator that reads an element several times for the same result
    (an iterative solver) may do more.
    """

    op: str
    calls: int
    modules: tuple[str, ...]
    elements: int
    upper_macs: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """How much of the work may be missing: elements written by costed operators, by all, and MACs of the others.

    Elements are those of all outputs, views aside. `upper_macs` adds up the `UncostedRow`s, whose docstring says what
    it means. Where every operator has a rule all elements are costed and nothing is missing.
    """

    elements_costed: int
    elements_written: int
    upper_macs: int


@dataclass(frozen=True)
class Report:
    """What one forward pass of a module costs, with its reasons.

    Attributes are exact integers; `macs`, `flops`, `other_flops`, `total_flops`, `params`, `trainable_params`,
    `bytes_read` and `bytes_written` are of the input as given. `per_sample` divides by the batch (rounded down),
    `per_video` is that times the views. All of these are the forward pass's.

    There only where asked for: `closed_form`; `training`, the whole step; `dataflow`, which `span` and `memory` read,
    and `saving`, the forward pass of a training step, or why there is none; `receptive_field`, the distinct fields of
    each module's outputs.
    """

    model: str
    departures: tuple[str, ...]
    input: ReportInput
    views: Views
    ops: tuple[CostedOp, ...]
    tree: tuple[ModuleInfo, ...]
    calls: tuple[ModuleCall, ...]
    params: int
    trainable_params: int
    engine: str
    versions: dict[str, str]
    closed_form: ClosedForm | None = None
    training: Training | None = None
    dataflow: Dataflow | None = None
    saving: Trace | str = ""
    receptive_field: Mapping[str, tuple[Field, ...]] | None = None

    @cached_property
    def total(self) -> Amount:
        """All operations."""
        return _sum(self.ops)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all contractions."""
        return self.total.macs

    @property
    def flops(self) -> int:
        """2 * macs."""
        return self.total.flops

    @property
    def other_flops(self) -> int:
        """Floating-point operations that are no contraction."""
        return self.total.other_flops

    @property
    def total_flops(self) -> int:
        """Contractions and everything else: flops + other_flops."""
        return self.total.total_flops

    @cached_property
    def bytes_read(self) -> int:
        """Compulsory reads of every operation run one by one."""
        return sum(costed.work.bytes_read or 0 for costed in self.ops)

    @cached_property
    def bytes_written(self) -> int:
        """Compulsory writes of every operation run one by one."""
        return sum(costed.work.bytes_written or 0 for costed in self.ops)

    @property
    def per_sample(self) -> Amount:
        """Cost of one sample of the batch: one clip, one view."""
        return self.total // self.input.batch

    @property
    def per_video(self) -> Amount:
        """Cost of all views of one video."""
        return self.per_sample * self.views.count

    @cached_property
    def operators(self) -> tuple[OperatorRow, ...]:
        """Cost by canonical operator, in order of kind, then of cost."""
        groups: dict[tuple[str, Kind], list[CostedOp]] = {}
        for costed in self.ops:
            groups.setdefault((costed.name, costed.kind), []).append(costed)
        rows = [
            OperatorRow(
                name,
                kind,
                len(ops),
                _sum(ops),
                sum(costed.work.bytes_read or 0 for costed in ops),
                sum(costed.work.bytes_written or 0 for costed in ops),
            )
            for (name, kind), ops in groups.items()
        ]
        order = list(Kind)
        return tuple(sorted(rows, key=lambda row: (order.index(row.kind), -row.cost.total_flops, row.op)))

    @cached_property
    def modules(self) -> tuple[ModuleRow, ...]:
        """Cost of every module, called or not, in the order the module defines them."""
        return _module_rows(self.tree, self.calls, self.ops)

    @cached_property
    def uncosted(self) -> tuple[UncostedRow, ...]:
        """What no rule knows; empty is the good news."""
        groups: dict[str, list[CostedOp]] = {}
        for costed in self.ops:
            if costed.kind is Kind.UNCOSTED:
                groups.setdefault(costed.name, []).append(costed)
        return tuple(
            UncostedRow(
                name,
                len(ops),
                tuple(dict.fromkeys(c.op.module for c in ops)),
                sum(c.elements_read + c.elements_written for c in ops),
                sum(c.elements_read * c.elements_written for c in ops),
            )
            for name, ops in groups.items()
        )

    @cached_property
    def unknown(self) -> Unknown:
        """The size of what no rule knows."""
        return Unknown(
            sum(costed.elements_written for costed in self.ops if costed.kind is not Kind.UNCOSTED),
            sum(costed.elements_written for costed in self.ops),
            sum(row.upper_macs for row in self.uncosted),
        )

    def module(self, path: str) -> ModuleRow:
        """The row of one module by its dotted path; near names where there is none."""
        for row in self.modules:
            if row.path == path:
                return row
        paths = [row.path for row in self.modules if row.path]
        raise UnknownNameError("layer", path, paths, "name a layer as in `named_modules()`")

    # Views of the report: each is one function elsewhere, here so that a notebook finds them.

    def by_module(self, depth: int = 2) -> Table:
        """One row per module down to `depth` (-1: all); rows sum to the total."""
        from .tables import by_module

        return by_module(self, depth)

    def by_operator(self) -> Table:
        """One row per operator."""
        from .tables import by_operator

        return by_operator(self)

    def by_kind(self) -> Table:
        """One row per kind of operator."""
        from .tables import by_kind

        return by_kind(self)

    @cached_property
    def span(self) -> Span:
        """How much could run at once; of a report counted with `dataflow=True`."""
        from .span import span_of

        return span_of(self)

    @cached_property
    def memory(self) -> Memory:
        """What takes up memory, in inference and in training; of a report counted with `dataflow=True`."""
        from .memory import memory_of

        return memory_of(self)

    def explain(self, layer: str) -> Explanation:
        """Every number of a layer with its formula, the numbers put in, and the source of the rule."""
        from .explanation import explain

        return explain(self, layer)

    def formula(self) -> ClosedForm:
        """The cost as a function of the clip, where it was counted with `symbolic`.

        Raises:
            InputError: it was not.
        """
        if self.closed_form is None:
            fix = 'count_flops(module, input, symbolic="THW").formula()'
            raise InputError(f"{self.model} was counted at one clip, without its closed form", [("fix", fix)])
        return self.closed_form

    def sentence(self) -> str:
        """The line for a paper."""
        from .tables import sentence

        return sentence(self)

    def plot(self, by: str = "module", ax: Axes | None = None, *, depth: int = 1, dark: bool = False) -> Axes:
        """Bars of the MACs of each module (down to `depth`), operator or kind; a new figure where `ax` is None."""
        from .figures import breakdown

        return breakdown(self, by, ax, depth=depth, dark=dark)

    def to_pandas(self, by: str = "module", depth: int = -1) -> pandas.DataFrame:
        """The table as a DataFrame of exact integers, with names as in the JSON: macs, other_flops, bytes_read."""
        from .renderers.frame import to_frame
        from .tables import table_by

        return to_frame(table_by(self, by, depth))

    def to_markdown(self, by: str = "module", depth: int = 2) -> str:
        """The table in GitHub's markdown."""
        return self._render("markdown", by, depth)

    def to_latex(self, by: str = "module", depth: int = 2) -> str:
        """The table for a paper (booktabs)."""
        return self._render("latex", by, depth)

    def to_csv(self, by: str = "module", depth: int = -1) -> str:
        """The table in exact integers."""
        return self._render("csv", by, depth)

    def to_json(self) -> str:
        """The whole report, schema flopcount/1."""
        from .renderers.machine import to_json

        return to_json(self)

    def _render(self, form: str, by: str, depth: int) -> str:
        from .renderers import render
        from .tables import table_by

        return render(table_by(self, by, depth), form)

    def __str__(self) -> str:
        return self._render("table", "module", 2)

    def __repr__(self) -> str:
        return f"<Report {self.model}: {self.sentence()}>"

    def _repr_html_(self) -> str:
        return self._render("html", "module", 2)


def _sum(ops: Iterable[CostedOp]) -> Amount:
    macs = other = 0
    for costed in ops:
        macs += costed.work.macs
        other += costed.work.other_flops
    return Amount(macs, other)


def _module_rows(
    tree: Sequence[ModuleInfo], calls: Iterable[ModuleCall], ops: Iterable[CostedOp]
) -> tuple[ModuleRow, ...]:
    """Work outside of every module, as the loss of a training step is, is the root's."""
    own_macs = {info.path: 0 for info in tree}
    own_other = own_macs.copy()
    for costed in ops:
        path, work = costed.op.module if costed.op.module in own_macs else "", costed.work
        own_macs[path] += work.macs
        own_other[path] += work.other_flops
    called: dict[str, list[ModuleCall]] = {}
    for call in calls:
        called.setdefault(call.module, []).append(call)
    macs, other = own_macs.copy(), own_other.copy()
    params = {info.path: info.params for info in tree}
    for info in reversed(tree):  # a module stands behind the one that holds it
        if info.path:
            parent = info.path.rpartition(".")[0]
            macs[parent] += macs[info.path]
            other[parent] += other[info.path]
            params[parent] += params[info.path]
    return tuple(
        ModuleRow(
            path=info.path,
            type=info.type,
            depth=info.depth,
            calls=len(called.get(info.path, ())),
            input_shapes=_distinct(call.inputs for call in called.get(info.path, ())),
            output_shapes=_distinct(call.outputs for call in called.get(info.path, ())),
            params=params[info.path],
            own_params=info.params,
            cost=Amount(macs[info.path], other[info.path]),
            own=Amount(own_macs[info.path], own_other[info.path]),
        )
        for info in tree
    )


def _distinct(calls: Iterable[tuple[tuple[int, ...], ...]]) -> tuple[tuple[int, ...], ...]:
    """Each shape once, in order of appearance."""
    return tuple(dict.fromkeys(shape for shapes in calls for shape in shapes))
