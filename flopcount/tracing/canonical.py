"""Whose handling serves an operator: an alias is run as its canonical operator where it is called the same way."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from ..rules import RULES, canonical_name

__all__ = ["canonical_call"]


def canonical_call(func: Any) -> str:
    """The canonical name of an overload, in-place or not, where arguments and number of results are as in that one.

    The rules hold operators together that cost alike. Where such a one takes other arguments or gives other results
    (`native_batch_norm` beside `batch_norm`), its name stays its own.
    """
    return _canonical_call(func, len(RULES))  # a rule may have come since


@cache  # which also keeps each operator alive
def _canonical_call(func: Any, rules: int) -> str:
    name = str(func.overloadpacket)
    canonical = canonical_name(name, func._overloadname)
    if canonical == name.removesuffix("_") or func.namespace != "aten":
        return canonical
    namespace, operator = canonical.split(".")[:2]
    packet = getattr(getattr(torch.ops, namespace), operator, None)  # a name of the user's may be no operator
    overload = getattr(packet, func._overloadname, None)
    return canonical if overload is not None and _form(overload) == _form(func) else name


def _form(func: Any) -> tuple[list[tuple[str, bool]], int]:
    """Arguments by name, whether they are keywords alone, and how many results there are."""
    schema = func._schema
    return [(argument.name, argument.kwarg_only) for argument in schema.arguments], len(schema.returns)
