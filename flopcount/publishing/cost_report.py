"""Everything a cost report says of one model, gathered once: its pages in markdown and HTML read this and nothing else.

What enters is a model by name; what leaves is frozen: the count, the closed form, the cross-check,
what papers print about it with verdicts, and the command that made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..core.errors import FlopcountError, InputError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import ONE_VIEW, Clip, Protocol
from ..core.result import Result
from ..count import count_named
from ..crosscheck import Check, check_model
from ..hardware.cost import Cost
from ..hardware.setting import Setting
from ..models import CARDS
from ..symbolic import ClosedForm, form_of_model
from ..verification import RowVerdict, verify_published
from .readings import Readings, readings_of
from .time_grid import TimeGrid, time_grid

__all__ = ["CostReport", "cost_report"]


@dataclass(frozen=True, slots=True)
class CostReport(OneLine):
    """One model.

    `form` is of the model built anew for each clip, or of one module where it takes inputs; `check` is at the clip it
    names, since it runs the model. A part that could not be made is None, and `missing` says why, by its name.
    Where a device was named, `cost` is the report's on it, the report is priced, and `grid` has its time at others.
    `readings` are there if they were asked for.
    """

    name: str
    report: Result
    form: ClosedForm | None
    check: Check | None
    check_clip: Clip | None
    verdicts: tuple[RowVerdict, ...]
    missing: dict[str, str]
    cost: Cost | None = None
    grid: TimeGrid | None = None
    readings: Readings | None = None

    def _headline(self) -> str:
        return self.report._headline()


def cost_report(
    spec: ModelSpec,
    protocol: Protocol = ONE_VIEW,
    *,
    with_check: bool = True,
    with_readings: bool = False,
    on: Setting | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> CostReport:
    """Count a model, find its closed form, run it under fvcore and torch's counter, and look up what papers print.

    Arguments:
        spec: what is counted; the closed form of a model that takes inputs is that of one module, as it was built.
        protocol: the testing protocol, and the batch.
        with_check: run the model for real, at its smallest clip where the zoo knows one, under other counters.
        with_readings: count a training step too, and find memory, span and receptive field.
        on: what its time is estimated on, at its clip and over the closed form's.
        progress: called with what is being done.

    Raises:
        FlopcountError: as `count_model`; whatever else fails is in `missing`.
    """
    name = spec.name
    progress(f"counting {name}")
    report = count_named(spec, protocol, dataflow=on is not None, saving=False)
    cost = None if on is None else on.cost(report)
    if cost is not None:
        report = cost.result
    missing: dict[str, str] = {}
    form = check = None
    try:
        form = _form(spec, protocol.batch, lambda at: progress(f"counting {name} at {at}"))
    except FlopcountError as error:
        missing["form"] = error.message
    grid = None
    if on is not None and form is not None:
        try:
            grid = time_grid(spec, protocol, form, on, lambda at: progress(f"counting {name} at {at}"))
        except FlopcountError as error:
            missing["grid"] = error.message
    smallest = replace(spec, clip=CARDS[name].smallest) if name in CARDS and not spec.inputs else spec
    if with_check:
        progress(f"running {name} under other counters")
        try:
            check = check_model(smallest, protocol.batch)
        except FlopcountError as error:
            missing["check"] = error.message
    else:
        missing["check"] = "not requested"
    clip = smallest.clip if check and not spec.inputs else None
    readings = readings_of(spec, protocol, progress) if with_readings else None
    return CostReport(name, report, form, check, clip, verify_published(network=name), missing, cost, grid, readings)


def _form(spec: ModelSpec, batch: int | None, progress: Callable[[str], None]) -> ClosedForm:
    """The closed form; of inputs only where they are pictures or clips of one size, which can grow together.

    Raises:
        FlopcountError: there is none.
    """
    if not spec.inputs:
        return form_of_model(spec, batch=batch, rebuild=spec.video is None, progress=progress)
    named = zip(spec.layouts, spec.inputs, strict=True)
    sizes = [dict(zip(layout, tensor.shape, strict=True)) for layout, (_, tensor) in named]
    frames = {(axes["H"], axes["W"]) for axes in sizes if "H" in axes}
    if len(frames) != 1 or not any("T" in axes or axes.get("C") in (1, 3) for axes in sizes):
        raise InputError("its inputs are not clips or pictures of one size")
    return form_of_model(spec, layout=spec.layouts, progress=progress)
