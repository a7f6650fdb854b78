"""A stage that holds no other, with its place in the whole job and how often it runs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..core.amount import Amount
from ..core.one_line import OneLine
from ..core.result import Result, SavedReport
from .expression import Expression
from .growing import Growing
from .saved_stage import SavedPiece, SavedStage
from .stage import Stage

__all__ = ["Leaf", "weights_of"]


class _Counted(Protocol):
    @property
    def module(self) -> object: ...


@runtime_checkable
class _OfModule(Protocol):
    """A report that may still have the module it counted, and so whose weights it has."""

    @property
    def counted(self) -> _Counted | None: ...


@dataclass(frozen=True, slots=True)
class Leaf(OneLine):
    """A stage that holds no other, at its dotted place, with how often it runs in the whole job.

    Arguments:
        place: its name, with those of the pipelines around it.
        stage: what runs.
        around: how often each pipeline around it runs, from the outermost.
        times: how many passes there are; within another pipeline a number, since parameters there are its own.
        runs: how often all passes run.
        passes: how many there are, as a number.
        weights: says with which other leaves it shares its parameters.
    """

    place: str
    stage: Stage
    around: tuple[Expression, ...]
    times: Expression
    runs: int
    passes: int
    weights: str

    @property
    def one_pass(self) -> Result | SavedReport | SavedStage:
        """One pass, of passes that grow the first."""
        report = self.stage.report
        one = report.first if isinstance(report, Growing) else report
        assert isinstance(one, (Result, SavedReport, SavedStage))
        return one

    @property
    def type(self) -> str:
        """The class of the module that runs; "" where what was saved does not say."""
        one = self.one_pass
        return one.type if isinstance(one, SavedStage) else one.modules[0].type

    @property
    def pieces(self) -> tuple[SavedPiece, ...]:
        """Its passes in pieces with a polynomial each, where they grow; () where all cost the same."""
        report = self.stage.report
        if isinstance(report, Growing):
            pieces = report.pieces(self.passes)
            return tuple(SavedPiece(piece.start, piece.count, piece.amounts()) for piece in pieces)
        return report.pieces if isinstance(report, SavedStage) else ()

    @property
    def grows(self) -> bool:
        """Whether its passes differ."""
        report = self.stage.report
        return isinstance(report, Growing) or (isinstance(report, SavedStage) and bool(report.pieces))

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

    def _headline(self) -> str:
        return f"{self.place}: {self.stage.model}, {self.runs:,} × {self.passes:,} passes"


def weights_of(stage: Stage) -> str:
    """What says that two stages have the same weights."""
    report = stage.report
    if stage.weights:
        return f"weights {stage.weights}"
    if isinstance(report, SavedStage) and report.key:
        return report.key
    if isinstance(report, _OfModule) and report.counted is not None:
        return f"module {id(report.counted.module)}"
    return f"model {report.model} of {report.total.params} parameters"
