"""A stage of a job: a result, and how often it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from ..core.amount import Amount
from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.result import Totals
from .expression import Expression
from .growing import Growing

__all__ = ["Repeated", "Stage"]


class Repeated(Protocol):
    """What a stage repeats: a result or a saved report, passes that grow, a pipeline, or a stage that was saved."""

    @property
    def model(self) -> str:
        """The name of what runs."""

    @property
    def total(self) -> Amount:
        """What one pass costs; of passes that grow, the first."""


_NAME = re.compile(r"[^\W\d][\w -]*")


@dataclass(frozen=True)
class Stage(OneLine):
    """A named part of a job, and how often it runs.

    Arguments:
        name: a word, without dots.
        report: what runs: a Result or Report, a saved report, a pipeline, or Growing passes.
        times: how often, a whole number or an expression of the pipeline's parameters such as "2 * steps".
        weights: stages with the same weights share their parameters, which count once; by default those of the same
            module, or else of the same model with as many parameters.

    Raises:
        InputError: the name or the times are malformed.
    """

    name: str
    report: Repeated
    times: Expression
    weights: str = ""

    def __init__(self, name: str, report: Repeated, times: int | str | Expression = 1, *, weights: str = "") -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            fix = "name it with letters, digits, _, - and spaces"
            raise InputError(f"{name!r} is no name of a stage", [("fix", fix)])
        if not isinstance(report, (Totals, Growing)):
            fix = "give what count_flops, count_model or read_report returns, or a Pipeline"
            raise InputError(f"stage {name} has a {type(report).__name__}, which is no report", [("fix", fix)])
        try:
            expression = Expression.of(times)
        except InputError as error:
            raise InputError(error.message, [("in", f"the times of stage {name}"), *error.details]) from None
        for field, value in (("name", name), ("report", report), ("times", expression), ("weights", weights)):
            object.__setattr__(self, field, value)

    @property
    def model(self) -> str:
        """The name of what runs."""
        return self.report.model

    def _headline(self) -> str:
        return f"{self.name}: {self.model}, {self.times} times"
