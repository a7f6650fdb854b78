"""What a caller counts -> the one module that every other file sees."""

from __future__ import annotations

from typing import Any

from torch import nn

from .arguments import Input, settled
from .callables import with_strangers
from .forward import Watch, trace
from .guard.threads import TURN

__all__ = ["module_of"]


def module_of(target: Any, input: Input, engine: str = "auto") -> nn.Module:
    """A module as it is, and for any other callable a module that does the same, whose children are those it uses.

    A function is run once without arithmetic, which finds the modules that none of its variables hold.

    Raises:
        InputError: it cannot be called, or is a class, a name or an exported program.
        FlopcountError: as `trace`.
    """

    def run(module: nn.Module, watch: Watch) -> object:
        taken = settled(input, module, engine)
        return trace(module, taken.args, taken.kwargs, engine=engine, watch=watch)

    with TURN:
        return with_strangers(target, run)
