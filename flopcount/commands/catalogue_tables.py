"""Tables of what flopcount knows without counting: its networks, models of known sizes, and its rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..core.errors import UnknownNameError
from ..core.spelling import letters_of, spelled
from ..core.table import Column, Table
from ..core.units import times
from ..facts.model_sizes import RECOGNITION, ModelSizes, model_sizes
from ..models import CARDS
from ..models.cards import Card, recorded_costs

if TYPE_CHECKING:
    from ..rules import Rule

__all__ = [
    "models_table",
    "operators_of",
    "recognition_table",
    "rule_table",
    "rules_table",
    "sizes_data",
    "sizes_table",
]


def models_table(family: str | None = None, word: str | None = None) -> Table:
    """One row per network of the zoo, or of one family of it, or with a word; costs are per clip, as last tested.

    Raises:
        UnknownNameError: no such family, or no network with the word, with near names.
    """
    cards = _cards(family, word)
    if word is not None and not cards:
        families = dict.fromkeys(card.family for card in CARDS.values())
        raise UnknownNameError("network or family", word, [*CARDS, *families], "see `flopcount list` for all")
    return _cards_table(cards)


def _cards(family: str | None = None, word: str | None = None) -> list[Card]:
    if family is not None:
        families = sorted({card.family for card in CARDS.values()})
        typed, family = family, spelled(family, families)
        if family not in families:
            raise UnknownNameError("family", typed, families, f"choose {', '.join(families)}")
    return [card for card in CARDS.values() if family in (None, card.family) and _has(word, _words(card))]


def _words(card: Card) -> tuple[str, ...]:
    return card.name, card.label, card.title, card.family, str(card.year), card.file


def _has(word: str | None, texts: Iterable[str]) -> bool:
    """Whether one of the texts has the word, however it is spelled."""
    return word is None or any(letters_of(word) in letters_of(text) for text in texts)


def _cards_table(cards: Sequence[Card]) -> Table:
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
        for card in cards
    )
    notes = ("also: package.module:callable and file.py:callable for models of your own",)
    return Table("networks of the zoo, at their own clips", columns, rows, None, notes)


def recognition_table(word: str | None = None) -> Table:
    """The zoo, and behind it the models of known sizes that recognise actions; their costs are not recorded.

    Raises:
        UnknownNameError: none has the word.
    """
    cards, of_sizes = _cards(word=word), _of(RECOGNITION, word)
    if not cards:
        _require(of_sizes, RECOGNITION, word)
    zoo = _cards_table(cards)
    rows = tuple(
        (sizes.name, "", _video(sizes), sizes.params, "", _family(sizes), _source(sizes)) for sizes in of_sizes
    )
    return replace(zoo, title="networks that recognise actions, at their own clips", rows=(*zoo.rows, *rows))


def sizes_table(task: str, word: str | None = None) -> Table:
    """One row per model of known sizes for a task: its parameters, what it does by default, and where that was read.

    Raises:
        UnknownNameError: none has the word.
    """
    found = _of(task, word)
    _require(found, task, word)
    columns = (
        Column("name", "text", tone="strong"),
        Column("params"),
        Column("video", "text", drop=4),
        Column("steps", "text", drop=3),
        Column("parts", "text", drop=2, minor=True),
        Column("assembled", "text", drop=5),
        Column("source", "text", drop=1, tone="quiet"),
    )
    rows = tuple(
        (
            sizes.name,
            sizes.params,
            "" if sizes.defaults.frames is None else _video(sizes),
            "" if sizes.defaults.steps is None else str(sizes.defaults.steps),
            ", ".join(sizes.parts),
            "yes" if sizes.assembled else "",
            _source(sizes),
        )
        for sizes in found
    )
    said = [at for at in range(len(columns)) if any(row[at] for row in rows)]  # no model of language has steps
    notes = (
        "assembled: sizes put together from several sources, none of which has the released configuration",
        "count a part as flopcount model NAME/PART, the whole job as flopcount generate NAME",
    )
    shown = tuple(tuple(row[at] for at in said) for row in rows)
    return Table(f"models of known sizes: {task}", tuple(columns[at] for at in said), shown, None, notes)


def sizes_data(task: str | None, family: str | None = None, word: str | None = None) -> dict[str, Any]:
    """The rows of these tables as plain data, with every source."""
    data: dict[str, Any] = {"schema": "flopcount/1", "task": task}
    if task in (None, RECOGNITION):
        zoo = models_table(family, word) if task is None else _cards_table(_cards(word=word))
        keys = [column.key or column.name for column in zoo.columns]
        data["networks"] = [dict(zip(keys, row, strict=True)) for row in zoo.rows]
    if task is not None:
        found = _of(task, word)
        if not data.get("networks"):
            _require(found, task, word)
        data["models"] = [_data(sizes) for sizes in found]
    return data


def _data(sizes: ModelSizes) -> dict[str, Any]:
    return {
        "name": sizes.name,
        "hub_id": sizes.hub_id,
        "params": sizes.params,
        "defaults": asdict(sizes.defaults),
        "assembled": sizes.assembled,
        "parts": {
            role: {
                "library": part.library,
                "class": part.class_name,
                "params": part.params_built,
                "params_published": part.params_published,
                "config": dict(part.config),
                "source": None if part.source is None else asdict(part.source) | {"url": part.source.url},
            }
            for role, part in sizes.parts.items()
        },
        "sources": [asdict(source) | {"url": source.url} for source in sizes.sources],
        "not_read": list(sizes.not_read),
        "conflicts": list(sizes.conflicts),
    }


def _of(task: str, word: str | None = None) -> list[ModelSizes]:
    every = (sizes for sizes in model_sizes().values() if sizes.task == task)
    return [sizes for sizes in every if _has(word, (sizes.name, sizes.hub_id, _family(sizes)))]


def _require(found: Sequence[ModelSizes], task: str, word: str | None) -> None:
    if word is not None and not found:
        names = [sizes.name for sizes in _of(task)] + ([*CARDS] if task == RECOGNITION else [])
        raise UnknownNameError(f"model for {task}", word, names, f"see `flopcount list --task {task}` for all")


def _video(sizes: ModelSizes) -> str:
    of = sizes.defaults
    if of.height is None or of.width is None:
        return ""
    return times((of.height, of.width) if of.frames is None else (of.frames, of.height, of.width))


def _family(sizes: ModelSizes) -> str:
    return " and ".join(dict.fromkeys(part.class_name for part in sizes.parts.values()))


def _source(sizes: ModelSizes) -> str:
    """Where the configuration of the part that it is named for was read."""
    part = sizes.whole or sizes.parts.get("denoiser")
    return part.source.repo if part is not None and part.source is not None else ""


def rules_table(chosen: Sequence[Rule] = ()) -> Table:
    """One row per rule, or for each of the chosen ones: what it charges, in words, and where that comes from."""
    from ..rules import RULES

    distinct = chosen or tuple({id(rule): rule for rule in RULES.values()}.values())
    columns = (
        Column("operator", "text"),
        Column("kind", "text", tone="quiet"),
        Column("counts", "prose"),
        Column("source", "prose", drop=1, tone="quiet"),
    )
    names = {id(rule): operators_of(rule) for rule in distinct}
    order = sorted(distinct, key=lambda rule: (rule.kind.value, rule.name))
    rows = tuple((_named(names[id(rule)]), rule.kind.value, rule.counts, rule.source) for rule in order)
    count = sum(map(len, names.values()))
    notes = (f"{count} operator names, {len(rows)} rules", "an operator that is not here is listed as uncosted")
    return Table("what each operator costs", columns, rows, None, notes)


def rule_table(rule: Rule) -> Table:
    """All that is known of one rule."""
    own, *aliases = operators_of(rule)
    function = rule.formula.function
    facts = [
        ("operator", own),
        ("also", ", ".join(aliases)),
        ("kind", rule.kind.value),
        ("counts", rule.counts),
        ("source", rule.source),
        ("function", f"{function.__qualname__} in {function.__module__}"),
    ]
    columns = (Column("of the rule", "text", tone="quiet"), Column("value", "prose"))
    notes = ("the numbers of a layer put into its rule: flopcount explain MODEL LAYER",)
    return Table(own, columns, tuple(fact for fact in facts if fact[1]), None, notes)


def operators_of(rule: Rule) -> list[str]:
    """Every operator that has the rule, its canonical name first."""
    from ..rules import RULES

    names = [operator for operator, entry in RULES.items() if entry is rule]
    return sorted(names, key=lambda name: name != rule.name)


def _named(ops: list[str]) -> str:
    """The canonical name, and how many others share the rule."""
    return ops[0] + (f" (+{len(ops) - 1})" if len(ops) > 1 else "")
