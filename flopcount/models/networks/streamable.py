"""Networks that can follow a video: they have a `step` that takes new frames and the state of earlier ones.

    output, state = network.step(frames, state)

`frames` are the new frames (B, 3, S, H, W), oldest first. `state` is None before the first step, then the state that
the last step returned: tensors in tuples, lists or dicts, of constant shapes after the first whole clip. The output is
that of `forward` on the clip that ends with these frames, or None if there are too few frames. `step_sees` says whether
the output depends on the last clip (WINDOW, equal to `forward` on it) or on all frames since the beginning (ALL, equal
to `forward` on the first clip; later nothing is forgotten).
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["ALL", "WINDOW", "Streamable", "latest"]

WINDOW = "last clip"
ALL = "all so far"


@runtime_checkable
class Streamable(Protocol):
    """A network with a step; any nn.Module with this method is one."""

    def step(self, frames: Tensor, state: Any) -> tuple[Tensor | None, Any]:
        """The output for the clip that ends with `frames`, and the state for the next step."""
        ...


def latest(past: Tensor | None, new: Tensor, frames: int) -> Tensor:
    """The features of the last `frames` frames, (B, T, ...); `new` are those of the newest."""
    both = new if past is None else torch.cat((past, new), dim=1)
    return both[:, -frames:]
