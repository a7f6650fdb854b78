"""thop's `profile` and `clever_format`: multiply-accumulates and parameters as floats.

The numbers differ from thop's: work outside modules counts too (functional calls, `@`, attention, MultiheadAttention),
a parameter that is shared or outside leaf modules counts once, and normalisation, average pooling, softmax and
upsampling, which are not multiply-accumulates, do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ..report import Report
from ..tracing.arguments import Input
from .counted import Hook, counted_in_eval, inclusive_macs, tell_uncosted

__all__ = ["clever_format", "profile"]


def profile(
    model: nn.Module,
    inputs: Input,
    custom_ops: Mapping[type, Hook] | None = None,
    verbose: bool = True,
    ret_layer_info: bool = False,
    report_missing: bool = False,
) -> Any:
    """MACs and parameters of one forward pass in eval mode, as thop gives them.

    Arguments:
        model: any nn.Module; it is not run, and is the same afterwards.
        inputs: a tuple of arguments; shapes may stand for tensors.
        custom_ops: module type -> function(module, inputs, output) that adds to `module.total_ops`; it replaces the
            count of such modules, what is in them included. Inputs and output are meta tensors.
        verbose: print one line about the count.
        ret_layer_info: give a third result, {name: (macs, params, {...})} for every child.
        report_missing: without effect, since what is missing is always named in a warning.

    Returns:
        (macs, params), or (macs, params, layers), as floats.
    """
    report, amounts = counted_in_eval(
        model, inputs, custom_ops or {}, "total_ops", lambda: torch.zeros(1, dtype=torch.float64)
    )
    tell_uncosted(report, "profile")
    if verbose:
        print(f"[INFO] {report.sentence()}; counted by flopcount; nothing was run")
    macs = inclusive_macs(report, amounts)
    if ret_layer_info:
        return float(macs[""]), float(report.params), _layers(report, macs, "")
    return float(macs[""]), float(report.params)


def _layers(report: Report, macs: Mapping[str, float], parent: str) -> dict[str, Any]:
    """Each child with its MACs, its parameters and its own children."""
    return {
        row.path.rpartition(".")[2]: (float(macs[row.path]), float(row.params), _layers(report, macs, row.path))
        for row in report.modules
        if row.path and row.path.rpartition(".")[0] == parent
    }


_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))


def clever_format(nums: float | Iterable[float], format: str = "%.2f") -> str | tuple[str, ...]:
    """Numbers as thop writes them: `clever_format([4089184256.0, 25557032.0])` is ("4.09G", "25.56M")."""
    several = tuple(nums) if isinstance(nums, Iterable) else (nums,)
    texts = tuple(_written(number, format) for number in several)
    return texts[0] if len(texts) == 1 else texts


def _written(number: float, form: str) -> str:
    for scale, suffix in _SUFFIXES:
        if number > scale:
            return form % (number / scale) + suffix
    return form % number + "B"
