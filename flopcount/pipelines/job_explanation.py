"""Why a number of a job is what it is: a layer of one pass of a stage, and how often that runs."""

from __future__ import annotations

from dataclasses import dataclass

from ..analysis.explanation import Explanation, explain
from ..core.errors import InputError, UnknownNameError
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTables
from ..core.table import Table
from ..core.units import exact
from .growing import Growing
from .staged_job import StagedJob

__all__ = ["JobExplanation", "explain_layer"]


@dataclass(frozen=True, slots=True)
class JobExplanation(ShownAsTables):
    """A layer of one pass; `grows` says that later passes cost more."""

    stage: str
    times: int
    grows: bool
    one_pass: Explanation

    @property
    def _title(self) -> str:
        return f"{'the first pass' if self.grows else 'one pass'} of {self.stage}, of {exact(self.times)}:"

    def _tables(self) -> tuple[Table, ...]:
        return (Table(self._title, (), (), None), *self.one_pass._tables())

    def __str__(self) -> str:
        return f"{self._title}\n\n{self.one_pass}"

    def _headline(self) -> str:
        return f"{exact(self.times)} passes of {self.stage}: {self.one_pass.title}"


def explain_layer(job: StagedJob, layer: str) -> JobExplanation:
    """A layer by the path that tables by module give it: that of its stage, then that in its model.

    Raises:
        UnknownNameError: no such stage, or no such layer in it.
        InputError: the stage was saved, without its operators.
    """
    for leaf in job.leaves:
        if layer == leaf.place or layer.startswith(f"{leaf.place}."):
            report = leaf.stage.report
            grows = isinstance(report, Growing)
            one = report.first if isinstance(report, Growing) else report
            if not isinstance(one, Result):
                why = f"stage {leaf.place} was saved, without its operators"
                raise InputError(f"{layer} cannot be explained: {why}", [("fix", "count it again")])
            path = layer.removeprefix(leaf.place).removeprefix(".")
            return JobExplanation(leaf.place, leaf.runs * leaf.passes, grows, explain(one, path))
    places = [leaf.place for leaf in job.leaves]
    raise UnknownNameError("stage", layer, places, f"begin with a stage: {', '.join(places)}")
