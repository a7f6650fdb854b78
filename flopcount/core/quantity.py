"""THE table of quantities: what a cost is made of, and how each adds over operators, modules, views and a batch.

Everything that shows a cost goes through this table: tables, JSON, csv, pages and their scripts, closed forms, sweeps,
diffs, budgets and saved reports. A new quantity is one row, with the function that gives its amount for an operator (or
a module).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol

from .errors import InputError, UnknownNameError
from .one_line import OneLine
from .ops import CostedOp
from .table import Column

__all__ = [
    "PICO",
    "TABLE",
    "Quantity",
    "counted",
    "of_layers",
    "of_modules",
    "of_operators",
    "priced",
    "quantity_column",
    "require_quantity",
]


PICO = 10**12
"""Priced quantities are counted in 10^-12 of their unit, since whole numbers sum exactly."""


@dataclass(frozen=True, slots=True)
class Quantity(OneLine):
    """One quantity; a result has an attribute of the same name.

    Exactly one of three fields gives its amount. `of_operator` takes a costed operator, whose sizes may be symbols, so
    it uses only + - * // and prod. `of_module` takes a module's own part of the tree. `made_of` is a sum of other
    quantities with their factors; such a quantity has no closed form of its own. Operators sum to their module, and
    modules to the whole.

    Arguments:
        name: the attribute, also in JSON and in data frames.
        title: the name in words, and the heading of a lone column.
        heading: the heading of a column among others; by default the title.
        unit: "B" for bytes; counts have none.
        grows_with: which of "views" and "batch" multiply it; under the others it is either the same or unknown.
        of_layers: whether each layer and operator shows it; if not, only the whole does.
        minor: whether a table of layers shows it only where there is room for it.
        stepwise: whether a diff shows old and new beside the difference.
        limit: its name in a budget ("max-gmacs"); by default `name`.
        scale: the prefix of a bare number in a budget.
        complete: whether operators without a rule leave it complete.
        drop: when its column leaves a narrow terminal, as in `Column`.
        tone: the tone of its column, as in `Column`.
        pico: whether its amounts are in 10^-12 of its unit, as those of what a device spends; only a result that is
            priced on a device has it.
        per_limit: what a bare number of a budget is multiplied by, of a quantity in 10^-12 of its unit.
        in_currency: whether its unit is the currency of the price that a result is priced with.
    """

    name: str
    title: str
    of_operator: Callable[[CostedOp], Any] | None = None
    of_module: Callable[[Any], int] | None = None
    made_of: Mapping[str, int] = field(default_factory=dict)
    heading: str = ""
    unit: str = ""
    grows_with: tuple[str, ...] = ("views", "batch")
    of_layers: bool = True
    minor: bool = False
    stepwise: bool = False
    limit: str = ""
    scale: str = ""
    complete: bool = False
    drop: int = 2
    tone: str = ""
    pico: bool = False
    per_limit: int = 1
    in_currency: bool = False

    @property
    def key(self) -> str:
        """Its name in data: with the unit where that is no count."""
        return f"{self.name}_{self.unit}" if self.pico and self.unit else self.name

    def exact(self, amount: float) -> int | float:
        """An amount in its unit, as data have it."""
        return amount / PICO if self.pico else amount

    def __post_init__(self) -> None:
        if sum(map(bool, (self.of_operator, self.of_module, self.made_of))) != 1:
            raise InputError(
                f"quantity {self.name} needs exactly one of of_operator, of_module and made_of",
                [("fix", "give its amount for an operator or for a module, or the quantities that it is a sum of")],
            )

    def _headline(self) -> str:
        return f"{self.name}: {self.title}" + (f", in {self.unit}" if self.unit else "")


TABLE: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "macs", "MACs", attrgetter("work.macs"), stepwise=True, limit="gmacs", scale="G", drop=0, tone="strong"
        ),
        Quantity("flops", "FLOPs", made_of={"macs": 2}, limit="gflops", scale="G", drop=5),
        Quantity("other_flops", "other FLOPs", attrgetter("work.other_flops"), heading="other", drop=3, tone="quiet"),
        Quantity("total_flops", "all FLOPs", made_of={"macs": 2, "other_flops": 1}, of_layers=False),
        Quantity(
            "params", "params", of_module=attrgetter("params"), grows_with=(), stepwise=True, scale="M", complete=True
        ),
        Quantity(
            "trainable_params",
            "trainable params",
            of_module=attrgetter("trainable_params"),
            grows_with=(),
            of_layers=False,
            scale="M",
            complete=True,
        ),
        # a batch reads the weights once, and may make copies that a single sample does not need
        Quantity(
            "bytes_read",
            "bytes read",
            attrgetter("work.bytes_read"),
            heading="read",
            unit="B",
            grows_with=("views",),
            minor=True,
        ),
        Quantity(
            "bytes_written",
            "bytes written",
            attrgetter("work.bytes_written"),
            heading="written",
            unit="B",
            grows_with=("views",),
            minor=True,
        ),
        # what a device spends: only of a result that is priced on one; a larger batch takes less than its multiple
        Quantity(
            "time",
            "time",
            lambda costed: costed.spending and costed.spending.time,
            unit="s",
            grows_with=("views",),
            limit="ms",
            drop=8,
            tone="strong",
            pico=True,
            per_limit=PICO // 1000,
        ),
        Quantity(
            "energy",
            "energy",
            lambda costed: costed.spending and costed.spending.energy,
            unit="J",
            grows_with=("views",),
            limit="joules",
            minor=True,
            pico=True,
            per_limit=PICO,
        ),
        Quantity(
            "money",
            "money",
            lambda costed: costed.spending and costed.spending.money,
            grows_with=("views",),
            limit="money",
            minor=True,
            pico=True,
            per_limit=PICO,
            in_currency=True,
        ),
    )
}
"""Quantities by name, in the order in which tables show them."""


class Knowing(Protocol):
    """What can say whether it knows a quantity: an Amount."""

    def knows(self, quantity: Quantity) -> bool:
        """Whether the amount of this quantity is known."""


def counted() -> tuple[Quantity, ...]:
    """The quantities that are counted directly and not made of others."""
    return tuple(quantity for quantity in TABLE.values() if not (quantity.made_of or quantity.pico))


def priced() -> tuple[Quantity, ...]:
    """The quantities that only a result priced on a device has."""
    return tuple(quantity for quantity in TABLE.values() if quantity.pico)


def of_layers(amount: Knowing | None = None) -> tuple[Quantity, ...]:
    """The quantities that each layer shows: what is counted, and of what is priced all that `amount` knows."""
    return tuple(
        quantity
        for quantity in TABLE.values()
        if quantity.of_layers and (not quantity.pico or (amount is not None and amount.knows(quantity)))
    )


def require_quantity(name: str) -> None:
    """Refuse a quantity that no layer shows, with near names.

    Raises:
        UnknownNameError: there is no such quantity.
    """
    names = [quantity.name for quantity in of_layers()]
    if name not in names:
        raise UnknownNameError("quantity", name, names, f"choose {', '.join(names)}")


def of_modules() -> tuple[Quantity, ...]:
    """Those of each layer that a module has whether it runs or not."""
    return tuple(quantity for quantity in of_layers() if quantity.of_module is not None)


def of_operators(amount: Knowing | None = None) -> tuple[Quantity, ...]:
    """Those of each layer that its operators sum to; `amount` as for `of_layers`."""
    return tuple(quantity for quantity in of_layers(amount) if quantity.of_module is None)


def quantity_column(quantity: Quantity, *, always: bool = False) -> Column:
    """The quantity's column; a minor one shows where there is room for it, or `always`."""
    heading = quantity.heading or quantity.title
    return Column(
        heading,
        drop=quantity.drop,
        unit=quantity.unit,
        key=quantity.key,
        pico=quantity.pico,
        tone=quantity.tone,
        minor=quantity.minor and not always,
    )
