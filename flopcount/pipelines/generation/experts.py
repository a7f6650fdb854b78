"""Two denoisers of one schedule: the first runs the steps from noise down to a boundary, the second those below it.

Step i of n has the noise σᵢ = 1 - i/n · 999/1000, shifted to s·σ / (1 + (s - 1)·σ), as diffusers' UniPC scheduler has
it for flows with 1000 steps of training. It belongs to the first denoiser where the shifted noise is at least the
boundary b, that is where σᵢ ≥ b / (s - (s - 1)·b); so n steps have floor(n · 1000/999 · (1 - b / (s - (s - 1)·b))) + 1
of them, n at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...core.errors import InputError
from ...facts.model_sizes import ModelSizes
from ..expression import Expression, Value

__all__ = ["HIGH", "Experts", "experts_of", "steps_of_first"]

HIGH = "min(steps, floor(steps * 1000 / 999 * (1 - boundary / (shift - (shift - 1) * boundary))) + 1)"
"""Steps of the first denoiser, an expression of steps, shift and boundary."""


@dataclass(frozen=True, slots=True)
class Experts:
    """Where the schedule changes from the first denoiser to the second, and whose schedule it is."""

    boundary: Fraction
    shift: Fraction
    source: str
    others: tuple[tuple[str, Fraction], ...] = ()


def steps_of_first(steps: int, shift: Fraction, boundary: Fraction) -> int:
    """How many of so many steps are the first denoiser's."""
    values: dict[str, Value] = {"steps": steps, "shift": shift, "boundary": boundary}
    return Expression.of(HIGH).whole(values, "the steps of the first denoiser")


def experts_of(sizes: ModelSizes) -> Experts:
    """The schedule of a model with two denoisers.

    Raises:
        InputError: its boundary or the shift of its schedule is not known.
    """
    said = sizes.experts
    scheduler = sizes.other_defaults.get("scheduler", {})
    in_folder = scheduler.get("flow_shift") if isinstance(scheduler, Mapping) else None
    shift = said.get("shift", in_folder)
    boundary = said.get("boundary")
    if not _is_number(boundary) or not _is_number(shift):
        lacks = "boundary_ratio in model_index.json" if not _is_number(boundary) else "flow_shift of the scheduler"
        fix = f"give the {lacks}"
        raise InputError(f"nothing says how {sizes.name} divides its steps between two denoisers", [("fix", fix)])
    source = "its own repository's settings" if "shift" in said else "the folder's scheduler"
    others = tuple((name, Fraction(str(value))) for name, value in said.get("other_shifts", {}).items())
    return Experts(Fraction(str(boundary)), Fraction(str(shift)), source, others)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
