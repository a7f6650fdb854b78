"""What a report was counted from: its readers count it again, for a closed form or for memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import nn

from .core.memo import anew
from .core.one_line import OneLine
from .tracing import TURN
from .tracing.arguments import Input

if TYPE_CHECKING:
    from .tracing.losses import Asked
    from .training.plan import Plan

__all__ = ["Counted"]


class Counted(OneLine):
    """What a report was counted from, so that its readers can count again; copies share it, pickles lack it."""

    def __init__(self, module: nn.Module, input: Input, engine: str, fast: bool, plan: Plan | None) -> None:
        self.module, self.input, self.engine, self.fast, self.plan = module, input, engine, fast, plan

    def _headline(self) -> str:
        return f"of a {type(self.module).__name__}"

    @property
    def loss(self) -> Asked:
        """What the caller asked to be differentiated, if anything."""
        return self.plan.loss if self.plan else None

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """The module as it was while it was counted: trained, or as it is. Counts of other threads wait."""
        with TURN, anew(not self.fast), self.plan.applied(self.module) if self.plan else nullcontext():
            yield

    def __copy__(self) -> Counted:
        return self

    def __deepcopy__(self, memo: object) -> Counted:
        return self

    def __reduce__(self) -> Any:
        return _nothing, ()


def _nothing() -> None:
    return None
