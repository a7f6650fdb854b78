"""A stage that holds no other, with its place in the whole job and how often it runs there."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.amount import Amount
from .growing import Growing
from .saved_stage import SavedStage
from .stage import Stage

__all__ = ["Leaf", "weights_of"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A stage that holds no other, at its dotted place, with how often it runs in the whole job.

    `growing` says that its passes differ; `runs` is how often all of them run, and `passes` how many there are.
    """

    place: str
    stage: Stage
    runs: int
    passes: int
    weights: str

    @property
    def once(self) -> Amount:
        """What it costs, with its own parameters, each time that the pipeline around it runs."""
        report = self.stage.report
        if isinstance(report, Growing):
            return report.amount(self.passes)
        if isinstance(report, SavedStage):
            return report.summed(self.passes)
        return report.total * self.passes

    @property
    def total(self) -> Amount:
        """What it costs in the whole job, with its own parameters."""
        return self.once * self.runs


def weights_of(stage: Stage) -> str:
    """What says that two stages have the same weights."""
    report = stage.report
    if stage.weights:
        return f"weights {stage.weights}"
    if isinstance(report, SavedStage) and report.key:
        return report.key
    module = getattr(getattr(report, "counted", None), "module", None)
    if module is not None:
        return f"module {id(module)}"
    return f"model {report.model} of {report.total.params} parameters"
