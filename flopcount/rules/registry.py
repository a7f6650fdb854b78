"""The rule and the canonical name of each operator: one decorator, one dictionary.

A rule is a pure function from an operator's arguments (tensors as TensorSpec, named as in the operator's schema) and
its output `out` to a `Work`. It names only the arguments that it needs. An operator without a rule is not in the
dictionary, and `costing` keeps it as uncosted.

Only the registration of a rule spells its aliases. All other tables of operators (their depth, the workspace of their
kernels, the shapes and dependences of tracing) use the canonical name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from ..core.errors import InputError
from ..core.ops import Kind, Signature, Work
from .formula import OperatorFormula

__all__ = ["RULES", "Formulas", "Rule", "canonical_name", "find_rule", "known_as", "rule"]

RuleFunction = TypeVar("RuleFunction", bound=Callable[..., Work])
FormulaFunction = TypeVar("FormulaFunction", bound=Callable[..., int])
_OPERATOR = re.compile(r"\w+\.\w+(\.\w+)?")  # with or without its overload


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered cost rule; `name` is the canonical operator ("aten.convolution" for conv1d ... conv3d)."""

    name: str
    kind: Kind
    formula: OperatorFormula[Work]
    counts: str
    source: str

    def work(self, signature: Signature) -> Work:
        """The work of one call."""
        work = self.formula(signature)
        if not isinstance(work, Work):
            raise InputError(
                f"the rule for {self.name} returned {work!r}", [("fix", "return flopcount.Work(macs=...)")]
            )
        for count in (work.macs, work.other_flops, work.bytes_read, work.bytes_written):
            if count is not None and not isinstance(count, int):
                raise InputError(
                    f"the rule for {self.name} counts {count!r}, which is not a whole number",
                    [("called", str(signature)), ("fix", "use // instead of /, and integers throughout")],
                )
        return work


_RULES: dict[str, Rule] = {}
RULES: Mapping[str, Rule] = MappingProxyType(_RULES)
"""Operator name -> rule; read-only, since `rule` registers."""


def rule(*ops: object, kind: Kind = Kind.CUSTOM, source: str | None = None) -> Callable[[RuleFunction], RuleFunction]:
    """Register a cost rule for one or more operators; the first is the canonical name, which tables show.

    Operators are names ("mylib.my_op") or torch's own objects (`torch.ops.mylib.my_op`). The docstring's "Counts:"
    and "Source:" lines are what `explain` prints.

        @rule("mylib.my_op")
        def my_op(x, weight, *, out):
            \"\"\"Counts: one multiply-accumulate per weight and output.\"\"\"
            return Work(macs=out.numel * weight.shape[0])

    A rule may be defined again, as in a notebook cell; a second rule from another function is an error.
    """
    names = [str(op).replace("::", ".") for op in ops]  # both spellings of "mylib::my_op"
    for name in names or [""]:
        if not _OPERATOR.fullmatch(name):
            raise InputError(
                f"{name!r} is not the name of an operator",
                [("fix", 'write @rule("namespace.operator") or @rule(torch.ops.ns.op)')],
            )

    def register(function: RuleFunction) -> RuleFunction:
        entry = Rule(
            name=names[0],
            kind=kind,
            formula=OperatorFormula.of(f"rule for {names[0]}", function),
            counts=_section(function, "Counts"),
            source=source or _section(function, "Source") or f"rule {function.__qualname__} in {function.__module__}",
        )
        for name in names:
            earlier = _RULES.get(name)
            if earlier is not None and _origin(earlier.formula.function) != _origin(function):
                raise InputError(
                    f"{name} already has a cost rule",
                    [("seen", _origin(earlier.formula.function)), ("fix", "remove one of them")],
                )
        _RULES.update(dict.fromkeys(names, entry))
        return function

    return register


def find_rule(op: str, overload: str) -> Rule | None:
    """The rule of exactly this overload, else of the operator, else of its out-of-place twin (`relu_` -> `relu`)."""
    for name in (op, op[:-1]) if op.endswith("_") else (op,):
        entry = _RULES.get(f"{name}.{overload}") or _RULES.get(name)
        if entry is not None:
            return entry
    return None


def canonical_name(op: str, overload: str) -> str:
    """The name of the operator's rule, or its own name if it has no rule."""
    entry = find_rule(op, overload)
    return entry.name if entry is not None else op


def known_as(op: str, overload: str) -> tuple[str, ...]:
    """The names that other tables may have for a call: that of its overload's rule, of its operator's rule, its own.

    They differ where a rule is for one overload only, or for the in-place operator.
    """
    return canonical_name(op, overload), canonical_name(op, ""), op.removesuffix("_")


class Formulas:
    """A quantity (`what`) beside the work, by canonical operator. A formula names its arguments as a rule does.

    @depths("mylib.my_op")
    def my_op(x, *, out):
        return 2
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.by_operator: dict[str, OperatorFormula[int]] = {}

    def __call__(self, *ops: str) -> Callable[[FormulaFunction], FormulaFunction]:
        """Register a formula for one or more canonical operators."""

        def register(function: FormulaFunction) -> FormulaFunction:
            self.by_operator |= {op: OperatorFormula.of(f"{self.what} of {op}", function) for op in ops}
            return function

        return register

    def of(self, signature: Signature) -> int | None:
        """The value of the formula for one call; None if the operator has no formula."""
        names = known_as(signature.op, signature.overload)
        formula = next((self.by_operator[name] for name in names if name in self.by_operator), None)
        return None if formula is None else formula(signature)


def _origin(function: Callable[..., Work]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _section(function: Callable[..., Work], title: str) -> str:
    """The text of one "Title: ..." paragraph of a docstring, on one line."""
    lines = iter(inspect.cleandoc(function.__doc__ or "").splitlines())
    for line in lines:
        if line.startswith(f"{title}: "):
            texts = [line.removeprefix(f"{title}: ")]
            for more in lines:
                if not more.startswith("    "):
                    break
                texts.append(more.strip())
            return " ".join(texts)
    return ""
