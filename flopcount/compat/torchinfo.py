"""torchinfo's `summary`: mult-adds and parameters of one forward pass, and the table of its modules.

The numbers differ from torchinfo's: mult-adds are the multiply-accumulates of every contraction, also of functional
calls, attention and recurrent layers, and neither bias nor normalisation counts. The table is flopcount's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError
from ..core.ops import TensorSpec
from ..report import Report
from ..tracing.arguments import Arguments, Input, settled
from ..tracing.shape_arguments import is_shape
from .counted import counted_in_eval, tell_uncosted

__all__ = ["ModelStatistics", "summary"]


@dataclass(frozen=True, repr=False)
class ModelStatistics:
    """What `summary` returns, with torchinfo's names; `report` has everything that flopcount knows of this pass."""

    report: Report
    depth: int = 3

    @property
    def input_size(self) -> list[tuple[int, ...]]:
        """The shape of each input."""
        return list(self.report.input.shapes)

    @property
    def total_mult_adds(self) -> int:
        """Multiply-accumulates, batch included."""
        return self.report.macs

    @property
    def total_params(self) -> int:
        """Elements of distinct parameters."""
        return self.report.params

    @property
    def trainable_params(self) -> int:
        """Those that require a gradient."""
        return self.report.trainable_params

    def __repr__(self) -> str:
        return str(self.report.by_module(self.depth))


def summary(
    model: nn.Module,
    input_size: Sequence[Any] | None = None,
    input_data: Input = None,
    batch_dim: int | None = None,
    cache_forward_pass: bool | None = None,
    col_names: Iterable[str] | None = None,
    col_width: int = 25,
    depth: int = 3,
    device: torch.device | str | None = None,
    dtypes: Sequence[torch.dtype] | None = None,
    mode: str | None = None,
    row_settings: Iterable[str] | None = None,
    verbose: int | None = None,
    **kwargs: Any,
) -> ModelStatistics:
    """What a model costs, as torchinfo gives it.

    Arguments:
        model: any nn.Module; it is not run, and is the same afterwards.
        input_size: the input's shape with its batch, or a sequence of such shapes.
        input_data: a tensor, a sequence of arguments or a mapping of keyword arguments instead.
        batch_dim: where a batch of 1 is inserted into shapes without one.
        cache_forward_pass: without effect.
        col_names: without effect.
        col_width: without effect.
        depth: levels of modules in the table.
        device: without effect, since nothing is run.
        dtypes: of the inputs, one for each shape.
        mode: "eval", as by default, or "train" for a forward pass in training mode.
        row_settings: without effect.
        verbose: 0 prints nothing; otherwise the table is printed.
        kwargs: further keyword arguments of the model.

    Raises:
        InputError: neither or both of `input_size` and `input_data`.
    """
    if (input_size is None) == (input_data is None):
        both = "both set" if input_data is not None else "both missing"
        fix = "give one of them, such as input_size=(1, 3, 224, 224)"
        raise InputError(f"input_size and input_data are {both}", [("fix", fix)])
    if input_size is not None:
        input_data = _specs(input_size, batch_dim, dtypes)
    args = input_data if isinstance(input_data, Mapping) else _as_tuple(input_data)
    arguments = settled(args, model)
    if kwargs:
        arguments = Arguments(arguments.args, {**arguments.kwargs, **kwargs}, arguments.assumed)
    report, _ = counted_in_eval(model, arguments, {}, "total_mult_adds", int, training=mode == "train")
    tell_uncosted(report, "summary")
    statistics = ModelStatistics(report, depth)
    if verbose != 0:
        print(statistics)
    return statistics


def _as_tuple(data: Input) -> tuple[Any, ...]:
    return tuple(data) if isinstance(data, (list, tuple)) else (data,)


def _specs(sizes: Sequence[Any], batch_dim: int | None, dtypes: Sequence[torch.dtype] | None) -> tuple[Any, ...]:
    """A shape for each argument, with its batch and its dtype."""
    shapes = [tuple(shape) for shape in ([sizes] if is_shape(sizes) else sizes)]
    if batch_dim is not None:
        shapes = [(*shape[:batch_dim], 1, *shape[batch_dim:]) for shape in shapes]
    if dtypes is None:
        return tuple(shapes)
    return tuple(TensorSpec(shape, str(dtype)) for shape, dtype in zip(shapes, dtypes, strict=True))
