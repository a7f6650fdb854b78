"""A job: named stages times repeats, exact, with every reader that a report has.

What enters are results and how often each runs; what leaves is frozen. `total` sums the stages, with the parameters of
each distinct model once; `result` is the whole job as one result, whose modules are the stages with their layers below.
"""

from __future__ import annotations

from typing import Any

from ..core.shown_as_tables import ShownAsTables
from ..core.table import Table
from ..facts.devices import Device
from ..facts.prices import Price
from ..hardware.setting import Setting
from .job_cost import JobCost, job_cost
from .job_explanation import JobExplanation, explain_layer
from .job_formula import JobFormula, job_formula
from .pipeline_json import pipeline_json
from .pipeline_tables import by_stage, job_lines, sentence, table_of_layers
from .staged_job import StagedJob

__all__ = ["Pipeline"]


class Pipeline(StagedJob, ShownAsTables):
    """Named stages times repeats.

        >>> Pipeline([Stage("text", text, times=2), Stage("denoise", denoiser, times="2 * steps")], steps=50)

    Arguments:
        stages: in the order in which they run.
        name: of the job; also the name of its result.
        units: what it is paid by, such as `Unit("second", "frames / fps")`.
        parameters: values of the names in the expressions; further keywords are parameters too.
        assumed: what is not said and had to be assumed, shown wherever the numbers are.
        notes: what a reader has to know, shown under the tables.
        facts: what else was worked out, as plain data for JSON: tokens, a cache.
        batch: how many jobs run at once, where that is more than one or known.

    Raises:
        InputError: two stages have one name, a repeat is no whole number of 0 or more, or a value is no number.
        UnknownNameError: an expression uses a parameter that has no value.
    """

    def by_stage(self) -> Table:
        """One row per stage; rows sum to the total."""
        return by_stage(self)

    def table_by(self, by: str = "stage", depth: int = 2) -> Table:
        """The table by stage, module (down to `depth`, -1: all), operator or kind.

        Raises:
            UnknownNameError: no such table.
            InputError: a stage was saved, so its operators are not known.
        """
        return by_stage(self) if by == "stage" else table_of_layers(self, by, depth)

    def cost(
        self,
        on: str | Device,
        *,
        dtype: str | None = None,
        compile: bool = False,
        layout: str = "nchw",
        price: float | str | Price | None = None,
        utilisation: float = 1.0,
    ) -> JobCost:
        """Time, energy and money of the whole job on a device; arguments and errors as `Report.cost`."""
        return self.cost_under(Setting.named(on, dtype, compile, layout, price=price, utilisation=utilisation))

    def cost_under(self, setting: Setting) -> JobCost:
        """As `cost`, on a device and in a way to run on it that were parsed before.

        Raises:
            InputError: a stage was saved, or was counted without its dataflow.
        """
        return job_cost(self.job, self.per_units, setting, tuple(job_lines(self)))

    def formula(self, quantity: str = "macs") -> JobFormula:
        """The total as a function of the parameters: `pipeline.formula().text`.

        Raises:
            UnknownNameError: no such quantity.
            InputError: a stage grows in several pieces.
        """
        return job_formula(self, quantity)

    def explain(self, layer: str) -> JobExplanation:
        """A layer of one pass with its formulas, `job.explain("denoise.blocks.0.attn1.to_q")`, and how often it runs.

        Raises:
            UnknownNameError: no such stage or layer.
            InputError: the stage was saved, without its operators.
        """
        return explain_layer(self, layer)

    def sentence(self) -> str:
        """The line for a paper."""
        return sentence(self)

    def to_pandas(self, by: str = "stage", depth: int = -1) -> Any:
        """The table as a DataFrame of exact integers, with names as in the JSON."""
        return self.table_by(by, depth).to_pandas()

    def to_markdown(self, by: str = "stage", depth: int = 2) -> str:
        """The table in GitHub's markdown."""
        return self.table_by(by, depth).to_markdown()

    def to_latex(self, by: str = "stage", depth: int = 2) -> str:
        """The table for a paper (booktabs)."""
        return self.table_by(by, depth).to_latex()

    def to_csv(self, by: str = "stage", depth: int = -1) -> str:
        """The table in exact integers."""
        return self.table_by(by, depth).to_csv()

    def to_json(self) -> str:
        """The whole job: schema flopcount/1, with its stages, parameters and units."""
        return pipeline_json(self)

    def _tables(self) -> tuple[Table, ...]:
        return (self.by_stage(),)
