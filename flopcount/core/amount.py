"""An amount of work: how much of each quantity of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .one_line import OneLine
from .ops import CostedOp
from .quantity import TABLE, Quantity, counted, priced

__all__ = ["Amount", "QuantityOf", "amount_of", "in_brief", "summed"]


class _Nothing(dict[str, int]):
    """Zero of every quantity, while an empty dictionary means that no quantity is known."""


@dataclass(frozen=True, slots=True)
class Amount(OneLine):
    """How much of each counted quantity, by name; attributes also give derived quantities: `flops` is 2 * `macs`.

    A quantity that it lacks is unknown, and reading it is an error. `Amount()` is zero of every quantity: adding it
    changes nothing. A multiple of an amount has the same parameters.
    """

    counts: Mapping[str, int] = field(default_factory=_Nothing)

    def __getitem__(self, name: str) -> int:
        """How much of one quantity of the table.

        Raises:
            KeyError: the amount of it is unknown.
        """
        parts = TABLE[name].made_of
        if parts:
            return sum(times * self[part] for part, times in parts.items())
        return 0 if self._is_nothing else self.counts[name]

    def __getattr__(self, name: str) -> int:
        if name in TABLE:
            try:
                return self[name]
            except KeyError:
                raise AttributeError(f"the number of {TABLE[name].title} is not known") from None
        raise AttributeError(f"an amount has no {name}")

    def __bool__(self) -> bool:
        """Whether the amount of any quantity is above zero."""
        return any(self.counts.values())

    def knows(self, quantity: Quantity) -> bool:
        """Whether the amount of this quantity is known."""
        return self._is_nothing or all(name in self.counts for name in quantity.made_of or (quantity.name,))

    def growing(self, unit: str) -> Amount:
        """The part that `unit` multiplies, "views" or "batch"."""
        return self.only(name for name in self.counts if unit in TABLE[name].grows_with)

    def only(self, names: Iterable[str]) -> Amount:
        """The part that has these names."""
        return self if self._is_nothing else Amount({name: self.counts[name] for name in names if name in self.counts})

    @property
    def _is_nothing(self) -> bool:
        return isinstance(self.counts, _Nothing)

    def __hash__(self) -> int:
        return hash(frozenset(self.counts.items()))

    def __add__(self, other: Amount) -> Amount:
        if not isinstance(other, Amount):
            return NotImplemented
        if self._is_nothing or other._is_nothing:
            return other if self._is_nothing else self
        return Amount({name: count + other.counts[name] for name, count in self.counts.items() if name in other.counts})

    def __sub__(self, other: Amount) -> Amount:
        if other._is_nothing:
            return self
        return self + Amount({name: -count for name, count in other.counts.items()})

    def __mul__(self, times: int) -> Amount:
        return self._each(lambda count: count * times) if isinstance(times, int) else NotImplemented

    def __floordiv__(self, parts: int) -> Amount:
        return self._each(lambda count: count // parts) if isinstance(parts, int) else NotImplemented

    def _each(self, change: Callable[[int], int]) -> Amount:
        """With each count changed, except those that do not grow, such as parameters."""
        if self._is_nothing:
            return self
        counts = {name: change(count) if TABLE[name].grows_with else count for name, count in self.counts.items()}
        return Amount(counts)

    def _headline(self) -> str:
        return in_brief(self)


class QuantityOf:
    """An attribute named like a quantity, whose value it reads from an Amount of the same object."""

    def __init__(self, amount: str, doc: str) -> None:
        self._amount, self._name, self.__doc__ = amount, "", doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type | None = None) -> int:
        if owner is None:  # documentation tools read it from the class
            return self  # type: ignore[return-value]
        amount: Amount = getattr(owner, self._amount)
        return amount[self._name.removeprefix("own_")]


def amount_of(ops: Sequence[CostedOp], *, on_device: bool = False) -> Amount:
    """The work of all these operators, and what they spend on a device where that is known of each.

    Where nothing runs, no operator says that it is priced: `on_device` does, and then nothing takes no time.
    """
    work = {q.name: sum(map(q.of_operator, ops)) for q in counted() if q.of_operator is not None}
    return Amount(work | (_spent(ops) if ops or not on_device else {TABLE["time"].name: 0}))


def _spent(ops: Sequence[CostedOp]) -> dict[str, int]:
    if not ops or ops[0].spending is None:
        return {}
    amounts = {q.name: list(map(q.of_operator, ops)) for q in priced() if q.of_operator is not None}
    return {name: sum(of_ops) for name, of_ops in amounts.items() if None not in of_ops}


def in_brief(amount: Amount) -> str:
    """MACs and parameters, those that are known and more than none; other FLOPs where there are no MACs."""
    work = "macs" if amount.counts.get("macs") else "other_flops"
    words = {work: TABLE[work].title, "params": "parameters"}
    known = [f"{amount[name]:,} {word}" for name, word in words.items() if amount.counts.get(name)]
    return ", ".join(known) or "nothing"


def summed(amounts: Iterable[Amount]) -> Amount:
    """The sum of amounts."""
    return sum(amounts, Amount())
