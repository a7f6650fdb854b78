"""Which function gives the dependence of an operator's result."""

from __future__ import annotations

from typing import Any

from ...core.ops import Kind
from ...rules import find_rule, known_as
from . import elementwise, layers, movement, windows  # noqa: F401  (imported to register)
from .call import RULES, Rule

__all__ = ["rule_of"]

_MIXING = ("aten.kron", "aten.linalg_cross", "aten.addr", "aten.isin", "aten._foreach")
"""Operators that are elementwise by their cost, but not by what they see."""


def rule_of(func: Any) -> Rule | None:
    """The dependence of an operator: by canonical name, or the elementwise one if its cost rule is elementwise."""
    name = str(func.overloadpacket)
    cost = find_rule(name, func._overloadname)
    for known in known_as(name, func._overloadname):
        if known in RULES:
            return RULES[known]
    by_element = cost is not None and cost.kind in (Kind.ACTIVATION, Kind.ELEMENTWISE)
    return elementwise.pointwise if by_element and not name.startswith(_MIXING) else None
