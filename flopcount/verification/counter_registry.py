"""Every counter whose rule is known, by name, and those that the facts cite for a published row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module

from ..core.one_line import OneLine
from ..core.registries import COUNTERS
from ..facts import Published, counter_uses
from ..facts.counters import OTHER_FRAMEWORKS
from .counter import Counter

__all__ = ["CountersOf", "all_counters", "counters_of", "find_counter"]


@cache
def all_counters() -> tuple[Counter, ...]:
    """All of them, in alphabetical order of tools; a tool's first is what it counts today."""
    return tuple(counter for tool in COUNTERS for counter in import_module(f".counters.{tool}", __package__).COUNTERS)


def find_counter(name: str) -> Counter:
    """One of them by its name, which is a fact or a constant of this package."""
    return next(counter for counter in all_counters() if counter.name == name)


@dataclass(frozen=True, slots=True)
class CountersOf(OneLine):
    """Which counters a row is read by, in the order of the registry, and the names of those that its source uses."""

    tried: tuple[Counter, ...]
    cited: frozenset[str]


def counters_of(row: Published) -> CountersOf:
    """What the facts say of a row's source; a tool that they name stands for all of its versions."""
    cited: dict[str, bool] = {}
    for use in counter_uses(row):
        cited[use.counter] = cited.get(use.counter, False) or use.cited
    elsewhere = not cited.keys() & set(OTHER_FRAMEWORKS)  # PyTorch's tools cannot have seen what is written without it
    tried = (counter for counter in all_counters() if (counter.everywhere and elsewhere) or counter.tool in cited)
    names = (counter.name for counter in all_counters() if cited.get(counter.tool))
    return CountersOf(tuple(tried), frozenset(names))
