"""A report that was saved as JSON, read back: what enters is a file of schema flopcount/1, what leaves its module rows.

The operators' shapes are not in the file, so a saved report can be compared but not explained. Another schema, a
missing or mistyped value, and modules that do not sum to their total are refused.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from ..core.amount import Amount, summed
from ..core.pricing import Pricing, Times
from ..core.protocol import Clip, Views
from ..core.quantity import TABLE
from ..core.result import ModuleRow, ResultInput, SavedReport, UncostedRow
from ..hardware.money import Money
from ..hardware.pricing import pricing_of
from .json_node import Malformed, Node, read_saved
from .report_json import SCHEMA

__all__ = ["read_report", "uncosted_row"]


def read_report(path: str | Path) -> SavedReport:
    """Read a report that `Report.to_json()` or `flopcount model --format json` wrote.

    Raises:
        InputError: the file does not exist, is not JSON, has another schema, or contradicts itself.
    """
    fix = f"write it with flopcount model NAME --format json > {path}"
    return read_saved(path, SCHEMA, "report", fix, _report)


def _report(data: Node) -> SavedReport:
    report = SavedReport(
        model=data["model"].text(),
        input=_input(data["input"]),
        views=Views(data["views"]["clips"].whole(), data["views"]["crops"].whole()),
        total=data["total"].amount(),
        modules=_modules(data["modules"]),
        uncosted=tuple(uncosted_row(row) for row in data["uncosted"].items()),
        engine=data["engine"].text(),
        versions=data["versions"].texts(),
        assumed=data.lines("assumed"),
        pricing=_pricing(data),
    )
    for name, amount in summed(row.own for row in report.modules).counts.items():
        if report.total.counts.get(name) != amount:
            what = f"{amount} {TABLE[name].title}"
            raise Malformed(f"its modules sum to {what}, but its total is {report.total.counts.get(name, 'not there')}")
    return report


def _pricing(data: Node) -> Pricing | None:
    """Of the one device that the layers are priced on: conditions, range, basis and price."""
    costs = list(data["cost"].items()) if "cost" in data.object() else []
    if len(costs) != 1 or costs[0]["per"].text() != "forward pass":
        return None
    (cost,) = costs
    times = Times(*(cost[f"{entry.name}_s"].number() for entry in fields(Times)))
    money = None if cost["money"].value is None else _money(cost["money"])
    return pricing_of(cost["conditions"].text(), times, cost["basis_words"].text(), cost.lines("widened"), money)


def _money(data: Node) -> Money:
    region, date = (None if data[key].value is None else data[key].text() for key in ("region", "date"))
    currency, source, note = (data[key].text() for key in ("currency", "source", "note"))
    return Money(data["amount"].number(), currency, data["per_hour"].number(), region, date, source, note)


def _input(data: Node) -> ResultInput:
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


def _modules(data: Node) -> tuple[ModuleRow, ...]:
    """Rows with their own cost; where the file lacks it, that of a module less those of the modules in it."""
    rows = [(row, row["path"].text(), row.amount()) for row in data.items()]
    inside: dict[str, Amount] = {}
    for _, path, cost in rows:
        if path:
            parent = path.rpartition(".")[0]
            inside[parent] = inside.get(parent, Amount()) + cost
    return tuple(_module(row, path, cost, inside.get(path, Amount())) for row, path, cost in rows)


def _module(row: Node, path: str, cost: Amount, inside: Amount) -> ModuleRow:
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


def uncosted_row(row: Node) -> UncostedRow:
    """An operator without a rule, as it was saved."""
    return UncostedRow(
        op=row["op"].text(),
        calls=row["calls"].whole(),
        modules=tuple(path.text() for path in row["modules"].items()),
        elements=row["elements"].whole(),
        upper_macs=row["upper_macs"].whole(),
    )
