"""One call of an operator along an axis of the input, and the table of dependences by operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from ..intervals import Intervals

__all__ = ["RULES", "Answer", "Call", "Rule", "axes_of", "dependence", "sizes_of"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator along one axis of the input: what each tensor argument sees, and the shapes.

    `given` has the arguments by schema name, with defaults filled in; `see` returns the intervals of a tensor, and None
    for a constant.
    """

    func: Any
    given: dict[str, Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    see: Callable[[Tensor], Intervals | None]
    results: tuple[Tensor, ...]

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the (first) result."""
        return tuple(self.results[0].shape)

    def reach(self, name: str = "") -> Intervals | None:
        """The reach of the named argument, or of the first."""
        value = self.given[name] if name else next(iter(self.given.values()))
        return self.see(value) if isinstance(value, Tensor) else None

    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments."""
        tensors: list[Tensor] = []
        for value in self.given.values():
            tensors += [v for v in (value if isinstance(value, (list, tuple)) else (value,)) if isinstance(v, Tensor)]
        return tensors

    def seen(self) -> list[Intervals]:
        """The reaches of all arguments that have one."""
        return [reach for tensor in self.tensors() if (reach := self.see(tensor)) is not None]


Answer: TypeAlias = "Intervals | Sequence[Intervals | None] | None"
Rule: TypeAlias = Callable[[Call], Answer]
"""Returns the reach of the result (or of each result); None if it cannot handle the call."""

RULES: dict[str, Rule] = {}


def dependence(*names: str) -> Callable[[Rule], Rule]:
    """Register a function for canonical operators, of aten if no namespace is said; it also handles their aliases."""

    def register(function: Rule) -> Rule:
        RULES.update({name if "." in name else f"aten.{name}": function for name in names})
        return function

    return register


def sizes_of(value: Any, axes: int) -> list[int]:
    """One number per axis; a single number is that of every axis."""
    values = [value] if isinstance(value, int) else list(value)
    return values if len(values) == axes else values * axes


def axes_of(value: Any, ndim: int) -> list[int]:
    """Axes as non-negative numbers; all axes if the call names none."""
    if value is None or value == []:
        return list(range(ndim))
    return [axis % max(ndim, 1) for axis in ([value] if isinstance(value, int) else value)]
