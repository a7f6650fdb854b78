"""A job as data: named stages times repeats, and what they sum to.

What enters are results and how often each runs; what leaves is frozen. `total` sums the stages, with the parameters of
each distinct model once; `result` is the whole job as one result, whose modules are the stages with their layers below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

from ..core.amount import Amount, in_brief, summed
from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.protocol import ONE_VIEW, Views
from ..core.quantity import counted
from ..core.result import Result, SavedReport, Totals
from ..core.units import plural
from .expression import Expression, Value, parse_value, require_runs
from .leaf import Leaf, weights_of
from .merging import Job, merged
from .stage import Stage
from .unit import PerUnit, Unit, per_unit

__all__ = ["StagedJob"]


@dataclass(frozen=True, repr=False)
class StagedJob(Totals, OneLine):
    """Named stages times repeats; `Pipeline` describes its fields, and has its readers."""

    stages: tuple[Stage, ...]
    name: str
    units: tuple[Unit, ...]
    parameters: Mapping[str, Value]
    assumed: tuple[str, ...]
    notes: tuple[str, ...]
    facts: Mapping[str, Any]
    batch: int | None = None
    views: Views = field(default_factory=lambda: ONE_VIEW.views)

    def __init__(
        self,
        stages: Iterable[Stage],
        *,
        name: str = "pipeline",
        units: Sequence[Unit] = (),
        parameters: Mapping[str, object] = MappingProxyType({}),
        assumed: Sequence[str] = (),
        notes: Sequence[str] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
        batch: int | None = None,
        **more: object,
    ) -> None:
        values = {key: parse_value(key, value) for key, value in {**parameters, **more}.items()}
        fields = {
            "stages": tuple(stages),
            "name": name,
            "units": tuple(units),
            "parameters": values,
            "assumed": tuple(assumed),
            "notes": tuple(notes),
            "facts": dict(facts),
            "batch": batch,
            "views": ONE_VIEW.views,
        }
        for key, value in fields.items():
            object.__setattr__(self, key, value)
        self._check()

    def _check(self) -> None:
        if not self.stages:
            raise InputError(f"{self.name} has no stages", [("fix", "give at least one Stage")])
        names = [stage.name for stage in self.stages]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise InputError(f"two stages are called {twice[0]}", [("fix", "give each a name of its own")])
        for stage in self.stages:
            if stage.weights and isinstance(stage.report, StagedJob):
                fix = "give weights to the stages of that pipeline"
                raise InputError(f"stage {stage.name} is a pipeline, which has no weights of its own", [("fix", fix)])
        self.times  # noqa: B018  (whatever is wrong with an expression is said now)
        for unit in self.units:
            if unit.stage and unit.stage not in names:
                raise UnknownNameError("stage", unit.stage, names, f"the stages are {', '.join(names)}")
            runs = self.times[unit.stage] if unit.stage else sum(self.times.values())
            unit.require_some(unit.count.value(self.parameters), zero=not runs)
        for name in self.parameters:
            if not name.isidentifier():
                raise InputError(f"{name!r} is no name of a parameter", [("fix", "use letters, digits and _")])

    @property
    def model(self) -> str:
        """Its name."""
        return self.name

    @cached_property
    def times(self) -> Mapping[str, int]:
        """How often each stage runs, by its name."""
        return {s.name: s.times.whole(self.parameters, f"the times of stage {s.name}") for s in self.stages}

    def stage(self, name: str) -> Stage:
        """The stage of this name.

        Raises:
            UnknownNameError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [stage.name for stage in self.stages]
        raise UnknownNameError("stage", name, names, f"the stages are {', '.join(names)}")

    def with_parameters(self, **values: object) -> Self:
        """The same job with other values; those of a pipeline in a stage are named "stage.parameter" in a mapping.

        Raises:
            UnknownNameError: it has no such parameter.
        """
        inner: dict[str, dict[str, object]] = {}
        own: dict[str, object] = {}
        for key, value in values.items():
            stage, dot, rest = key.partition(".")
            if dot and isinstance(self.stage(stage).report, StagedJob):
                inner.setdefault(stage, {})[rest] = value
            elif key in self.parameters:
                own[key] = value
            else:
                fix = f"the parameters are {', '.join(self.parameters) or 'none'}"
                raise UnknownNameError("parameter", key, self.parameters, fix)
        stages = [_changed(stage, inner.get(stage.name)) for stage in self.stages]
        return self.replaced(stages=stages, parameters={**self.parameters, **own})

    def replaced(self, **changes: Any) -> Self:
        """The same with other fields."""
        names = ("stages", "name", "units", "parameters", "assumed", "notes", "facts", "batch")
        return type(self)(**{**{name: getattr(self, name) for name in names}, **changes})

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every stage that holds no other, in order."""
        return tuple(self._leaves("", (), 1))

    def _leaves(self, within: str, around: tuple[Expression, ...], runs: int) -> Iterator[Leaf]:
        for stage in self.stages:
            place, times = f"{within}{stage.name}", self.times[stage.name]
            require_runs(runs * times, f"the times of stage {place}")
            said = Expression.of(times) if within else stage.times
            if isinstance(stage.report, StagedJob):
                yield from stage.report._leaves(f"{place}.", (*around, said), runs * times)
            else:
                yield Leaf(place, stage, around, said, runs, times, weights_of(stage))

    @cached_property
    def total(self) -> Amount:
        """What the whole job costs; the parameters of distinct models once."""
        whole = summed(leaf.total for leaf in self.leaves)
        weights = [amount for _, amount in self.distinct_weights]
        return Amount({**whole.counts, **summed(weights).counts})

    @cached_property
    def distinct_weights(self) -> tuple[tuple[str, Amount], ...]:
        """The place of the first stage of each distinct model, and its parameters.

        Raises:
            InputError: two stages are said to share weights, and do not have as many.
        """
        names = [quantity.name for quantity in counted() if quantity.of_module is not None]
        found: dict[str, tuple[Leaf, Amount]] = {}
        for leaf in self.leaves:
            own = leaf.stage.report.total.only(names)
            first, amount = found.setdefault(leaf.weights, (leaf, own))
            if amount != own:
                seen = f"{amount.params:,} parameters and {own.params:,}"
                why = f"stages {first.place} and {leaf.place} do not have the same weights"
                raise InputError(why, [("seen", seen), ("fix", "give them different weights")])
        return tuple((leaf.place, amount) for leaf, amount in found.values())

    def stage_total(self, stage: Stage) -> Amount:
        """What one stage costs in this pipeline, all its repeats together, with its own parameters."""
        times = self.times[stage.name]
        if isinstance(stage.report, StagedJob):
            return stage.report.total * times
        return Leaf(stage.name, stage, (), stage.times, 1, times, "").total

    def shown_total(self, leaf: Leaf) -> Amount:
        """What a leaf costs, with its parameters if no leaf before it has the same: so leaves sum to the job."""
        owned = dict(self.distinct_weights).get(leaf.place)
        nothing = {quantity.name: 0 for quantity in counted() if quantity.of_module is not None}
        return Amount({**leaf.total.counts, **(nothing if owned is None else owned.counts)})

    def part(self, name: str) -> Amount:
        """`stage_total` by name."""
        return self.stage_total(self.stage(name))

    @property
    def per_units(self) -> tuple[PerUnit, ...]:
        """What one of each unit costs."""
        rows = []
        for unit in self.units:
            whole = self.part(unit.stage) if unit.stage else self.total
            count = unit.count.value(self.parameters)
            runs = not unit.stage or self.times[unit.stage]  # an answer of one token has no step of decoding
            if count or (whole and runs):
                rows.append(per_unit(unit, count, whole))
        return tuple(rows)

    @cached_property
    def result(self) -> Result | SavedReport:
        """The whole job as one result, whose modules are the stages; of saved stages a saved report."""
        return merged(self.job)

    @property
    def all_assumed(self) -> tuple[str, ...]:
        """What is assumed, here and in pipelines within, those with their place."""
        return tuple(dict.fromkeys(self._all("assumed", "")))

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and those of pipelines within, with their place."""
        return tuple(self._all("notes", ""))

    def _all(self, name: str, place: str) -> Iterator[str]:
        yield from (f"{text} ({place})" if place else text for text in getattr(self, name))
        for stage in self.stages:
            if isinstance(stage.report, StagedJob):
                yield from stage.report._all(name, f"{place}.{stage.name}".lstrip("."))

    @cached_property
    def job(self) -> Job:
        """What the whole job is, as its merging takes it."""
        return Job(
            self.name, self.leaves, dict(self.distinct_weights), self.total, self.all_assumed, self.batch, self.views
        )

    def _headline(self) -> str:
        return f"{self.name}: {in_brief(self.total)}, {plural(len(self.stages), 'stage')}"


def _changed(stage: Stage, values: Mapping[str, object] | None) -> Stage:
    """The stage, whose pipeline has other values of parameters."""
    if values is None or not isinstance(stage.report, StagedJob):
        return stage
    return Stage(stage.name, stage.report.with_parameters(**values), stage.times, weights=stage.weights)
