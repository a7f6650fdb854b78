"""Tables of what flopcount knows without counting: its networks and its rules."""

from __future__ import annotations

from ..core.errors import UnknownNameError
from ..core.table import Column, Table
from ..models import CARDS
from ..models.cards import recorded_costs

__all__ = ["models_table", "rules_table"]


def models_table(family: str | None = None) -> Table:
    """One row per network of the zoo, or of one family of it; costs are per clip, as in the last test of the zoo.

    Raises:
        UnknownNameError: no such family, with near names.
    """
    families = sorted({card.family for card in CARDS.values()})
    if family is not None and family not in families:
        raise UnknownNameError("family", family, families, f"choose {', '.join(families)}")
    costs = recorded_costs()
    columns = (
        Column("name", "text"),
        Column("year", "text", drop=2),
        Column("clip", "text"),
        Column("params"),
        Column("MACs", tone="strong"),
        Column("family", "text", drop=3),
        Column("paper", "text", drop=1),
    )
    rows = tuple(
        (card.name, str(card.year), str(card.clip), *costs.get(card.name, (0, 0)), card.family, card.paper)
        for card in CARDS.values()
        if family in (None, card.family)
    )
    notes = ("also: package.module:callable and file.py:callable for models of your own",)
    return Table("networks of the zoo, at their own clips", columns, rows, None, notes)


def rules_table() -> Table:
    """One row per rule: what it charges, in words, and where that comes from."""
    from ..rules import RULES

    distinct = {id(rule): rule for rule in RULES.values()}.values()
    columns = (
        Column("operator", "text"),
        Column("kind", "text", tone="quiet"),
        Column("counts", "prose"),
        Column("source", "prose", drop=1, tone="quiet"),
    )
    names = {id(rule): [op for op, entry in RULES.items() if entry is rule] for rule in distinct}
    order = sorted(distinct, key=lambda rule: (rule.kind.value, rule.name))
    rows = tuple((_named(names[id(rule)]), rule.kind.value, rule.counts, rule.source) for rule in order)
    notes = (f"{len(RULES)} operator names, {len(rows)} rules", "an operator that is not here is listed as uncosted")
    return Table("what each operator costs", columns, rows, None, notes)


def _named(ops: list[str]) -> str:
    """The canonical name, and how many others share the rule."""
    return ops[0] + (f" (+{len(ops) - 1})" if len(ops) > 1 else "")
