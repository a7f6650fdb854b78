"""Totals of a job as functions of its parameters -> Table: one row per quantity."""

from __future__ import annotations

from ..core.errors import InputError
from ..core.quantity import TABLE, counted
from ..core.table import Column, Formula, Table
from ..core.wording import assumed_lines, uncosted_lines
from .job_formula import job_formula
from .staged_job import StagedJob

__all__ = ["formula_table"]


def formula_table(job: StagedJob) -> Table:
    """One row per counted quantity, and why one has no form."""
    rows = []
    for quantity in counted():
        try:
            form = job_formula(job, quantity.name)
            shown: Formula | str = Formula(form.text.replace("**", "^").replace("*", "·"), form.latex)
        except InputError as error:
            shown = error.message
        rows.append((TABLE[quantity.name].title, shown))
    values = ", ".join(f"{name} = {value}" for name, value in job.parameters.items()) or "none"
    result = job.result
    notes = (
        *uncosted_lines(result.uncosted),
        *assumed_lines(result.assumed),
        f"parameters: {values}",
        "exact where every repeat is a whole number; other settings are as counted",
    )
    columns = (Column("quantity", "text"), Column("amount", "prose"))
    return Table(f"{job.name} as a function of its parameters", columns, tuple(rows), None, notes)
