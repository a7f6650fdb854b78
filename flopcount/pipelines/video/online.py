"""A streaming network over a whole video: its first clip, then a step for every new frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...analysis.steps import first_clip, state_after, steady_step
from ...core.model_spec import ModelSpec
from ...core.ops import TensorSpec
from ...core.protocol import ONE_VIEW, Protocol
from ...core.result import Result
from ...models.by_name import with_model
from ...models.networks.streamable import ALL, Streamable
from ...tracing.arguments import Input, arguments_of
from ...tracing.inputs import specs_of

__all__ = ["Steps", "count_steps"]

_CLIP = 5  # axes


@dataclass(frozen=True, slots=True)
class Steps:
    """What a streaming network costs: its first clip of `frames` frames, and each step of one new frame after it."""

    first: Result
    step: Result
    frames: int


def count_steps(spec: ModelSpec, most: int | None = None, *, dataflow: bool = False) -> Steps | None:
    """Count a streaming network by name, one clip at a time; None for one that has no step through a clip.

    Where there are at most `most` frames, the first clip of a network that looks back at all of them has no more.

    Raises:
        FlopcountError: it cannot be counted.
    """

    def counted(module: Any, input: Input, of: Protocol) -> Steps | None:
        can_step = isinstance(module, Streamable)
        specs = specs_of(*arguments_of(input, module))
        if not can_step or [len(tensor.shape) for tensor in specs] != [_CLIP]:
            return None
        clip: TensorSpec = specs[0]
        if most is not None and getattr(module, "step_sees", "") == ALL:
            frames = min(most, clip.shape[2])
            clip = TensorSpec((*clip.shape[:2], frames, *clip.shape[3:]), clip.dtype)
        first = first_clip(module, clip, dataflow=dataflow)
        step = steady_step(module, clip, state_after(module, clip), 1, dataflow=dataflow)
        return Steps(_with_clip(first, clip), step, clip.shape[2])

    return with_model(spec, replace(ONE_VIEW, batch=1), counted)


def _with_clip(first: Result, clip: TensorSpec) -> Result:
    """The first of its inputs is the clip; the state before it is none."""
    return replace(first, input=replace(first.input, shapes=(tuple(clip.shape),)))
