"""Why a number is what it is: each operator of a layer with its formula, the numbers put in, and its source.

The formula is not a second copy: the cost rule runs once more on numbers that remember their arithmetic.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..core.amount import in_brief
from ..core.ops import CostedOp, Kind, Signature, Workload
from ..core.result import ModuleRow, Result
from ..core.shown_as_tables import ShownAsTable, ShownAsTables
from ..core.table import Column, Table
from ..core.units import exact, plural
from ..core.wording import assumed_lines
from ..rules import find_rule
from ..rules.costing import costed_anew
from ..rules.expression import Term, named

__all__ = ["ExplainedOp", "Explanation", "explain"]

_LABEL = 8  # of the labels, but for the one that is to be seen
_WIDTH = 80  # prose wraps here, as all output on a pipe does


@dataclass(frozen=True, slots=True)
class ExplainedOp(ShownAsTable):
    """One operator call of a layer (and how often it recurs), in words and numbers."""

    signature: Signature
    name: str
    kind: Kind
    module: str
    calls: int
    counts: str
    macs: str
    flops: str
    other_flops: str
    source: str

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What is known of it, each with its label: what the rule counts, the equations, the source."""
        if self.kind is Kind.UNCOSTED:
            return (("UNCOSTED", "no rule knows this operator; it is in no total"),)
        labelled = (
            ("counts", self.counts),
            ("MACs", self.macs),
            ("FLOPs", self.flops),
            ("other", self.other_flops),
            ("source", self.source),
        )
        return tuple((label, text) for label, text in labelled if text)

    @property
    def _call(self) -> str:
        return f"{self.signature}{f'  ({self.calls} identical calls)' if self.calls > 1 else ''}"

    def lines(self) -> Iterable[str]:
        """As printed: the call, then one labelled line per fact."""
        yield self._call
        for label, text in self.facts:
            if label in ("counts", "source"):
                yield from _wrapped(label, text)
            else:
                yield f"  {label:<7} {text}" if len(label) < _LABEL else f"  {label}  {text}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def table(self) -> Table:
        """The same as a table under the call, one row per fact."""
        rows = (("in", self.module or "the model itself"), *self.facts)
        return Table(self._call, (Column("", "text", tone="quiet"), Column("", "prose")), rows, None)

    def _headline(self) -> str:
        return (
            f"{self.name} in {self.module or 'the model itself'}, {plural(self.calls, 'call')}: MACs {self.macs or 0}"
        )


def _wrapped(label: str, text: str) -> list[str]:
    """Prose under its label; formulas stay on one line, to be copied."""
    return textwrap.wrap(text, _WIDTH, initial_indent=f"  {label:<7} ", subsequent_indent=" " * 10)


@dataclass(frozen=True, slots=True)
class Explanation(ShownAsTables):
    """All operators of one layer, its children included; `str()` is what the command prints."""

    row: ModuleRow
    ops: tuple[ExplainedOp, ...]
    assumed: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The layer, and how often it is called."""
        row = self.row
        never = "used elsewhere, not called itself" if row.used_elsewhere else "never called"
        calls = {0: never, 1: "called once"}.get(row.calls, f"called {row.calls} times")
        return f"{row.path or 'the model'} ({row.type}), {calls}"

    @property
    def _several(self) -> bool:
        """Whether the layer costs more than one call that is explained."""
        return sum(op.calls for op in self.ops) > 1

    @property
    def _together(self) -> tuple[str, str]:
        cost = self.row.cost
        together = f"together {exact(cost.macs)} MACs = {exact(cost.flops)} FLOPs"
        return together, f"and {exact(cost.other_flops)} other FLOPs"

    def _tables(self) -> tuple[Table, ...]:
        """The layer with what its operators cost together, and a table of each of them."""
        notes = (*(self._together if self._several else ()), *assumed_lines(self.assumed))
        return (Table(self.title, (), (), None, notes), *(op.table() for op in self.ops))

    def __str__(self) -> str:
        row = self.row
        lines = [self.title]
        module = row.path
        for op in self.ops:
            if op.module != module:
                module = op.module
                lines += ["", f"in {module or 'the model itself'}"]
            lines += op.lines()
        if self._several:
            lines += ["", *self._together]
        if self.assumed:
            lines += ["", *(line for text in assumed_lines(self.assumed) for line in textwrap.wrap(text, _WIDTH))]
        return "\n".join(lines)

    def _headline(self) -> str:
        return f"{self.title}: {plural(len(self.ops), 'operator')}, {in_brief(self.row.cost)}"


def explain(report: Result, layer: str) -> Explanation:
    """Explain every operator of a layer; views, which cost nothing, are left out.

    Raises:
        UnknownNameError: no such layer, with near names.
    """
    row = report.module(layer)
    groups: dict[tuple[str, int], list[CostedOp]] = {}
    for costed in report.ops:
        place = costed.op.module
        inside = place == layer or place.startswith(f"{layer}.") or not layer
        if inside and costed.kind is not Kind.VIEW:
            groups.setdefault((place, id(costed.op.signature)), []).append(costed)
    return Explanation(row, tuple(_explained(ops) for ops in groups.values()), report.assumed)


def _explained(ops: list[CostedOp]) -> ExplainedOp:
    first = ops[0]
    signature = first.op.signature
    rule = find_rule(signature.op, signature.overload)
    work = _worked_out(signature, first.work)
    return ExplainedOp(
        signature=signature,
        name=first.name,
        kind=first.kind,
        module=first.op.module,
        calls=len(ops),
        counts=rule.counts if rule else "formula registered with torch.utils.flop_counter",
        macs=_equation(work.macs),
        flops=_equation(2 * work.macs),
        other_flops=_equation(work.other_flops),
        source=rule.source if rule else "torch.utils.flop_counter.flop_registry",
    )


def _worked_out(signature: Signature, work: Workload) -> Workload:
    """The same work from numbers that remember their arithmetic; a rule that cannot take them gives bare numbers."""
    if find_rule(signature.op, signature.overload) is None:
        return work
    arguments = {name: named(value) for name, value in signature.arguments.items()}
    try:
        again = costed_anew(replace(signature, arguments=arguments, outputs=named(signature.outputs))).work
    except TypeError:  # a user's rule may want plain ints (numpy, torch)
        return work
    assert (again.macs, again.other_flops) == (work.macs, work.other_flops), signature
    return again


def _equation(value: int) -> str:
    """Like "2·3·3 = 18"; a bare number where there is no arithmetic to show, nothing for nothing."""
    if value == 0:
        return ""
    if not isinstance(value, Term) or value.text == str(int(value)):
        return exact(int(value))
    return f"{value.text} = {exact(int(value))}"
