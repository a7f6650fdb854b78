"""Everything a cost report says of one model, gathered once: its pages in markdown and HTML read this and nothing else.

What enters is a name with what `count_model` takes; what leaves is frozen: the count, the closed form, the cross-check,
what papers print of it with the verdict, and the command that made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.errors import FlopcountError
from ..core.protocol import Clip, Views
from ..core.result import Result
from ..counting import count_named
from ..crosscheck import Check, check_model
from ..models import CARDS
from ..symbolic import ClosedForm, closed_form_of
from ..verification import RowVerdict, verify_published

__all__ = ["CostReport", "cost_report"]


@dataclass(frozen=True, slots=True)
class CostReport:
    """One model. `form` is of the model built anew for each clip; `check` at the clip it names, since it runs it.

    What could not be had is None, and `missing` says why, by its name.
    """

    name: str
    report: Result
    form: ClosedForm | None
    check: Check | None
    check_clip: Clip | None
    verdicts: tuple[RowVerdict, ...]
    missing: dict[str, str]


def cost_report(
    name: str,
    *,
    clip: Clip | None = None,
    views: Views | None = None,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    with_check: bool = True,
    progress: Callable[[str], None] = lambda what: None,
) -> CostReport:
    """Count a model, find its closed form, run it under fvcore and torch's counter, and look up what papers print.

    Arguments:
        name: as `count_model`; of the zoo, or a model of your own that takes one clip.
        clip: what is counted; the model's own where None.
        views: the testing protocol.
        num_classes: for the model's builder.
        options: for the model's builder.
        with_check: run the model for real, at its smallest clip where the zoo knows one, under other counters.
        progress: hears what is being done.

    Raises:
        FlopcountError: as `count_model`; whatever else fails is in `missing`.
    """
    model: dict[str, Any] = {"num_classes": num_classes, "options": options}
    progress(f"counting {name}")
    report = count_named(name, clip=clip, views=views, **model)
    missing: dict[str, str] = {}
    form = check = None
    try:
        form = closed_form_of(
            name, clip=clip, rebuild=True, progress=lambda at: progress(f"counting {name} at {at}"), **model
        )
    except FlopcountError as error:
        missing["form"] = error.message
    check_clip = CARDS[name].smallest if name in CARDS else clip
    if with_check:
        progress(f"running {name} under other counters")
        try:
            check = check_model(name, clip=check_clip, **model)
        except FlopcountError as error:
            missing["check"] = error.message
    else:
        missing["check"] = "not asked for"
    return CostReport(name, report, form, check, check_clip if check else None, verify_published(network=name), missing)
