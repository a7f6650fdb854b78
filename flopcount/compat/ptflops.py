"""ptflops' `get_model_complexity_info`: multiply-accumulates and parameters, as strings or integers.

The numbers differ from ptflops': attention, LSTM and whatever else has no hook or patch there counts too, frozen
parameters count as parameters, and bias, activations, pooling and normalisation, which are not multiply-accumulates, do
not count.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from typing import Any, TextIO

from torch import nn

from ..core.errors import InputError
from ..report import Report
from .counted import Hook, counted_in_eval, inclusive_macs, tell_uncosted

__all__ = ["FLOPS_BACKEND", "flops_to_string", "get_model_complexity_info", "params_to_string"]


class FLOPS_BACKEND(Enum):
    """How ptflops counts; here both are the same."""

    PYTORCH = "pytorch"
    ATEN = "aten"


def get_model_complexity_info(
    model: nn.Module,
    input_res: tuple[int, ...],
    print_per_layer_stat: bool = True,
    as_strings: bool = True,
    input_constructor: Callable[[tuple[int, ...]], Any] | None = None,
    ost: TextIO | None = None,
    verbose: bool = False,
    ignore_modules: Iterable[type] = (),
    custom_modules_hooks: Mapping[type, Hook] | None = None,
    backend: str | FLOPS_BACKEND = FLOPS_BACKEND.PYTORCH,
    flops_units: str | None = None,
    param_units: str | None = None,
    output_precision: int = 2,
    backend_specific_config: Mapping[str, Any] | None = None,
) -> tuple[str, str] | tuple[int, int]:
    """MACs per sample and parameters of a model in eval mode, as ptflops gives them.

    Arguments:
        model: any nn.Module; it is not run, and is the same afterwards.
        input_res: the input's shape without its batch, such as (3, 224, 224) or (3, 16, 112, 112).
        print_per_layer_stat: print the model with the share of each module to `ost`.
        as_strings: ("4.09 GMac", "25.56 M") instead of integers.
        input_constructor: given `input_res`, returns the one argument of the model or a dict of named ones.
        ost: where to print; stdout by default.
        verbose: without effect: operators without a rule are always named in a warning.
        ignore_modules: module types that count nothing.
        custom_modules_hooks: module type -> function(module, inputs, output) that adds to `module.__flops__`; it
            replaces the count of such modules. Inputs and output are meta tensors.
        backend: "pytorch" or "aten"; the count is the same.
        flops_units: "GMac", "MMac", "KMac" or "Mac".
        param_units: "B", "M" or "K".
        output_precision: decimals.
        backend_specific_config: without effect.

    Raises:
        FlopcountError: the model cannot be counted, where ptflops prints the exception and returns (None, None).
    """
    FLOPS_BACKEND(backend)  # a wrong name is a ValueError there too
    inputs: Any = input_constructor(input_res) if input_constructor else (1, *input_res)
    batch = 1 if isinstance(inputs, dict) or not input_constructor else len(inputs)
    hooks = dict.fromkeys(ignore_modules, _nothing) | dict(custom_modules_hooks or {})
    for kind in hooks:
        if not isinstance(kind, type):
            raise InputError(
                f"{kind} is not a type of module", [("fix", "ignore or hook subclasses of torch.nn.Module")]
            )
    report, amounts = counted_in_eval(model, inputs if isinstance(inputs, dict) else (inputs,), hooks, "__flops__", int)
    tell_uncosted(report, "get_model_complexity_info")
    whole = inclusive_macs(report, amounts)
    total = int(whole[""]) // batch
    flops = partial(flops_to_string, units=flops_units, precision=output_precision)
    params = partial(params_to_string, units=param_units, precision=output_precision)
    if print_per_layer_stat:
        each = {path: amount / batch for path, amount in whole.items()}
        _print_model(model, report, each, flops, params, sys.stdout if ost is None else ost)
    if as_strings:
        return flops(total), params(report.params)
    return total, report.params


def _nothing(module: nn.Module, inputs: Any, output: Any) -> None:
    """The hook of a module that is ignored."""


def _print_model(
    model: nn.Module,
    report: Report,
    macs: Mapping[str, float],
    flops: Callable[[float], str],
    params: Callable[[int], str],
    ost: TextIO,
) -> None:
    """The model as torch prints it, each module with its parameters and MACs and their shares."""
    parts = dict(model.named_modules())
    rows = {id(parts[row.path]): row for row in report.modules}

    def extra(part: nn.Module, original: Callable[[], str]) -> str:
        row = rows[id(part)]
        return ", ".join(
            [
                params(row.params),
                f"{row.params / max(report.params, 1):.3%} Params",
                flops(macs[row.path]),
                f"{macs[row.path] / max(macs[''], 1):.3%} MACs",
                original(),
            ]
        )

    before = {id(part): part.__dict__.copy() for part in parts.values()}
    try:
        for part in parts.values():
            part.__dict__["extra_repr"] = lambda part=part, original=part.extra_repr: extra(part, original)
        print(repr(model), file=ost)
    finally:
        for part in parts.values():
            part.__dict__.clear()
            part.__dict__.update(before[id(part)])


_MAC_UNITS = {"GMac": 10**9, "MMac": 10**6, "KMac": 10**3}
_PARAM_UNITS = {"B": 10**9, "M": 10**6, "K": 10**3}


def flops_to_string(flops: float, units: str | None = None, precision: int = 2) -> str:
    """MACs as ptflops writes them: "4.09 GMac"."""
    unit = units if units is not None else next((u for u, scale in _MAC_UNITS.items() if flops >= scale), "Mac")
    return f"{round(flops / _MAC_UNITS[unit], precision)} {unit}" if unit in _MAC_UNITS else f"{flops} Mac"


def params_to_string(params_num: int, units: str | None = None, precision: int = 2) -> str:
    """Parameters as ptflops writes them: "25.56 M", or without a unit "25.56 k"."""
    if units is None:
        scales = {"M": 10**6, "k": 10**3}
        unit = next((unit for unit, scale in scales.items() if params_num >= scale), "")
        return f"{round(params_num / scales[unit], precision)} {unit}" if unit else str(params_num)
    return f"{round(params_num / _PARAM_UNITS[units], precision)} {units}" if units in _PARAM_UNITS else str(params_num)
