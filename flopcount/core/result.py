"""The result of a count, frozen data in plain integers: totals, module tree, operator rows, and uncosted operators.

It is made from a trace's costed operators and the module's tree. Its readers live in other rooms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from .amount import Amount, QuantityOf, amount_of, in_brief
from .dataflow import Dataflow
from .errors import UnknownNameError
from .layer_tree import Course
from .one_line import OneLine
from .ops import CostedOp, Kind, ModuleCall, ModuleInfo, Trace
from .pricing import Pricing
from .protocol import Clip, Views
from .quantity import Quantity, counted, priced
from .units import plural, times

__all__ = [
    "CONVENTION",
    "ModuleInfo",
    "ModuleRow",
    "OperatorRow",
    "Result",
    "ResultInput",
    "SavedReport",
    "Totals",
    "UncostedRow",
    "UncostedWork",
]

CONVENTION = "1 MAC = 2 FLOPs; flops = 2 * macs; other_flops apart"


@dataclass(frozen=True, slots=True)
class ResultInput(OneLine):
    """The input of a count: shapes as given (batch included) and how the clip is sampled from the video.

    `clip` is None where no input is a clip of video, `batch` where the inputs share none and the caller gives none, and
    `fps` where the caller gives none. `values` describes those of inputs that are given by shape and values.
    """

    clip: Clip | None
    stride: int
    fps: float | None
    shapes: tuple[tuple[int, ...], ...]
    batch: int | None
    dtype: str
    values: tuple[str, ...] = ()

    def _headline(self) -> str:
        shapes = ", ".join(map(times, self.shapes))
        return f"{shapes} {self.dtype}" + (f", clip {self.clip}" if self.clip else "")


@dataclass(frozen=True, slots=True)
class ModuleRow(OneLine):
    """Cost of a module with its children (`cost`, `params`) and without them (`own`, `own_params`).

    `input_shapes` and `output_shapes` list the distinct shapes of all its calls, in order of appearance.
    `used_elsewhere`: the module was never called, but an operator took a parameter in it, and its work is counted
    in the row of the module that ran it.
    """

    path: str
    type: str
    depth: int
    calls: int
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    cost: Amount
    own: Amount
    used_elsewhere: bool = False

    params = QuantityOf("cost", "Parameters, its children's included.")
    own_params = QuantityOf("own", "Parameters that it owns itself.")

    def _headline(self) -> str:
        return f"{self.path or 'the model itself'} ({self.type}): {in_brief(self.cost)}"


@dataclass(frozen=True, slots=True)
class OperatorRow(OneLine):
    """Cost of one operator under its canonical name."""

    op: str
    kind: Kind
    calls: int
    cost: Amount

    bytes_read = QuantityOf("cost", "Compulsory reads of all calls.")
    bytes_written = QuantityOf("cost", "Compulsory writes of all calls.")

    def _headline(self) -> str:
        return f"{self.op}, {plural(self.calls, 'call')}: {in_brief(self.cost)}"


@dataclass(frozen=True, slots=True)
class UncostedRow(OneLine):
    """An operator without a rule: how often, where, how many elements it read and wrote, and what it may cost.

    `upper_macs` is the full contraction of each call: every element written is a sum over every element read, one
    multiply-add for each pair; what returns a number or nothing counts as if it wrote one. Convolution, matmul,
    attention, a Fourier transform and anything elementwise stay far below that. It is an estimate and no guarantee: an
    operator that reads an element several times for the same result (an iterative solver) may do more.
    """

    op: str
    calls: int
    modules: tuple[str, ...]
    elements: int
    upper_macs: int

    def _headline(self) -> str:
        places = f"{self.modules[0] or 'the model itself'}" + f" and {len(self.modules) - 1} more" * (
            len(self.modules) > 1
        )
        size = f"{self.elements:,} elements, up to {self.upper_macs:,} MACs"
        return f"{self.op}, {plural(self.calls, 'call')} in {places}: {size}"


@dataclass(frozen=True, slots=True)
class UncostedWork:
    """How much of the work may be missing: elements that costed operators write, that all write, and possible MACs.

    The elements are those of all outputs except views. `upper_macs` is the sum over the `UncostedRow`s, whose docstring
    says what it means. If every operator has a rule, all elements are costed and nothing is missing.
    """

    elements_costed: int
    elements_written: int
    upper_macs: int


class Totals:
    """The quantities of a `total`, as attributes of its owner."""

    __slots__ = ()

    macs = QuantityOf("total", "Multiply-accumulates of all contractions.")
    flops = QuantityOf("total", "2 * macs.")
    other_flops = QuantityOf("total", "Floating-point operations that are no contraction.")
    total_flops = QuantityOf("total", "Contractions and everything else: flops + other_flops.")
    params = QuantityOf("total", "Elements of distinct parameters.")
    trainable_params = QuantityOf("total", "Of those, the ones that require a gradient.")
    bytes_read = QuantityOf("total", "Compulsory reads of every operation run one by one.")
    bytes_written = QuantityOf("total", "Compulsory writes of every operation run one by one.")


class OfInput(Totals):
    """The totals of an input with its batch and its views, and what follows for a sample and a video."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def total(self) -> Amount: ...
        @property
        def input(self) -> ResultInput: ...
        @property
        def views(self) -> Views: ...

    @property
    def per_sample(self) -> Amount | None:
        """Cost of one sample of the batch: one clip, one view; None where the batch is unknown."""
        return None if self.input.batch is None else self.total.growing("batch") // self.input.batch

    @property
    def per_view(self) -> Amount:
        """Cost of one view: of a sample, or of the whole input where the batch is unknown."""
        sample = self.per_sample
        return self.total.growing("batch") if sample is None else sample

    @property
    def per_video(self) -> Amount:
        """Cost of all views of one video."""
        return self.per_view.growing("views") * self.views.count


@dataclass(frozen=True, repr=False)
class Result(OfInput, OneLine):
    """What one forward pass of a module costs, with its reasons.

    `total` has every quantity of the table; `macs`, `flops`, `other_flops`, `total_flops`, `params`,
    `trainable_params`, `bytes_read` and `bytes_written` are the same as attributes, exact integers for the input as
    given. `per_sample` divides the quantities that grow with the batch by the batch (rounded down), and is None where
    the batch is unknown. `per_video` multiplies it, or else the input's own, by the views. All of these are of the
    forward pass.

    Two attributes are None unless the caller asks for them: `dataflow`, which span and memory read, and `saving`, a
    whole training step with its data, or why there is none. `assumed` names what the count had to assume, such as
    values of an integer input that is given by its shape; it is shown wherever the numbers are. `pricing` is there if
    its operators have what they spend on a device.
    """

    model: str
    departures: tuple[str, ...]
    input: ResultInput
    views: Views
    ops: tuple[CostedOp, ...]
    tree: tuple[ModuleInfo, ...]
    calls: tuple[ModuleCall, ...]
    engine: str
    versions: dict[str, str]
    dataflow: Dataflow | None = None
    saving: Trace | str = ""
    assumed: tuple[str, ...] = ()
    used_elsewhere: tuple[str, ...] = ()
    pricing: Pricing | None = None

    @cached_property
    def total(self) -> Amount:
        """The total of every quantity."""
        tree = {q.name: sum(map(q.of_module, self.tree)) for q in counted() if q.of_module is not None}
        return Amount({**amount_of(self.ops, on_device=self.pricing is not None).counts, **tree})

    @cached_property
    def operators(self) -> tuple[OperatorRow, ...]:
        """Cost by canonical operator, in order of kind, then of cost."""
        groups: dict[tuple[str, Kind], list[CostedOp]] = {}
        for costed in self.ops:
            groups.setdefault((costed.name, costed.kind), []).append(costed)
        rows = [
            OperatorRow(name, kind, sum(op.times for op in ops), amount_of(ops)) for (name, kind), ops in groups.items()
        ]
        order = list(Kind)
        return tuple(sorted(rows, key=lambda row: (order.index(row.kind), -row.cost.total_flops, row.op)))

    @cached_property
    def modules(self) -> tuple[ModuleRow, ...]:
        """Cost of every module, called or not, in the order the module defines them."""
        known = amount_of(self.ops, on_device=self.pricing is not None)
        return _module_rows(self.tree, self.calls, self.ops, self.used_elsewhere, known)

    @cached_property
    def course(self) -> Course:
        """How its modules run: in which order, which are called, and which never run."""
        first: dict[str, int] = {}
        for place, path in enumerate(
            [*(costed.op.module for costed in self.ops), *(call.module for call in self.calls)]
        ):
            while path not in first:
                first[path] = place
                path = path.rpartition(".")[0]
        idle = frozenset(row.path for row in self.modules if row.path not in first and not row.used_elsewhere)
        return Course(first, frozenset(call.module for call in self.calls), idle)

    @cached_property
    def uncosted(self) -> tuple[UncostedRow, ...]:
        """The operators without a rule; empty if every operator is costed."""
        groups: dict[str, list[CostedOp]] = {}
        for costed in self.ops:
            if costed.kind is Kind.UNCOSTED:
                groups.setdefault(costed.name, []).append(costed)
        return tuple(
            UncostedRow(
                name,
                sum(c.times for c in ops),
                tuple(dict.fromkeys(c.op.module for c in ops)),
                sum(c.elements_read + c.elements_written for c in ops),
                sum(c.elements_read * max(c.elements_written // max(c.times, 1), 1) for c in ops),
            )
            for name, ops in groups.items()
        )

    @cached_property
    def unknown(self) -> UncostedWork:
        """How much of the work the operators without a rule may be."""
        return UncostedWork(
            sum(costed.elements_written for costed in self.ops if costed.kind is not Kind.UNCOSTED),
            sum(costed.elements_written for costed in self.ops),
            sum(row.upper_macs for row in self.uncosted),
        )

    def module(self, path: str) -> ModuleRow:
        """The row of one module by its dotted path; the error for an unknown path offers near names."""
        for row in self.modules:
            if row.path == path:
                return row
        paths = [row.path for row in self.modules if row.path]
        raise UnknownNameError("layer", path, paths, "name a layer as in `named_modules()`")

    def _headline(self) -> str:
        return f"{self.model}: {in_brief(self.total)}"


@dataclass(frozen=True, slots=True)
class SavedReport(OfInput, OneLine):
    """A result that was saved as JSON, with the attributes of `Result`. The JSON has no shapes of operators.

    Of a report that was priced on one device the layers have their time, energy and money, and `pricing` says on which.
    """

    model: str
    input: ResultInput
    views: Views
    total: Amount
    modules: tuple[ModuleRow, ...]
    uncosted: tuple[UncostedRow, ...]
    engine: str
    versions: dict[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    pricing: Pricing | None = None

    def _headline(self) -> str:
        return f"{self.model}: {in_brief(self.total)}"


def _module_rows(
    tree: Sequence[ModuleInfo],
    calls: Iterable[ModuleCall],
    ops: Sequence[CostedOp],
    used_elsewhere: Collection[str],
    known: Amount,
) -> tuple[ModuleRow, ...]:
    """A row per module of what is `known` of all operators.

    Work outside of all modules, such as the loss of a training step, belongs to the root.
    """
    used = {".".join(path.split(".")[:end]) for path in used_elsewhere for end in range(1, path.count(".") + 2)}
    by_module: dict[str, list[ModuleCall]] = {}
    for call in calls:
        by_module.setdefault(call.module, []).append(call)
    place = {info.path: index for index, info in enumerate(tree)}
    places = [place.get(costed.op.module, 0) for costed in ops]
    parents = [place[info.path.rpartition(".")[0]] for info in tree]
    spent = [quantity for quantity in priced() if known.knows(quantity)]
    own = {quantity.name: _own(quantity, tree, ops, places) for quantity in (*counted(), *spent)}
    whole = {name: _with_children(amounts, parents) for name, amounts in own.items()}
    return tuple(
        ModuleRow(
            path=info.path,
            type=info.type,
            depth=info.depth,
            calls=sum(call.times for call in by_module.get(info.path, ())),
            input_shapes=_distinct(call.inputs for call in by_module.get(info.path, ())),
            output_shapes=_distinct(call.outputs for call in by_module.get(info.path, ())),
            cost=Amount({name: amounts[index] for name, amounts in whole.items()}),
            own=Amount({name: amounts[index] for name, amounts in own.items()}),
            used_elsewhere=info.path in used and info.path not in by_module,
        )
        for index, info in enumerate(tree)
    )


def _own(quantity: Quantity, tree: Sequence[ModuleInfo], ops: Sequence[CostedOp], places: Sequence[int]) -> list[int]:
    """The amount of each module without its children; `places` are the operators' positions in the tree."""
    if quantity.of_module is not None:
        return [quantity.of_module(info) for info in tree]
    amounts = [0] * len(tree)
    if quantity.of_operator is not None:
        for place, amount in zip(places, map(quantity.of_operator, ops), strict=True):
            amounts[place] += amount
    return amounts


def _with_children(own: Sequence[int], parents: Sequence[int]) -> list[int]:
    """The amount of each module with its children; in the tree a module follows its parent."""
    whole = list(own)
    for index in range(len(whole) - 1, 0, -1):
        whole[parents[index]] += whole[index]
    return whole


def _distinct(calls: Iterable[tuple[tuple[int, ...], ...]]) -> tuple[tuple[int, ...], ...]:
    """Each shape once, in order of appearance."""
    return tuple(dict.fromkeys(shape for shapes in calls for shape in shapes))
