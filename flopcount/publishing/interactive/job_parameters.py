"""Parameters of a job -> sliders: how far each goes, in which steps, and what it moves."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ...core.units import exact
from ...pipelines.expression import Value
from ...pipelines.staged_job import StagedJob
from ..axis_range import FARTHEST
from .sections import Slider

__all__ = ["number_text", "parameter_sliders", "value_text"]

_LEAST_ROOM = 10  # a slider of whole numbers goes this far at least
_PASSES = ("passes", 2)  # of a denoiser: one, or two with guidance
_SHARES = ("reuse", "share")  # of what is at least 0 and below 1, also where it is 0 and so a whole number
_COARSE, _MOST_SHARE = Fraction(1, 20), Fraction(19, 20)
_FINEST = 4  # decimals


def value_text(value: Value) -> str:
    """As a decimal where it is one, else as a fraction: "50", "0.3", "24000/1001"."""
    if isinstance(value, int):
        return str(value)
    places = _decimals(value)
    return str(value) if places is None else _decimal(value, places)


def number_text(value: Value) -> str:
    """Of what there are so many: whole, or to three decimals: "250", "≈ 2.703"."""
    return exact(value) if isinstance(value, int) else f"≈ {float(value):.3f}"


def parameter_sliders(job: StagedJob) -> list[Slider]:
    """One for each parameter, in their order; those of pipelines in a stage are fixed, and follow with their place."""
    sliders = []
    for name, value in job.parameters.items():
        moves = _moved(job, name)
        if not moves:
            sliders.append(_fixed(name, value, "", "no repeat and no unit depends on it"))
        else:
            sliders.append(_slider(name, value, ", ".join(moves)))
    return [*sliders, *_within(job, "")]


def _moved(job: StagedJob, name: str) -> list[str]:
    """What depends on a parameter: stages, or else units."""
    stages = [stage.name for stage in job.stages if name in stage.times.names]
    return stages or [f"per {unit.name}" for unit in job.units if name in unit.count.names]


def _within(job: StagedJob, within: str) -> Iterator[Slider]:
    for stage in job.stages:
        if isinstance(stage.report, StagedJob):
            place = f"{within}{stage.name}."
            for name, value in stage.report.parameters.items():
                yield _fixed(f"{place}{name}", value, "", f"a parameter of the pipeline within {place[:-1]}")
            yield from _within(stage.report, place)


def _fixed(name: str, value: Value, what: str, why: str) -> Slider:
    text = value_text(value)
    return Slider(name, what, text, text, text, 1, why)


def _slider(name: str, value: Value, what: str) -> Slider:
    if name in _SHARES and 0 <= value < 1:
        return _share(name, Fraction(value), what)
    if isinstance(value, int):
        if name == _PASSES[0] and 1 <= value <= _PASSES[1]:
            return Slider(name, what, value, 1, _PASSES[1], 1)
        least, most = min(1, FARTHEST * value if value < 0 else value), max(FARTHEST * value, _LEAST_ROOM)
        return Slider(name, what, value, least, most, 1)
    places = _decimals(value)
    if places is None or places > _FINEST:
        return _fixed(name, value, what, "it is no number of a few decimals")
    if 0 < value < 1:
        return _share(name, value, what)
    step = Fraction(1, 10**places)
    far = Fraction(value) * FARTHEST
    ends = (step, far) if value > 0 else (far, Fraction(_LEAST_ROOM))
    return Slider(name, what, *(_decimal(number, places) for number in (value, *ends, step)))


def _share(name: str, value: Fraction, what: str) -> Slider:
    """From 0 to 0.95, in steps of 0.05 or as fine as the value is."""
    places = max(2, _decimals(value) or 0)
    step = _COARSE if (value / _COARSE).denominator == 1 else Fraction(1, 10**places)
    most = max(_MOST_SHARE, value)
    return Slider(name, what, *(_short(number, places) for number in (value, Fraction(0), most, step)))


def _decimals(value: Value) -> int | None:
    """How many decimals it has; None where they do not end."""
    rest, twos, fives = Fraction(value).denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _decimal(value: Value, places: int) -> str:
    """With so many decimals, which are enough for it."""
    whole = abs(Fraction(value)) * 10**places
    digits = str(int(whole)).rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if value < 0 else text


def _short(value: Fraction, places: int) -> str:
    return _decimal(value, min(places, _decimals(value) or 0))
