"""What a network has that can follow a video: a `step` that takes new frames and what it kept of earlier ones.

    output, state = network.step(frames, state)

`frames` are new ones (B, 3, S, H, W), oldest first; `state` is None before the first, then what the last step gave:
tensors in tuples, lists or dicts, of the same shapes once a whole clip has been seen. The output is that of `forward`
on the clip that ends with these frames; None where there are not enough yet. `step_sees` says whether a step answers
for the frames of the last clip (WINDOW, equal to `forward` on them) or for all frames since the beginning (ALL, equal
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
        """The output for the clip that ends with `frames`, and what the next step needs."""
        ...


def latest(past: Tensor | None, new: Tensor, frames: int) -> Tensor:
    """What is known of the last `frames` frames, (B, T, ...); `new` are those that came in last."""
    both = new if past is None else torch.cat((past, new), dim=1)
    return both[:, -frames:]
