"""Operators that exchange data with other processes: no work of a network, so a count leaves them out and says so.

They still run, so that what they fill is filled; torch's schemas do not say what that is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .inputs import map_tensors

__all__ = ["filled", "is_barrier", "is_communication", "is_passing", "kept_random_numbers", "left_out", "values_stay"]

_NAMESPACES = frozenset(("c10d", "c10d_functional", "_c10d_functional", "_c10d_functional_autograd", "fsdp"))
"""Namespaces of operators that exchange data with other processes, and lay it out for that."""


def is_communication(func: Any) -> bool:
    """Whether an operator exchanges data with other processes."""
    return getattr(func, "namespace", "") in _NAMESPACES


def is_passing(func: Any) -> bool:
    """Whether the result is the argument itself, which has arrived."""
    return str(func.overloadpacket).rpartition(".")[2] in ("wait_tensor", "_wrap_tensor_autograd")


def left_out(operators: Iterable[str]) -> tuple[str, ...]:
    """What a count says of such operators; nothing if there are none."""
    names = ", ".join(operators)
    return (f"communication between processes is left out: {names}",) if names else ()


def filled(func: Any, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """The tensors that such an operator writes to, or that only tell it where it runs, as that of a barrier."""
    tensors: list[torch.Tensor] = []
    for position, argument in enumerate(func._schema.arguments):
        writes = argument.alias_info is not None and argument.alias_info.is_write
        hidden = func.namespace == "c10d" and not argument.name.startswith("input") and func.name() not in _READ
        if writes or hidden or argument.name == "all_gather_output":
            map_tensors(tensors.append, kwargs.get(argument.name, args[position] if position < len(args) else None))
    return tensors


_READ = ("c10d::send", "c10d::check_for_nan")


def values_stay(func: Any) -> bool:
    """Whether known values are known afterwards, which those of other processes are not."""
    alone = torch.distributed.is_initialized() and torch.distributed.get_world_size() == 1
    return alone and not is_barrier(func)


def is_barrier(func: Any) -> bool:
    """Whether processes only wait for each other; the tensor that such an operator takes is nobody's."""
    return "barrier" in func.name()


@contextmanager
def kept_random_numbers() -> Iterator[None]:
    """Restore Python's generator: torch names what has no data by a random number, which no module draws."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)
