"""The closed form on a page: whole, in lines that can be read, and what it says of larger clips."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...core.quantity import TABLE, counted
from ...core.table import Column, Table
from ...core.units import times
from ...output.formats.markdown import escaped
from ...symbolic import ClosedForm
from ..cost_report import CostReport

__all__ = ["closed_form_section", "larger_clips", "larger_clips_section"]

_WIDTH = 100


def closed_form_section(cost: CostReport, stem: str) -> Iterator[str]:
    """The formulas, where they hold, and how they were checked; or why there is none."""
    form = cost.form
    if form is None:
        yield f"None: {escaped(cost.missing['form'])}."
        return
    table = form.table()
    how = "the model rebuilt for each clip" if form.rebuilt else "the model as it was built"
    batch = cost.report.input.batch
    of = "" if batch is None else f"; for a batch of {'one' if batch == 1 else batch}"
    where = " of its latents" if _is_of_latents(cost) else ""
    yield f"As a function of {', '.join(form.base)}{where}, {how}{of}."
    has = [quantity.name for quantity in counted() if quantity.name in form.parts]
    if has:
        yield "\n".join(["```text", *(_equation(form, quantity) for quantity in has), "```"])
    notes = [f"no closed form of the {TABLE[quantity].title}: {why}" for quantity, why in form.missing.items()]
    yield "\n".join(f"- {escaped(note)}" for note in (*notes, *table.notes))
    yield f"Every term: [JSON]({stem}/closed_form.json); for a paper: [LaTeX]({stem}/closed_form.tex)."


def _equation(form: ClosedForm, quantity: str) -> str:
    """One formula, broken before a plus or minus where it is too long for a line."""
    name = TABLE[quantity].title
    lines = [f"{name} ="]
    for term in re.split(r" (?=[+−] )", form.text(quantity)):
        if len(lines[-1]) + len(term) < _WIDTH:
            lines[-1] += f" {term}"
        else:
            lines.append(f"{' ' * len(name)} {term}")
    return "\n".join(lines)


def larger_clips_section(cost: CostReport) -> Iterator[str]:
    """What twice the frames, twice the side or both would cost, where the form holds there."""
    if cost.form is not None and "macs" not in cost.form.missing and cost.form.macs():
        latents = _is_of_latents(cost)
        table = larger_clips(cost.form, "latents" if latents else "clip")
        if len(table.rows) > 1:
            yield f"## Larger {'latents' if latents else 'clips'}"
            yield table.to_markdown()


def _is_of_latents(cost: CostReport) -> bool:
    """Whether the sizes of the form are not those of the clip, of which the model gets latents."""
    clip, form = cost.report.input.clip, cost.form
    if clip is None or form is None:
        return False
    return any(form.base.get(axis, size) != size for axis, size in zip("THW", clip.sizes, strict=True))


def larger_clips(form: ClosedForm, what: str = "clip") -> Table:
    """The clip that the form is made from, and it with twice the frames, twice the side, or both."""
    base = form.base
    rows = []
    for frames, side in ((1, 1), (2, 1), (1, 2), (2, 2)):
        sizes = {axis: size * (frames if axis == "T" else side) for axis, size in base.items()}
        if all(sizes[domain.axis] in domain for domain in form.domains):
            macs = form.macs(**sizes)
            params = "" if "params" in form.missing else form.params(**sizes)
            clip = times(tuple(sizes[axis] for axis in _clip_axes(base)))
            rows.append((clip, macs, 2 * macs, params, f"{macs / form.macs():.2f}"))
    columns = (Column(what, "text"), Column("MACs"), Column("FLOPs"), Column("params"), Column("times the MACs"))
    return Table("", columns, tuple(dict.fromkeys(rows)), None, ("from the closed form, exact",))


def _clip_axes(base: dict[str, int]) -> Iterator[str]:
    """T, H and W in this order, whichever there are; S is both sides."""
    for axis in "THWS":
        if axis in base:
            yield axis
    if "S" in base:
        yield "S"
