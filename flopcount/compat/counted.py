"""What these names have in common: a count in eval mode, cost hooks of the caller's, and a warning of what is missing.

A hook is what thop calls a custom op and ptflops a custom module hook: a function of a module, its inputs and its
output that adds to an attribute of the module. It is called for every call of such a module, on meta tensors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import nn

from ..core.wording import assumed_lines
from ..report import Report, count_flops
from ..tracing import module_of, trace
from ..tracing.arguments import Input, arguments_of

__all__ = ["Hook", "counted_in_eval", "inclusive_macs", "tell_uncosted"]

Hook: TypeAlias = Callable[[nn.Module, Any, Any], Any]


def counted_in_eval(
    model: nn.Module,
    input: Input,
    hooks: Mapping[type, Hook],
    attribute: str,
    zero: Callable[[], Any],
    *,
    training: bool = False,
) -> tuple[Report, dict[str, float]]:
    """The report of the model in eval mode, and by path what the hooks count for modules of their types.

    `attribute` is where a hook adds its count, `zero` what it starts from; `training` counts in training mode instead.
    """
    model = module_of(model, input)
    with _in_mode(model, training):
        report = count_flops(model, input)
        amounts: dict[str, float] = {}
        if hooks:
            parts = dict(model.named_modules())
            args, kwargs = arguments_of(report.counted.input if report.counted else input, model)
            for call in trace(model, args, kwargs).calls:
                hook = hooks.get(type(parts[call.module]))
                if hook is not None:
                    amount = _asked(hook, parts[call.module], call.inputs, call.outputs, attribute, zero())
                    amounts[call.module] = amounts.get(call.module, 0.0) + amount
    return report, amounts


def _asked(hook: Hook, part: nn.Module, inputs: Any, outputs: Any, attribute: str, zero: Any) -> float:
    """What a hook adds in one call; the module keeps no trace of it."""
    tensors = tuple(torch.empty(shape, device="meta") for shape in inputs)
    result = tuple(torch.empty(shape, device="meta") for shape in outputs)
    before = part.__dict__.copy()
    part.__dict__[attribute] = zero
    try:
        hook(part, tensors, result[0] if len(result) == 1 else result)
        return float(part.__dict__[attribute])
    finally:
        part.__dict__.clear()
        part.__dict__.update(before)


def inclusive_macs(report: Report, replaced: Mapping[str, float]) -> dict[str, float]:
    """MACs of every module with its children by path; where `replaced` names a module, its count replaces ours."""
    macs: dict[str, float] = {row.path: row.own.macs for row in report.modules}
    for row in reversed(report.modules):  # a module follows the one that contains it
        if row.path in replaced:
            macs[row.path] = replaced[row.path]
        if row.path:
            macs[row.path.rpartition(".")[0]] += macs[row.path]
    return macs


def tell_uncosted(report: Report, name: str) -> None:
    """Warn of operators without a rule and of invented values: these results have no place for what is missing."""
    for row in report.uncosted:
        places = ", ".join(place or "the model itself" for place in row.modules)
        warnings.warn(f"{name}: no cost rule for {row.op} ({row.calls} in {places}); not in the count", stacklevel=3)
    for line in assumed_lines(report.assumed):
        warnings.warn(f"{name}: {line}", stacklevel=3)


@contextmanager
def _in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """In eval mode, as these tools put a model, or in training mode; each module is put back as it was."""
    before = [(part, part.training) for part in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
