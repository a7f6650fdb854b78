"""Tables of what flopcount knows without counting: its networks and its rules."""

from __future__ import annotations

from .models import CARDS
from .tables import Column, Table

__all__ = ["models_table", "rules_table"]


def models_table() -> Table:
    """One row per network of the zoo."""
    columns = (
        Column("name", "text"),
        Column("year", "text", drop=2),
        Column("default clip", "text"),
        Column("classes", "text", drop=1),
        Column("family", "text", drop=3),
        Column("paper", "text", drop=4),
    )
    rows = tuple(
        (card.name, str(card.year), str(card.clip), str(card.num_classes), card.family, card.paper)
        for card in CARDS.values()
    )
    notes = ("also: package.module:callable and file.py:callable for models of your own",)
    return Table("networks of the zoo", columns, rows, None, notes)


def rules_table() -> Table:
    """One row per rule: what it charges, in words, and where that comes from."""
    from .rules import RULES

    distinct = {id(rule): rule for rule in RULES.values()}.values()
    columns = (
        Column("operator", "text"),
        Column("kind", "text"),
        Column("counts", "prose"),
        Column("source", "prose", drop=1),
    )
    names = {id(rule): [op for op, found in RULES.items() if found is rule] for rule in distinct}
    order = sorted(distinct, key=lambda rule: (rule.kind.value, rule.name))
    rows = tuple((_named(names[id(rule)]), rule.kind.value, rule.counts, rule.source) for rule in order)
    notes = (f"{len(RULES)} operator names, {len(rows)} rules", "an operator that is not here is listed as uncosted")
    return Table("what each operator costs", columns, rows, None, notes)


def _named(ops: list[str]) -> str:
    """The canonical name, and how many others share the rule."""
    return ops[0] + (f" (+{len(ops) - 1})" if len(ops) > 1 else "")
