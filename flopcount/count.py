"""The whole pipeline in one place: module + input -> trace -> ops -> cost -> Result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ._version import __version__
from .core.errors import FlopcountError, InputError, UncostedError
from .core.memo import anew
from .core.model_spec import ModelSpec
from .core.ops import CostedOp, Kind, TensorSpec, Trace
from .core.protocol import ONE_VIEW, Protocol, clip_among
from .core.result import ModuleInfo, Result, ResultInput
from .models import Recipe, recipe_of
from .models.by_name import with_model
from .rules.costing import cost
from .tracing import TURN, module_of, trace
from .tracing.arguments import Arguments, Input, settled
from .tracing.batch_axis import batch_of
from .tracing.guard.preserve import uncollected
from .tracing.holders import tensors_within
from .tracing.inputs import specs_of
from .tracing.spec_values import described_values
from .tracing.torch_private import class_name
from .tracing.walk import Inventory

if TYPE_CHECKING:
    from .tracing.losses import Asked

__all__ = ["count", "count_named", "refuse_uncosted"]


def count(
    module: Callable[..., Any],
    input: Input,
    protocol: Protocol = ONE_VIEW,
    *,
    strict: bool = False,
    engine: str = "auto",
    fast: bool = True,
    dataflow: bool = False,
    saving: bool = True,
    loss: Asked = None,
) -> Result:
    """What one forward pass of `module` on `input` costs, and nothing else; arguments as `count_flops`.

    With `dataflow` the result also has the data of every operation, and with `saving` besides a training step with its
    data, on this loss.

    Raises:
        InputError: the module cannot be called, the input is malformed, or the module raises on it (ForwardError, with
            the layer).
        UncostedError: an operator has no rule, and `strict` is set.
        TraceError: the module needs weights or values that the caller does not give.
    """
    with TURN, anew(not fast):
        module = module_of(module, input, engine)
        arguments = settled(input, module, engine)
        result = _forward(module, arguments, engine, (dataflow, dataflow and saving), protocol, loss)
    if strict:
        refuse_uncosted(result.ops)
    return result


def count_named(
    spec: ModelSpec,
    protocol: Protocol = ONE_VIEW,
    *,
    strict: bool = False,
    dataflow: bool = False,
    saving: bool = True,
    max_params: int | None = None,
) -> Result:
    """What one forward pass of a model by name costs; errors as `count_model`, `dataflow` and `saving` as `count`."""
    how = partial(count, strict=strict, dataflow=dataflow, saving=saving)
    return with_model(spec, protocol, how, max_params=max_params)


@uncollected()
def _forward(
    module: nn.Module,
    arguments: Arguments,
    engine: str,
    follow: tuple[bool, bool],
    protocol: Protocol,
    loss: Asked,
) -> Result:
    """The pipeline: trace, cost, result; `follow` says whether the data of a forward pass, and of a step, are."""
    dataflow, step = follow
    inventory, args, kwargs = Inventory.of(module), arguments.args, arguments.kwargs
    traced = trace(module, args, kwargs, engine=engine, dataflow=dataflow, owned=inventory)
    ops = cost(traced.ops)
    tree = module_tree(inventory, traced.settled, traced.made)
    recipe = recipe_of(module)
    specs = specs_of(tensors_within(args, kwargs))
    if protocol.batch is None:
        shapes, values = [spec.shape for spec in specs], (*args, *kwargs.values())
        batch = batch_of(shapes, values, traced.ops, inventory.modules, traced.calls)
        protocol = replace(protocol, batch=batch)
    return Result(
        model=recipe.name if recipe else tree[0].type,
        departures=recipe.departures if recipe else (),
        input=replace(_input_of_result(specs, recipe, protocol), values=described_values(args, kwargs)),
        views=protocol.views,
        ops=ops,
        tree=tree,
        calls=traced.calls,
        engine=traced.engine,
        versions={"flopcount": __version__, "torch": torch.__version__},
        dataflow=traced.dataflow,
        assumed=(*(recipe.assumed if recipe else ()), *arguments.assumed, *traced.assumed),
        used_elsewhere=traced.used,
        saving=_saving(module, args, kwargs, recipe, loss) if step else "",
    )


def _saving(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], recipe: Recipe | None, loss: Asked
) -> Trace | str:
    """A training step with its data, or why it cannot be followed, as for batch normalisation of one value."""
    from .tracing.step import trace_step  # here, since plain counting does not need it

    streams = recipe.streams if recipe and loss is None else ()
    try:
        return trace_step(module, args, kwargs, streams=streams, loss=loss)
    except FlopcountError as error:
        return error.message


def module_tree(
    inventory: Inventory, settled: Mapping[str, int] = MappingProxyType({}), made: Iterable[ModuleInfo] = ()
) -> tuple[ModuleInfo, ...]:
    """Every module once, under its first name; a shared parameter belongs to the first module that has it.

    `settled` has the sizes of lazy parameters, which the module itself does not know, and `made` the modules and
    parameters that its first forward pass makes.
    """
    sizes = {id(p): (p.numel(), p.requires_grad) for p in inventory.parameters if id(p) not in inventory.lazy}
    if inventory.lazy:
        sizes |= _settled_sizes(inventory, settled)
    tree = []
    for path, part in inventory.modules:
        if id(part) in inventory.wrappers:  # the module in it has the same name
            continue
        params = trainable = 0
        for parameter in part._parameters.values():
            size, requires_grad = sizes.pop(id(parameter), _NOT_AGAIN)
            params += size
            trainable += size if requires_grad else 0
        tree.append(ModuleInfo(path, class_name(part), params, trainable))
    for info in made:
        _add(tree, info)
    return tuple(tree)


def _add(tree: list[ModuleInfo], made: ModuleInfo) -> None:
    """Add parameters to their module, or a new module behind all others of its parent."""
    parent = made.path.rpartition(".")[0]
    within = f"{parent}." if parent else ""
    place = 0
    for index, info in enumerate(tree):
        if info.path == made.path:
            total = info.params + made.params, info.trainable_params + made.trainable_params
            tree[index] = ModuleInfo(info.path, info.type, *total)
            return
        if info.path == parent or info.path.startswith(within):
            place = index + 1
    tree.insert(place, made)


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
    in_pixels = recipe is None or recipe.in_pixels
    clip = clip_among(spec.shape for spec in specs if spec.is_floating) if in_pixels else None
    return ResultInput(
        clip=recipe.clip if clip is None and recipe else clip,
        stride=protocol.stride if protocol.stride is not None else recipe.stride if recipe else 1,
        fps=protocol.fps,
        shapes=tuple(spec.shape for spec in specs),
        batch=protocol.batch,
        dtype=first.dtype if first is not None else "",
    )


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
