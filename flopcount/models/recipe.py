"""How a network was built: it is the module's `recipe` attribute and becomes part of every report on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..core.protocol import Clip

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Recipe", "recipe_of"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a zoo network was built; it is the module's `recipe` attribute and becomes part of every report on it.

    `inputs` are its arguments as for `count_flops`, with shapes without the batch, or a function of the model and the
    batch that makes them; `clip` is None for an image model of a library. `streams` are submodules that are trained
    separately, each on its own scores. `assumed` is what a count takes for granted of the input; inputs that are not
    `in_pixels` are latents or skeletons, and the clip is then what they stand for. `layouts` name the axes of an input,
    by its name, that are not in the usual order.
    """

    name: str
    clip: Clip | None
    stride: int
    departures: tuple[str, ...]
    inputs: Any
    streams: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    in_pixels: bool = True
    layouts: Mapping[str, str] = field(default_factory=dict, hash=False)


def recipe_of(module: nn.Module) -> Recipe | None:
    """The recipe of a network that `create_model` built; None for any other module, whatever its attributes."""
    recipe = getattr(module, "recipe", None)
    return recipe if isinstance(recipe, Recipe) else None
