"""Which rule costs which operator: one decorator, one dictionary.

A rule is a pure function from an operator's arguments (tensors as TensorSpec, named as in the operator's schema) and
its output `out` to a `Work`. It asks for the arguments it needs and no others. What has no rule is not in here, and
`costing` keeps it as uncosted.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from ..core.errors import InputError
from ..core.ops import Kind, Signature, Work

__all__ = ["RULES", "Rule", "find_rule", "rule"]

RuleFunction = TypeVar("RuleFunction", bound=Callable[..., Work])
_EMPTY = inspect.Parameter.empty
_OPERATOR = re.compile(r"\w+\.\w+(\.\w+)?")  # with or without its overload


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered cost rule.

    `name` is the canonical operator ("aten.convolution" for conv1d ... conv_transpose3d), `defaults` the arguments
    the function asks for, with the value that stands in where an operator's schema does not have one.
    """

    name: str
    kind: Kind
    function: Callable[..., Work]
    counts: str
    source: str
    defaults: Mapping[str, Any]

    def work(self, signature: Signature) -> Work:
        """The work of one call."""
        of_call = signature.arguments
        arguments = {name: of_call.get(name, default) for name, default in self.defaults.items()}
        missing = [name for name, value in arguments.items() if value is _EMPTY]
        if missing:
            raise InputError(
                f"the rule for {self.name} asks for {', '.join(missing)}, which {signature.op} does not have",
                [("seen", ", ".join(of_call)), ("fix", "name a rule's arguments as in the operator's schema")],
            )
        outputs = signature.outputs
        work = self.function(**arguments, out=outputs[0] if len(outputs) == 1 else outputs)
        for count in (work.macs, work.other_flops, work.bytes_read, work.bytes_written):
            if count is not None and not isinstance(count, int):
                raise InputError(
                    f"the rule for {self.name} counts {count!r}, which is no whole number",
                    [("called", str(signature)), ("fix", "use // instead of /, and integers throughout")],
                )
        return work


_RULES: dict[str, Rule] = {}
RULES: Mapping[str, Rule] = MappingProxyType(_RULES)
"""Operator name -> rule; read-only, `rule` is the way in."""


def rule(*ops: object, kind: Kind = Kind.CUSTOM, source: str | None = None) -> Callable[[RuleFunction], RuleFunction]:
    """Register a cost rule for one or more operators; the first is the canonical name tables show.

    Operators are names ("mylib.my_op") or torch's own objects (`torch.ops.mylib.my_op`). The docstring's "Counts:"
    and "Source:" lines are what `explain` prints.

        @rule("mylib.my_op")
        def my_op(x, weight, *, out):
            \"\"\"Counts: one multiply-accumulate per weight and output.\"\"\"
            return Work(macs=out.numel * weight.shape[0])

    Running the same definition again (a notebook cell) replaces it; a second rule of another function is an error.
    """
    names = [str(op).replace("::", ".") for op in ops]  # both spellings of "mylib::my_op"
    for name in names or [""]:
        if not _OPERATOR.fullmatch(name):
            raise InputError(
                f"{name!r} names no operator", [("fix", 'write @rule("namespace.operator") or @rule(torch.ops.ns.op)')]
            )

    def register(function: RuleFunction) -> RuleFunction:
        parameters = inspect.signature(function).parameters
        entry = Rule(
            name=names[0],
            kind=kind,
            function=function,
            counts=_section(function, "Counts"),
            source=source or _section(function, "Source") or f"rule {function.__qualname__} in {function.__module__}",
            defaults={name: parameter.default for name, parameter in parameters.items() if name != "out"},
        )
        for name in names:
            earlier = _RULES.get(name)
            if earlier is not None and _origin(earlier.function) != _origin(function):
                raise InputError(
                    f"{name} has a cost rule already",
                    [("seen", _origin(earlier.function)), ("fix", "remove one of them")],
                )
            _RULES[name] = entry
        return function

    return register


def find_rule(signature: Signature) -> Rule | None:
    """The rule of exactly this overload, else of the operator, else of its out-of-place twin (`relu_` -> `relu`)."""
    op = signature.op
    for name in (op, op[:-1]) if op.endswith("_") else (op,):
        entry = _RULES.get(f"{name}.{signature.overload}") or _RULES.get(name)
        if entry is not None:
            return entry
    return None


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
