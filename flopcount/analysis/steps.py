"""A network with a step -> what its first clip costs, and each step after it in steady state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ..core.ops import TensorSpec
from ..core.protocol import Protocol
from ..core.result import Result
from ..count import count
from ..tracing import TURN, trace
from ..tracing.inputs import map_tensors, tensor_spec

__all__ = ["first_clip", "state_after", "steady_step"]


class Step(nn.Module):
    """One step as a forward pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor, state: Any) -> Any:
        """The result of the step, of which only shapes are read."""
        step: Any = self.model.step
        return step(frames, state)


def state_after(module: nn.Module, clip: TensorSpec) -> Any:
    """The specs of what a network keeps once it has seen a clip; nothing is computed."""
    states: list[Any] = []

    class FirstStep(Step):
        def forward(self, frames: Tensor, state: Any) -> Any:
            output, after = super().forward(frames, state)
            states.append(map_tensors(tensor_spec, after))
            return output

    with TURN:
        trace(FirstStep(module), (clip, None))
    return states[-1]  # those of the engine that succeeded


def first_clip(module: nn.Module, clip: TensorSpec, *, dataflow: bool = False) -> Result:
    """The cost of a whole clip (B, C, T, H, W) before which nothing was seen."""
    return _named(count(Step(module), (clip, None), _batch(clip), dataflow=dataflow, saving=False), module)


def steady_step(module: nn.Module, clip: TensorSpec, state: Any, stride: int, *, dataflow: bool = False) -> Result:
    """The cost of `stride` new frames after a clip (B, C, T, H, W) that left `state` behind."""
    batch, channels, _, height, width = clip.shape
    new = TensorSpec((batch, channels, stride, height, width), clip.dtype)
    return _named(count(Step(module), (new, state), _batch(clip), dataflow=dataflow, saving=False), module)


def _batch(clip: TensorSpec) -> Protocol:
    return Protocol(batch=clip.shape[0])


def _named(result: Result, module: nn.Module) -> Result:
    """Under the name of the network, not that of the step around it."""
    recipe = getattr(module, "recipe", None)
    return replace(result, model=recipe.name if recipe else type(module).__name__)
