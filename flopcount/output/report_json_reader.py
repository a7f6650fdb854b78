"""A report that was saved as JSON, read back: what enters is a file of schema flopcount/1, what leaves its module rows.

The operators' shapes are not in the file, so a saved report can be compared but not explained. Another schema, a
missing or mistyped value, and modules that do not sum to their total are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..core.amount import Amount, summed
from ..core.errors import InputError
from ..core.pricing import Pricing, Times
from ..core.protocol import Clip, Views
from ..core.quantity import PICO, TABLE, counted, priced
from ..core.result import ModuleRow, ResultInput, SavedReport, UncostedRow
from ..hardware.money import Money
from ..hardware.pricing import pricing_of
from .report_json import SCHEMA

__all__ = ["read_report"]


def read_report(path: str | Path) -> SavedReport:
    """Read a report that `Report.to_json()` or `flopcount model --format json` wrote.

    Raises:
        InputError: the file does not exist, is not JSON, has another schema, or contradicts itself.
    """
    path = Path(path)
    fix = [("fix", f"write it with flopcount model NAME --format json > {path}")]
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix) from None
    except ValueError as error:  # of JSON, or of UTF-8
        raise InputError(f"{path} is not JSON: {error}", fix) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        other = repr(schema) if schema is not None else "no schema"
        raise InputError(f"{path} is not a report of schema {SCHEMA}", [("seen", other), *fix])
    try:
        return _report(_Node(data))
    except (_Malformed, InputError) as error:  # an InputError is that of a clip, or of views
        raise InputError(f"{path} is not a complete report: {str(error).splitlines()[0]}", fix) from None


class _Malformed(Exception):
    """What is wrong with the file, and where in it."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A JSON value with its place, so that whatever is wrong with it can be named."""

    value: Any
    place: str = ""

    def __getitem__(self, key: str) -> _Node:
        place = f"{self.place}.{key}".lstrip(".")
        if key not in self.object():
            raise _Malformed(f"{place} is missing")
        return _Node(self.value[key], place)

    def object(self) -> dict[str, Any]:
        """Values by name."""
        if not isinstance(self.value, dict):
            raise _Malformed(f"{self.place} is {self.value!r}, not an object")
        return self.value

    def texts(self) -> dict[str, str]:
        """Strings by name."""
        return {name: self[name].text() for name in self.object()}

    def items(self) -> Iterable[_Node]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            raise _Malformed(f"{self.place} is {self.value!r}, not a list")
        return [_Node(value, f"{self.place}[{position}]") for position, value in enumerate(self.value)]

    def whole(self) -> int:
        """A count: a whole number of 0 or more."""
        if type(self.value) is not int or self.value < 0:
            raise _Malformed(f"{self.place} is {self.value!r}, not a count")
        return self.value

    def number(self) -> float:
        """A number of 0 or more."""
        if type(self.value) not in (int, float) or not 0 <= self.value < float("inf"):
            raise _Malformed(f"{self.place} is {self.value!r}, not a number of 0 or more")
        return float(self.value)

    def says(self, key: str) -> bool:
        """Whether something is so, which is not written where it is not."""
        if key not in self.object():
            return False
        if type(self.value[key]) is not bool:
            raise _Malformed(f"{self[key].place} is {self.value[key]!r}, neither true nor false")
        return bool(self.value[key])

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise _Malformed(f"{self.place} is {self.value!r}, not a string")
        return self.value

    def lines(self, key: str) -> tuple[str, ...]:
        """A list of strings, which is empty where an older version did not write it."""
        return tuple(line.text() for line in self[key].items()) if key in self.object() else ()

    def shape(self) -> tuple[int, ...]:
        """Sizes of one tensor."""
        return tuple(size.whole() for size in self.items())

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of several tensors."""
        return tuple(shape.shape() for shape in self.items())

    def amount(self, prefix: str = "") -> Amount:
        """The amount of each counted quantity in the file, and of what a device spends; MACs are required."""
        names = (quantity.name for quantity in counted())
        there = [name for name in names if f"{prefix}{name}" in self.object() or name == "macs"]
        spent = [quantity for quantity in priced() if f"{prefix}{quantity.key}" in self.object()]
        return Amount(
            {name: self[f"{prefix}{name}"].whole() for name in there}
            | {quantity.name: round(self[f"{prefix}{quantity.key}"].number() * PICO) for quantity in spent}
        )


def _report(data: _Node) -> SavedReport:
    report = SavedReport(
        model=data["model"].text(),
        input=_input(data["input"]),
        views=Views(data["views"]["clips"].whole(), data["views"]["crops"].whole()),
        total=data["total"].amount(),
        modules=_modules(data["modules"]),
        uncosted=tuple(_uncosted(row) for row in data["uncosted"].items()),
        engine=data["engine"].text(),
        versions=data["versions"].texts(),
        assumed=data.lines("assumed"),
        pricing=_pricing(data),
    )
    for name, amount in summed(row.own for row in report.modules).counts.items():
        if report.total.counts.get(name) != amount:
            what = f"{amount} {TABLE[name].title}"
            raise _Malformed(
                f"its modules sum to {what}, but its total is {report.total.counts.get(name, 'not there')}"
            )
    return report


def _pricing(data: _Node) -> Pricing | None:
    """Of the one device that the layers are priced on: conditions, range, basis and price."""
    costs = list(data["cost"].items()) if "cost" in data.object() else []
    if len(costs) != 1 or costs[0]["per"].text() != "forward pass":
        return None
    (cost,) = costs
    times = Times(*(cost[f"{entry.name}_s"].number() for entry in fields(Times)))
    money = None if cost["money"].value is None else _money(cost["money"])
    return pricing_of(cost["conditions"].text(), times, cost["basis_words"].text(), cost.lines("widened"), money)


def _money(data: _Node) -> Money:
    region, date = (None if data[key].value is None else data[key].text() for key in ("region", "date"))
    currency, source, note = (data[key].text() for key in ("currency", "source", "note"))
    return Money(data["amount"].number(), currency, data["per_hour"].number(), region, date, source, note)


def _input(data: _Node) -> ResultInput:
    clip = data["clip"].value
    return ResultInput(
        clip=Clip.parse(data["clip"].text()) if clip is not None else None,
        stride=data["stride"].whole(),
        fps=None,
        shapes=data["shapes"].shapes(),
        batch=data["batch"].whole() if data["batch"].value is not None else None,
        dtype=data["dtype"].text(),
        values=data.lines("values"),
    )


def _modules(data: _Node) -> tuple[ModuleRow, ...]:
    """Rows with their own cost; where the file lacks it, that of a module less those of the modules in it."""
    rows = [(row, row["path"].text(), row.amount()) for row in data.items()]
    inside: dict[str, Amount] = {}
    for _, path, cost in rows:
        if path:
            parent = path.rpartition(".")[0]
            inside[parent] = inside.get(parent, Amount()) + cost
    return tuple(_module(row, path, cost, inside.get(path, Amount())) for row, path, cost in rows)


def _module(row: _Node, path: str, cost: Amount, inside: Amount) -> ModuleRow:
    own = Amount({**(cost - inside).counts, **row.amount("self_").counts})
    return ModuleRow(
        path=path,
        type=row["type"].text(),
        depth=row["depth"].whole(),
        calls=row["calls"].whole(),
        input_shapes=row["input_shapes"].shapes(),
        output_shapes=row["output_shapes"].shapes(),
        cost=cost,
        own=own,
        used_elsewhere=row.says("used_elsewhere"),
    )


def _uncosted(row: _Node) -> UncostedRow:
    return UncostedRow(
        op=row["op"].text(),
        calls=row["calls"].whole(),
        modules=tuple(path.text() for path in row["modules"].items()),
        elements=row["elements"].whole(),
        upper_macs=row["upper_macs"].whole(),
    )
