"""The forms in which a caller may give an input, and the arguments of the module that they mean.

The forms are a tensor; a shape with batch such as (1, 3, 16, 112, 112); a TensorSpec for another dtype; a tuple of
arguments; a list if the model takes a list; any mapping of keyword arguments. Shapes and specs may replace any tensor,
and everything else stays what it is.

Whole numbers are a shape if no tensor is among the arguments. Beside a tensor they are numbers, and a shape only if the
module raises on them as numbers; which of the two is decided once, here, for all that is counted afterwards.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import torch
from torch import nn

from ..core.errors import FlopcountError, ForwardError, InputError
from .forward import trace
from .shape_arguments import Reader, is_shape, refuse_fractions, refuse_meaningless, spec_of_shape

__all__ = ["Arguments", "Input", "arguments_of", "settled"]

Input: TypeAlias = Any
"""Tensor | shape | TensorSpec | tuple of arguments | list | mapping of keyword arguments, nested | Arguments."""

_MOST_CHOICES = 3  # ambiguous arguments of which every combination is tried


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """The arguments of a module, with every shape turned into a TensorSpec of its dtype.

    `assumed` says in words how whole numbers were read that could be numbers or a shape.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    assumed: tuple[str, ...] = ()


def arguments_of(input: Input, module: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, as `settled`."""
    arguments = settled(input, module)
    return arguments.args, arguments.kwargs


def settled(input: Input, module: nn.Module, engine: str = "auto") -> Arguments:
    """The arguments that an input means; if there are several readings, the first on which the module does not raise.

    The first of all is returned if it raises on each.

    Raises:
        InputError: there is no reading; the message names its place.
    """
    if isinstance(input, Arguments):
        return input
    if type(input) is torch.Tensor:
        return Arguments((input,), {})
    if type(input) is tuple and is_shape(input):
        return Arguments((spec_of_shape(input, module),), {})
    try:
        readings = list(_readings(input, module))
    except RecursionError:
        raise InputError(
            "input is nested too deep, or contains itself", [("fix", "give tensors, shapes, or containers of them")]
        ) from None
    if len(readings) == 1:
        return readings[0]
    return next((reading for reading in readings if _runs(module, reading, engine)), readings[0])


def _runs(module: nn.Module, arguments: Arguments, engine: str) -> bool:
    """Whether the module does not raise; what it needs beyond that, and its warnings, come when it is counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trace(module, arguments.args, arguments.kwargs, engine=engine)
        except ForwardError:
            return False
        except FlopcountError:
            return True
    return True


def _readings(input: Input, module: nn.Module) -> Iterator[Arguments]:
    """Every way to read an input, the likeliest first."""
    args, kwargs = _taken_apart(input, module)
    places = [*(f"input {position}" for position in range(len(args))), *(f"input {name!r}" for name in kwargs)]
    if not isinstance(input, (tuple, Mapping)) or is_shape(input):
        places = ["input"]
    by_place = dict(zip(places, (*args, *kwargs.values()), strict=True))
    reader = Reader(module, by_place)
    choices = [reader.choices(value, place) for place, value in by_place.items()]
    open_ones = sum(len(choice) > 1 for choice in choices)
    combinations = product(*choices) if open_ones <= _MOST_CHOICES else _first_and_last(choices)
    for chosen in combinations:
        values = [value for value, _ in chosen]
        notes = tuple(note for _, note in chosen if note)
        yield Arguments(tuple(values[: len(args)]), dict(zip(kwargs, values[len(args) :], strict=True)), notes)


def _first_and_last(choices: list[list[tuple[Any, str]]]) -> list[list[tuple[Any, str]]]:
    return [[choice[0] for choice in choices], [choice[-1] for choice in choices]]


def _taken_apart(input: Input, module: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments as they are given."""
    if isinstance(input, Mapping):
        for name in input:
            if not isinstance(name, str):
                fix = "name them as the forward pass does, or give a tuple of arguments"
                raise InputError(f"a keyword argument is named {name!r}, which is no text", [("fix", fix)])
        return (), dict(input)
    if type(input) is tuple and not is_shape(input):
        refuse_fractions(input)
        return input, {}
    if isinstance(input, tuple) and not is_shape(input) and _is_several(input, module):
        return tuple(input), {}
    refuse_meaningless(input)
    return (input,), {}


def _is_several(record: tuple[Any, ...], module: nn.Module) -> bool:
    """Whether a named tuple can only be several arguments: the forward pass takes so many, and does not take one."""
    try:
        signature = inspect.signature(module.forward)
        signature.bind(*record)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(record)
    except TypeError:
        return True
    return False
