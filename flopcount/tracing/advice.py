"""What to do about an error of the module itself: advice that fits its place and the tensors there, or none.

What enters is a Failure and the arguments of the module; what leaves are lines for under the error. The type of the
error, the place where it was raised, signatures and shapes decide, never the words of the error.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import nn

from ..core.advice import Details, advice_on_call, advice_on_package
from ..core.ops import TensorSpec
from ..core.units import times
from .holders import tensors_within
from .inputs import tensor_spec
from .origin import Failure
from .torch_private import ConvNd

__all__ = ["advice_on"]

_NORMS = "_verify_batch_size"  # torch's function that requires several values per channel
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("frames", "height", "width")}
_BATCH_NORMS = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
_LAST = {
    nn.Linear: "in_features",
    nn.RNNBase: "input_size",
    nn.MultiheadAttention: "embed_dim",
}
"""Layers that take features as the last axis, and the attribute that says how many."""


def advice_on(failure: Failure, module: nn.Module, arguments: tuple[Any, Any]) -> Details:
    """Lines of advice; none if the cause is the user's own code and unknown."""
    args, kwargs = arguments
    if isinstance(failure.error, TypeError) and not failure.layer:
        details = _on_call(module, args, kwargs)
        if details:
            return details
    if isinstance(failure.error, ModuleNotFoundError):
        return advice_on_package(failure.error)
    if failure.function == _NORMS:
        fix = "a norm in training needs several values per channel: give a larger batch or clip, or call .eval()"
        return [("fix", fix)]
    inputs = [tensor_spec(tensor) for tensor in tensors_within(args, kwargs)]
    refused = failure.refuses_input or bool(_on_axes(failure))
    without_batch = _on_missing_batch(module, inputs) if refused else ""
    fix = _on_kind(failure) or without_batch or _on_axes(failure) or _on_one_sample(failure, inputs)
    fix = fix or _on_tensors(failure, inputs)
    if fix:
        return [("fix", fix)]
    return [("fix", "check the input's shape against what this layer needs")] if failure.refuses_input else []


def _on_call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """The call does not fit the signature of the forward pass."""
    forward: Callable[..., Any] = module.forward
    return advice_on_call(forward, args, kwargs)


def _on_kind(failure: Failure) -> str:
    """A layer of torch got something else than a tensor."""
    value = failure.given[0] if failure.given else None
    if not isinstance(failure.error, TypeError) or not type(failure.module).__module__.startswith(nn.__name__):
        return ""
    if type(value).__module__ == "numpy":
        return "give a tensor: torch.from_numpy(array)"
    if isinstance(value, (list, tuple)):
        return f"{type(failure.module).__name__} takes a tensor, not a {type(value).__name__}"
    return ""


def _on_axes(failure: Failure) -> str:
    """The code takes the sizes of more axes than the tensor has."""
    first = _first(failure)
    if first is None or not failure.unpacks or not isinstance(failure.error, ValueError):
        return ""
    if first.ndim < failure.unpacks:
        return f"it takes {failure.unpacks} axes apart, and it gets {first.ndim}: give all of them, the batch included"
    return ""


def _on_missing_batch(module: nn.Module, inputs: list[TensorSpec]) -> str:
    """The input is what the first convolution takes, without the batch; layers after it may need one."""
    first = next((part for part in module.modules() if isinstance(part, ConvNd)), None)
    if first is None or not inputs:
        return ""
    shape = inputs[0].shape
    lacks = len(shape) == len(first.kernel_size) + 1 and shape[0] == first.in_channels
    return f"give the input with its batch: {(1, *shape)}" if lacks else ""


def _on_one_sample(failure: Failure, inputs: list[TensorSpec]) -> str:
    """A layer takes as many features as it gets elements in all: the sample's first axis was taken for the batch."""
    first = _first(failure)
    if first is None or not inputs or not isinstance(failure.module, nn.Linear) or not failure.refuses_input:
        return ""
    shape = inputs[0].shape
    wants = failure.module.in_features
    flattened = first.shape != shape and first.ndim == 2 and first.shape[0] == shape[0] and first.shape[1] != wants
    return f"give the input with its batch: {(1, *shape)}" if flattened and prod(first.shape) == wants else ""


def _on_tensors(failure: Failure, inputs: list[TensorSpec]) -> str:
    """A layer of torch refuses the shape or the dtype of what it gets."""
    layer, first = failure.module, _first(failure)
    if first is None or not (failure.refuses_input or failure.by_operator):
        return ""
    is_input = any(spec.shape == first.shape for spec in inputs)
    return _on_dtype(layer, first, is_input) or _on_rank(layer, first) or _on_channels(layer, first, is_input)


def _first(failure: Failure) -> TensorSpec | None:
    tensors = tensors_within(*failure.given)
    return tensor_spec(tensors[0]) if tensors else None


def _on_dtype(layer: nn.Module, first: TensorSpec, is_input: bool) -> str:
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return f'it takes indices: give TensorSpec({first.shape}, "int64")' if first.is_floating else ""
    weight = next((p for p in layer._parameters.values() if p is not None and p.is_floating_point()), None)
    wanted = str(weight.dtype).removeprefix("torch.") if weight is not None else first.dtype
    if first.dtype == wanted:
        return ""
    how = f'TensorSpec({first.shape}, "{wanted}")' if is_input else f".to(torch.{wanted})"
    return f"its weights are {wanted}, and it gets {first.dtype}: give {how}"


def _on_rank(layer: nn.Module, first: TensorSpec) -> str:
    """Fewer or more axes than the layer takes with a batch."""
    rank = len(layer.kernel_size) if isinstance(layer, ConvNd) else _rank_of_norm(layer)
    if not rank or first.ndim == rank + 2 or (rank == 1 and first.ndim == 2):
        return ""
    axes = ", ".join(("batch", "channels", *_AXES[rank]))
    takes = f"{type(layer).__name__} takes {rank + 2} axes ({axes}), and it gets {first.ndim}"
    return takes if first.ndim > rank + 2 else f"{takes}: give an input with its batch and all other axes"


def _rank_of_norm(layer: nn.Module) -> int:
    return next((rank for kind, rank in _BATCH_NORMS.items() if isinstance(layer, kind)), 0)


def _on_channels(layer: nn.Module, first: TensorSpec, is_input: bool) -> str:
    """Another number of channels or features than the layer is made for."""
    count: Any
    if isinstance(layer, ConvNd):
        name, axis, count = "channels", 1, layer.in_channels
    elif isinstance(layer, tuple(_BATCH_NORMS)):
        name, axis, count = "channels", 1, layer.num_features
    elif isinstance(layer, nn.GroupNorm):
        name, axis, count = "channels", 1, layer.num_channels
    elif isinstance(layer, tuple(_LAST)):
        attribute = next(attribute for kind, attribute in _LAST.items() if isinstance(layer, kind))
        name, axis, count = "features", first.ndim - 1, int(getattr(layer, attribute))
    else:
        return ""
    if not 0 <= axis < first.ndim or first.shape[axis] == count:
        return ""
    where = "the last axis" if name == "features" else "axis 1"
    fix = f"{type(layer).__name__} takes {count} {name} on {where}, and it gets {first.shape[axis]}"
    others = [position for position, size in enumerate(first.shape) if size == count and position != axis]
    if is_input and len(others) == 1 and others[0]:
        swapped = [size for position, size in enumerate(first.shape) if position != others[0]]
        swapped.insert(axis if axis < first.ndim - 1 else first.ndim - 1, count)
        return f"{fix}; axis {others[0]} has {count}: the order may be {times(tuple(swapped))}"
    return fix
