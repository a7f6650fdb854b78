"""The whole pipeline in one place: module + input -> trace -> ops -> cost -> Result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from ._version import __version__
from .core.errors import FlopcountError, InputError, UncostedError
from .core.memo import anew
from .core.model_spec import ModelSpec
from .core.ops import CostedOp, Kind, TensorSpec, Trace
from .core.protocol import ONE_VIEW, Clip, Protocol, layout_of
from .core.result import ModuleInfo, Result, ResultInput
from .models import Recipe, recipe_of
from .models.by_name import with_model
from .rules.costing import cost
from .tracing import TURN, trace
from .tracing.guard.preserve import uncollected
from .tracing.inputs import Input, arguments_of, specs_of
from .tracing.step import trace_step
from .tracing.walk import Inventory

__all__ = ["count", "count_named", "refuse_uncosted", "require_module"]


def count(
    module: nn.Module,
    input: Input,
    protocol: Protocol = ONE_VIEW,
    *,
    strict: bool = False,
    engine: str = "auto",
    fast: bool = True,
    dataflow: bool = False,
) -> Result:
    """What one forward pass of `module` on `input` costs, and nothing else; arguments as `count_flops`.

    With `dataflow` the result also has the data of every operation, and a training step with its data.

    Raises:
        InputError: the input is malformed, or the module raises on it (ForwardError, with the layer).
        UncostedError: an operator has no rule, and `strict` is set.
        TraceError: the module needs weights or values that the caller does not give.
    """
    require_module(module)
    with TURN, anew(not fast):
        args, kwargs = arguments_of(input, module)
        result = _forward(module, args, kwargs, engine, dataflow, protocol)
    if strict:
        refuse_uncosted(result.ops)
    return result


def count_named(
    spec: ModelSpec,
    protocol: Protocol = ONE_VIEW,
    *,
    strict: bool = False,
    dataflow: bool = False,
    max_params: int | None = None,
) -> Result:
    """What one forward pass of a model by name costs; errors as `count_model`, `dataflow` as `count`."""
    return with_model(spec, protocol, partial(count, strict=strict, dataflow=dataflow), max_params=max_params)


def require_module(module: object) -> None:
    """Refuse what is not a module.

    Raises:
        InputError: the object is not a torch.nn.Module.
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            f"count_flops takes a torch.nn.Module, not a {type(module).__name__}",
            [
                (
                    "fix",
                    "wrap a function in a module, instantiate a class, or count the .module() of an exported program",
                )
            ],
        )


@uncollected()
def _forward(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    engine: str,
    dataflow: bool,
    protocol: Protocol,
) -> Result:
    """The pipeline: trace, cost, result."""
    inventory = Inventory.of(module)
    traced = trace(module, args, kwargs, engine=engine, dataflow=dataflow, owned=inventory)
    ops = cost(traced.ops)
    tree = module_tree(inventory, traced.settled)
    recipe = recipe_of(module)
    return Result(
        model=recipe.name if recipe else type(module).__name__,
        departures=recipe.departures if recipe else (),
        input=_input_of_result(specs_of(args, kwargs), recipe, protocol),
        views=protocol.views,
        ops=ops,
        tree=tree,
        calls=traced.calls,
        engine=traced.engine,
        versions={"flopcount": __version__, "torch": torch.__version__},
        dataflow=traced.dataflow,
        assumed=traced.assumed,
        saving=_saving(module, args, kwargs) if dataflow else "",
    )


def _saving(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace | str:
    """A training step with its data, or why it cannot be followed, as for batch normalisation of one value."""
    try:
        return trace_step(module, args, kwargs)
    except FlopcountError as error:
        return error.message


def module_tree(inventory: Inventory, settled: Mapping[str, int] = MappingProxyType({})) -> tuple[ModuleInfo, ...]:
    """Every module once, under its first name; a shared parameter belongs to the first module that has it.

    `settled` has the sizes of lazy parameters, which the module itself does not know.
    """
    sizes = {id(p): (p.numel(), p.requires_grad) for p in inventory.parameters if id(p) not in inventory.lazy}
    if inventory.lazy:
        sizes |= _settled_sizes(inventory, settled)
    tree = []
    for path, part in inventory.modules:
        params = trainable = 0
        for parameter in part._parameters.values():
            size, requires_grad = sizes.pop(id(parameter), _NOT_AGAIN)
            params += size
            trainable += size if requires_grad else 0
        tree.append(ModuleInfo(path, type(part).__name__, params, trainable))
    return tuple(tree)


_NOT_AGAIN = (0, False)  # of a parameter that belongs to an earlier module


def _settled_sizes(inventory: Inventory, settled: Mapping[str, int]) -> dict[int, tuple[int, bool]]:
    """Elements of every lazy parameter, and whether it is trained, by identity."""
    sizes: dict[int, tuple[int, bool]] = {}
    for path, part in inventory.modules:
        for name, parameter in part._parameters.items():
            if parameter is not None and id(parameter) in inventory.lazy and id(parameter) not in sizes:
                full = f"{path}.{name}".lstrip(".")
                if full not in settled:
                    why = f"lazy parameter {full} has no size, because this input never reaches it"
                    raise InputError(
                        why, [("fix", "run its module once on an input first, or leave the parameter out")]
                    )
                sizes[id(parameter)] = settled[full], parameter.requires_grad
    return sizes


def _input_of_result(specs: Sequence[TensorSpec], recipe: Recipe | None, protocol: Protocol) -> ResultInput:
    first = next((spec for spec in specs if spec.is_floating), specs[0] if specs else None)
    if protocol.batch is None:
        protocol = replace(protocol, batch=first.shape[0] if first is not None and first.ndim else 1)
    clips = [clip for spec in specs if spec.is_floating and (clip := _clip_of(spec))]
    # of several pathways the one with the most frames is the clip, and the others sample it
    return ResultInput(
        clip=max(clips, key=lambda clip: clip.frames) if clips else recipe.clip if recipe else None,
        stride=protocol.stride if protocol.stride is not None else recipe.stride if recipe else 1,
        fps=protocol.fps,
        shapes=tuple(spec.shape for spec in specs),
        batch=protocol.batch or 1,
        dtype=first.dtype if first is not None else "",
    )


def _clip_of(spec: TensorSpec) -> Clip | None:
    """T×H×W of an input that is a clip."""
    sizes = dict(zip(layout_of(spec.shape), spec.shape, strict=True))
    return Clip(sizes["T"], sizes["H"], sizes["W"]) if "T" in sizes else None


def refuse_uncosted(ops: Iterable[CostedOp]) -> None:
    """Raise if an operator has no rule, and name its place.

    Raises:
        UncostedError: an operator has no rule.
    """
    missing: dict[str, list[CostedOp]] = {}
    for costed in ops:
        if costed.kind is Kind.UNCOSTED:
            missing.setdefault(costed.name, []).append(costed)
    if not missing:
        return
    details = []
    for name, calls_of in missing.items():
        first = calls_of[0].op
        details.append(("in", f"{first.module or 'the model itself'}, first of {len(calls_of)}: {first.signature}"))
        details.append(("fix", f'add @rule("{name}") or count without strict to list it as uncosted'))
    calls = sum(map(len, missing.values()))
    raise UncostedError(f"no cost rule for {', '.join(missing)} ({calls} call{'s' * (calls > 1)})", details)
