"""Which operator's handler runs an alias: that of its canonical operator, if it has the same arguments."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from ..rules import RULES, canonical_name

__all__ = ["canonical_call"]


def canonical_call(func: Any) -> str:
    """The canonical name of an overload, in-place or not, if it has the same arguments and number of results.

    A rule may cover operators with other arguments or results (`native_batch_norm` beside `batch_norm`); such an
    operator keeps its own name here.
    """
    return _canonical_call(func, len(RULES))  # a rule may have been added since


@cache  # this also keeps each operator alive
def _canonical_call(func: Any, rules: int) -> str:
    name = str(func.overloadpacket)
    canonical = canonical_name(name, func._overloadname)
    if canonical == name.removesuffix("_") or func.namespace != "aten":
        return canonical
    namespace, operator = canonical.split(".")[:2]
    packet = getattr(getattr(torch.ops, namespace), operator, None)  # a user's name may not be an operator
    overload = getattr(packet, func._overloadname, None)
    return canonical if overload is not None and _form(overload) == _form(func) else name


def _form(func: Any) -> tuple[list[tuple[str, bool]], int]:
    """Arguments by name, whether they are keyword-only, and the number of results."""
    schema = func._schema
    return [(argument.name, argument.kwarg_only) for argument in schema.arguments], len(schema.returns)
