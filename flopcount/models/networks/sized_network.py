"""The result of a builder of the zoo: the module, and its departures from the paper's network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

__all__ = ["SizedNetwork"]


@dataclass(frozen=True, slots=True)
class SizedNetwork:
    """A network sized for a clip.

    `departures` states each difference from the paper's network. `inputs` are the shapes of its arguments without the
    batch, if it does not take one clip (3, T, H, W): an image network takes (3, H, W), a flow stream (2L, H, W).
    `streams` are the submodules that the paper trains separately, each with a loss of its own. Where inputs are not
    `in_pixels` (skeletons, heatmaps), the clip is what they stand for. `layouts` name the axes of an input, by its name
    in `forward`, that are not in the usual order, such as those of a skeleton.
    """

    module: nn.Module
    departures: tuple[str, ...] = ()
    inputs: tuple[tuple[int, ...], ...] | None = None
    streams: tuple[str, ...] = ()
    in_pixels: bool = True
    layouts: Mapping[str, str] = field(default_factory=dict, hash=False)
