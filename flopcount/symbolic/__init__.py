"""Cost as a closed form of the clip: exact polynomials in ⌊(n + shift) / step⌋, from concrete traces and the same rules.

A few clips are traced, each size that moves is fitted to a staircase of the axes, and the cost rules run once on sizes
that know their formula. Nothing is assumed of the model, and everything is checked: the form must say what was counted at
every clip looked at, which are as many as it takes to tell all staircases apart, and then at clips drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from ..clip import Clip as VideoClip
from ..errors import InputError
from ..models import recipe_of
from ..ops import Kind
from .aligning import aligned
from .form import ClosedForm, Domain
from .observing import QUANTITIES, Clip, Refused, of_model, of_module
from .polynomial import Polynomial, total
from .sampling import Axis, Sampler
from .solving import Clips, Resists, solved

__all__ = ["ClosedForm", "Domain", "closed_form", "closed_form_of"]


def closed_form(
    module: nn.Module,
    input: Any,
    axes: str | Sequence[str] | None = None,
    *,
    layout: str | Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda clip: None,
) -> ClosedForm:
    """The cost of one built module as a function of the axes of its input.

    Arguments:
        module: as count_flops takes it; it is untouched.
        input: as count_flops takes it: the clip to begin with, which the module runs on.
        axes: some of the letters of the layout, such as "THW" or "BTHW"; those of T, H and W there are, where None.
        layout: what the axes of every tensor are called, or of each; "BCTHW" and "BCHW" where not given.
        progress: hears each clip that is looked at.

    Raises:
        InputError: as count_flops on the input, and a layout that does not fit it.
        UnknownNameError: an axis that the input does not have.
    """
    found, observe = of_module(module, input, axes, layout)
    recipe = recipe_of(module)
    name = recipe.name if recipe else type(module).__name__
    return _form(name, Sampler(observe, found.names, found.base, progress), rebuilt=False)


def closed_form_of(
    name: str,
    *,
    clip: VideoClip,
    axes: Sequence[str] = "THW",
    batch: int = 1,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    progress: Callable[[str], None] = lambda clip: None,
) -> ClosedForm:
    """The cost of a model by name that is built anew for each clip, sized parts included; arguments as `count_model`."""
    names = "".join(axes)
    base, observe = of_model(name, clip=clip, batch=batch, names=names, num_classes=num_classes, options=options)
    return _form(name, Sampler(observe, tuple(names), base, progress), rebuilt=True)


def _form(name: str, sampler: Sampler, *, rebuilt: bool) -> ClosedForm:
    seen = sampler.at(sampler.base)
    if isinstance(seen, Refused):
        raise InputError(
            f"{name} does not run at {sampler.sizes(sampler.base)}",
            [("seen", seen.why), ("fix", "begin with a clip that it takes")],
        )
    axes, points = _free(sampler)
    clips = Clips(sampler.names, tuple(axis.limit for axis in axes), tuple(points))
    parts, missing = _parts(sampler, clips)
    domains = tuple(_domain(sampler, index, axis, parts) for index, axis in enumerate(axes))
    checked = _checked(sampler, domains, parts, missing)
    uncosted = tuple(dict.fromkeys(entry.name for entry in seen if entry.kind is Kind.UNCOSTED))
    return ClosedForm(name, domains, parts, missing, uncosted, rebuilt, checked)


def _free(sampler: Sampler) -> tuple[list[Axis], list[Clip]]:
    """The axes, and clips to make the form from; an axis that moves only alone is pinned beside the others."""
    axes = [sampler.axis(index) for index in range(len(sampler.names))]
    lines = [[sampler.base] if axis.pinned else sampler.line(index, axis) for index, axis in enumerate(axes)]
    while refused := next((clip for clip in sampler.crossings(lines) if not sampler.runs(clip)), None):
        last = max(index for index, size in enumerate(refused) if size != sampler.base[index])
        axes[last] = replace(axes[last], pinned=f"at {sampler.sizes(refused)}: {sampler.why(refused)}")
        lines[last] = [sampler.base]
    return axes, list(
        dict.fromkeys([sampler.base, *(clip for line in lines for clip in line), *sampler.crossings(lines)])
    )


def _parts(sampler: Sampler, clips: Clips) -> tuple[dict[str, dict[str, Polynomial]], dict[str, str]]:
    """Each quantity's polynomials by module, or why it has none."""
    parts, missing = {}, {}
    seen = sampler.entries(clips.seen)
    for index, quantity in enumerate(QUANTITIES):
        columns = aligned(seen, index)
        try:
            if columns is None:
                raise Resists(f"other operators run on other clips ({_first_difference(sampler, clips, index)})")
            parts[quantity] = solved(columns, quantity, clips)
        except Resists as error:
            missing[quantity] = str(error)
    return parts, missing


def _first_difference(sampler: Sampler, clips: Clips, quantity: int) -> str:
    """The axis that changes which operators run."""
    at_base = sampler.entries([sampler.base])[0]
    for clip, entries in zip(clips.seen, sampler.entries(clips.seen), strict=True):
        if aligned([at_base, entries], quantity) is None:
            return f"at {sampler.sizes(clip)}"
    return "at some"


def _says(parts: dict[str, dict[str, Polynomial]], names: Sequence[str], clip: Clip) -> dict[str, int]:
    sizes = dict(zip(names, clip, strict=True))
    return {quantity: total(by_module.values()).at(sizes) for quantity, by_module in parts.items()}


def _wrong(sampler: Sampler, parts: dict[str, dict[str, Polynomial]], clip: Clip) -> list[str] | None:
    """Quantities of which the form says other than a count of this clip; None where the model does not run there."""
    seen = sampler.at(clip)
    if isinstance(seen, Refused):
        return None
    counted = {q: sum(entry.amounts[index] for entry in seen) for index, q in enumerate(QUANTITIES)}
    return [quantity for quantity, said in _says(parts, sampler.names, clip).items() if said != counted[quantity]]


def _domain(sampler: Sampler, index: int, axis: Axis, parts: dict[str, dict[str, Polynomial]]) -> Domain:
    """From the smallest size at which the model runs and the form says what is counted."""
    below, above = 0, 0 if axis.pinned else (axis.base - 1) // axis.step
    while below < above:
        middle = (below + above + 1) // 2
        if _wrong(sampler, parts, sampler.moved(index, axis.base - middle * axis.step)) == []:
            below = middle
        else:
            above = middle - 1
    return Domain(axis.name, axis.base, axis.base - below * axis.step, axis.step, axis.pinned)


_DRAWS = 8


def _checked(
    sampler: Sampler, domains: Sequence[Domain], parts: dict[str, dict[str, Polynomial]], missing: dict[str, str]
) -> int:
    """Clips at which the form was put beside a count; what it gets wrong at clips drawn anew moves to `missing`."""
    draw = random.Random(1)
    smallest = tuple(domain.minimum for domain in domains)
    drawn = [tuple(_drawn(domain, draw) for domain in domains) for _ in range(_DRAWS)]
    for clip in (smallest, *drawn):
        wrong = _wrong(sampler, parts, clip)
        for quantity in list(parts) if wrong is None else wrong:
            why = "it does not run" if wrong is None else "a count says otherwise"
            missing[quantity] = f"{why} at {sampler.sizes(clip)}"
            del parts[quantity]
    return sum(not isinstance(found, Refused) for found in sampler.looked.values())


def _drawn(domain: Domain, draw: random.Random) -> int:
    if domain.pinned:
        return domain.base
    most = (2 * domain.base - domain.minimum) // domain.step + 1
    return domain.minimum + domain.step * draw.randint(0, most)
