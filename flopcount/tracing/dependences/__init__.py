"""What each operator's result can see of what its arguments can see: one function per family of operators.

A function here takes a Call (arguments by schema name, what each tensor sees along one axis of the clip) and returns
what the result sees. An operator that is not in the table, and is not elementwise by its cost rule,
loses the lineage and is named as the one that did. What an attention mask hides is not known here: masked attention
counts as seeing everything it could attend to, except where the operator itself says that it is causal.
"""

from __future__ import annotations

from typing import Any

from ...ops import Kind, Signature
from ...rules import find_rule
from . import elementwise, layers, movement, windows  # noqa: F401  (imported to register)
from .call import RULES, Call, Rule

__all__ = ["Call", "Rule", "rule_of"]


_MIXING = ("aten.kron", "aten.linalg_cross", "aten.addr", "aten.isin", "aten._foreach")
"""Elementwise by what they cost, not by what they see."""


def rule_of(func: Any) -> Rule | None:
    """The dependence of an operator: by name, else that of an elementwise operator if its cost rule is of one."""
    name = str(func.overloadpacket)
    found = RULES.get(name) or RULES.get(name[:-1] if name.endswith("_") else name)
    if found is not None:
        return found
    cost = find_rule(Signature(name, func._overloadname, {}, ()))
    by_element = cost is not None and cost.kind in (Kind.ACTIVATION, Kind.ELEMENTWISE)
    return elementwise.pointwise if by_element and not name.startswith(_MIXING) else None
