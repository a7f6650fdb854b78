"""The result of a count, frozen data in plain integers: totals, module tree, operator rows, and what was not costed.

What it was made of are a trace's costed operators and the module's tree. What reads it stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from .dataflow import Dataflow
from .errors import UnknownNameError
from .ops import CostedOp, Kind, ModuleCall, Trace
from .protocol import Clip, Views

__all__ = [
    "CONVENTION",
    "Amount",
    "ModuleInfo",
    "ModuleRow",
    "OperatorRow",
    "Result",
    "ResultInput",
    "SavedReport",
    "UncostedRow",
    "UncostedWork",
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
class ResultInput:
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
class UncostedWork:
    """How much of the work may be missing: elements written by costed operators, by all, and MACs of the others.

    Elements are those of all outputs, views aside. `upper_macs` adds up the `UncostedRow`s, whose docstring says what
    it means. Where every operator has a rule all elements are costed and nothing is missing.
    """

    elements_costed: int
    elements_written: int
    upper_macs: int


@dataclass(frozen=True, repr=False)
class Result:
    """What one forward pass of a module costs, with its reasons.

    Attributes are exact integers; `macs`, `flops`, `other_flops`, `total_flops`, `params`, `trainable_params`,
    `bytes_read` and `bytes_written` are of the input as given. `per_sample` divides by the batch (rounded down),
    `per_video` is that times the views. All of these are the forward pass's.

    There only where asked for: `dataflow`, which span and memory read, and `saving`, the forward pass of a training
    step, or why there is none.
    """

    model: str
    departures: tuple[str, ...]
    input: ResultInput
    views: Views
    ops: tuple[CostedOp, ...]
    tree: tuple[ModuleInfo, ...]
    calls: tuple[ModuleCall, ...]
    params: int
    trainable_params: int
    engine: str
    versions: dict[str, str]
    dataflow: Dataflow | None = None
    saving: Trace | str = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}: {self.macs:,} MACs, {self.params:,} parameters>"

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
        return sum(costed.work.bytes_read for costed in self.ops)

    @cached_property
    def bytes_written(self) -> int:
        """Compulsory writes of every operation run one by one."""
        return sum(costed.work.bytes_written for costed in self.ops)

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
                sum(costed.work.bytes_read for costed in ops),
                sum(costed.work.bytes_written for costed in ops),
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
    def unknown(self) -> UncostedWork:
        """The size of what no rule knows."""
        return UncostedWork(
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


@dataclass(frozen=True, slots=True)
class SavedReport:
    """What was saved of a result as JSON; the attributes are those of `Result`. Shapes of operators are not saved."""

    model: str
    input: ResultInput
    views: Views
    total: Amount
    params: int
    trainable_params: int
    modules: tuple[ModuleRow, ...]
    uncosted: tuple[UncostedRow, ...]
    engine: str
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all contractions."""
        return self.total.macs


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
    by_module: dict[str, list[ModuleCall]] = {}
    for call in calls:
        by_module.setdefault(call.module, []).append(call)
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
            calls=len(by_module.get(info.path, ())),
            input_shapes=_distinct(call.inputs for call in by_module.get(info.path, ())),
            output_shapes=_distinct(call.outputs for call in by_module.get(info.path, ())),
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
