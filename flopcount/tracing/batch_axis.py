"""Whether the first axis of the inputs is a batch: what the layers that know their batch axis say of it.

By shape alone 16 frames of 2 videos, (16, 2, 8), and a picture of three colours, (3, 224, 224), look like batches. The
layers that they reach know better: a recurrent or attention layer that takes time first, and a convolution that takes
the whole input for one sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ..core.ops import ModuleCall, Op, TensorSpec
from ..core.protocol import shared_batch

__all__ = ["batch_of"]

_COLOURS = 3
_PICTURE_AXES = 3  # without a batch


def batch_of(
    shapes: Iterable[tuple[int, ...]],
    arguments: Iterable[Any],
    ops: Iterable[Op],
    modules: Iterable[tuple[str, nn.Module]],
    calls: Iterable[ModuleCall],
) -> int | None:
    """The batch of inputs of these shapes, those of the tensors in `arguments`; None where it is unknown.

    It is the first axis, where all of them share it, unless pictures are listed one by one, or a layer that ran tells
    that this axis is another one.
    """
    inputs = {tuple(shape) for shape in shapes}
    batch = shared_batch(inputs)
    if batch is None or batch == 1:  # the only sample is the whole input
        return batch
    if any(_lists_pictures(argument) for argument in arguments) or _is_another(batch, inputs, ops, modules, calls):
        return None
    return batch


def _lists_pictures(argument: Any) -> bool:
    """Whether it is a list of pictures (3, H, W), or of records of them, as detectors and video models take it."""
    return isinstance(argument, (list, tuple)) and bool(argument) and all(map(_is_picture, argument))


def _is_picture(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_picture, value.values()))
    if not isinstance(value, (torch.Tensor, TensorSpec)):
        return False
    return len(value.shape) == _PICTURE_AXES and value.shape[0] == _COLOURS


def _is_another(
    batch: int,
    inputs: set[tuple[int, ...]],
    ops: Iterable[Op],
    modules: Iterable[tuple[str, nn.Module]],
    calls: Iterable[ModuleCall],
) -> bool:
    """Whether a layer tells that the first axis of the inputs is none of samples.

    It does if it takes an input time first or without a batch, and if what it got in all its calls is no multiple of
    the batch: of a recurrent layer always, of convolutions if it is so for each of them (a text encoder or the head of
    a detector has a batch of its own).
    """
    recurrent: Counter[str] = Counter()
    convolved: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for signature, module in ops:
        given, arguments = signature.arguments.get("input"), signature.arguments
        if not isinstance(given, TensorSpec):
            continue
        if "batch_first" in arguments:
            if not arguments["batch_first"] and _is_time_first(given.shape, inputs):
                return True
            recurrent[module] += given.shape[0 if arguments["batch_first"] else 1]
        elif "stride" in arguments and isinstance(arguments.get("weight"), TensorSpec):
            shape, kernel = given.shape, arguments["weight"].shape
            axes = len(kernel) - 1  # of one sample
            if shape[-axes:] in inputs and (len(shape) == axes or shape not in inputs):
                return True
            convolved[module, kernel] += shape[0]
    if any(count % batch for count in recurrent.values()):
        return True
    if convolved and all(count % batch for count in convolved.values()):
        return True
    attention = {path for path, layer in modules if isinstance(layer, nn.MultiheadAttention) and not layer.batch_first}
    return bool(attention) and any(
        call.module in attention and call.inputs and _is_time_first(call.inputs[0], inputs) for call in calls
    )


def _is_time_first(shape: tuple[int, ...], inputs: set[tuple[int, ...]]) -> bool:
    """Whether a layer that takes (time, batch, features), or (time, features), gets an input as it was given."""
    leading = shape[:-1]
    return len(set(leading)) == len(leading) and any(given[: len(leading)] == leading for given in inputs)
