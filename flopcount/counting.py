"""The straight line in one place: module + input -> trace -> ops -> cost -> Report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ._version import __version__
from .clip import Clip, Views
from .costing import cost
from .errors import FlopcountError, InputError, UncostedError
from .models import Recipe, recipe_of
from .models.loading import find_model
from .ops import CostedOp, Kind, TensorSpec, Trace
from .report import ModuleInfo, Report, ReportInput
from .tracing import TURN, lightest, trace
from .tracing.guard.preserve import uncollected
from .tracing.inputs import Input, arguments_of, specs_of
from .tracing.walk import Inventory

if TYPE_CHECKING:
    from .training.plan import Plan
    from .training.step import Training

__all__ = ["count_flops", "count_model", "input_of"]


def count_flops(
    module: nn.Module,
    input: Input,
    *,
    views: str | int | tuple[int, int] | Views | None = None,
    stride: int | None = None,
    fps: float | None = None,
    batch: int | None = None,
    strict: bool = False,
    engine: str = "auto",
    fast: bool = True,
    symbolic: str | Sequence[str] | None = None,
    layout: str | Sequence[str] | None = None,
    mode: str = "forward",
    optimizer: str | None = None,
    freeze: str | Sequence[str] = (),
    dataflow: bool = False,
    receptive_field: bool = False,
) -> Report:
    """What one forward pass of `module` on `input` costs; nothing is computed and the module is untouched.

    Arguments:
        module: any nn.Module, on any device, the meta device included.
        input: a tensor; a shape with batch such as (1, 3, 16, 112, 112); a TensorSpec(shape, dtype); a tuple of
            arguments; a list where the model takes one; a dict of keyword arguments. Shapes may stand for tensors.
        views: the testing protocol, "10x3" or (10, 3) for 10 clips of 3 crops, 10 for 10 clips.
        stride: every how many frames the clip was sampled; 1 unless the model says otherwise.
        fps: frames per second of the video; adds the cost of a second of video.
        batch: samples in the input, where that is not the first size of the first tensor.
        strict: raise where an operator has no rule instead of listing it.
        engine: "auto", "meta", "fake" or "real".
        fast: look up what earlier calls worked out, and work shapes out ourselves where we can; the result is the same
            without, where torch's meta kernels answer every single call.
        symbolic: axes of the input such as "THW", of which `report.formula()` is to be a function.
        layout: what the axes of the input are called, where that is not "BCTHW" or "BCHW"; as `closed_form`.
        mode: "forward", or "train" to count a training step too: loss, backward and optimizer, in `report.training`.
            A module in eval mode is put into training mode for that, and is as before afterwards.
        optimizer: "sgd" (momentum 0.9), "adam" or "adamw", whose step is then counted; with mode="train".
        freeze: globs of parameters or layers to freeze, such as "cnn.*", besides those without `requires_grad`.
        dataflow: follow the data too, which `report.span` and `report.memory` need.
        receptive_field: find out too what each layer sees of the clip, for `report.receptive_field` and its tables.

    Raises:
        InputError: an input that is none of the above, or a module that raises on it (ForwardError, with the layer).
        UncostedError: `strict`, and an operator without a rule.
        TraceError: the module needs weights or values that it was not given.
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            f"count_flops takes a torch.nn.Module, not a {type(module).__name__}",
            [("fix", "wrap a function in a module, build a class first, and of an exported program count .module()")],
        )
    plan = _plan(mode, optimizer, freeze)
    with TURN, plan.applied(module) if plan else nullcontext():
        args, kwargs = arguments_of(input, module)
        sampling = stride, fps, batch
        report = _forward(module, args, kwargs, engine, fast, dataflow, Views.parse(views), sampling)
        if plan:
            report = replace(report, training=_training(report, module, args, kwargs, plan, engine, fast))
    if symbolic is not None:
        from .symbolic import closed_form

        report = replace(report, closed_form=closed_form(module, input, symbolic, layout=layout))
    if receptive_field:
        from .fields import receptive_field as fields_of

        report = replace(report, receptive_field=fields_of(module, input))
    if strict:
        _refuse_uncosted(report.training.step.ops if report.training else report.ops)
    return report


@uncollected()
def _forward(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    engine: str,
    fast: bool,
    dataflow: bool,
    views: Views,
    sampling: tuple[int | None, float | None, int | None],
) -> Report:
    """The straight line: trace, cost, report."""
    owned = Inventory.of(module)
    traced = trace(module, args, kwargs, engine=engine, fast=fast, dataflow=dataflow, owned=owned)
    ops = cost(traced.ops, fast=fast)
    tree = module_tree(owned, traced.settled)
    recipe = recipe_of(module)
    return Report(
        model=recipe.name if recipe else type(module).__name__,
        departures=recipe.departures if recipe else (),
        input=_report_input(specs_of(args, kwargs), recipe, *sampling),
        views=views,
        ops=ops,
        tree=tree,
        calls=traced.calls,
        params=sum(info.params for info in tree),
        trainable_params=sum(info.trainable_params for info in tree),
        engine=traced.engine,
        versions={"flopcount": __version__, "torch": torch.__version__},
        dataflow=traced.dataflow,
        saving=_saving(module, args, kwargs, fast) if dataflow else "",
    )


def _plan(mode: str, optimizer: str | None, freeze: str | Sequence[str]) -> Plan | None:
    """What is asked of training; where nothing is, nothing of it is loaded."""
    if mode == "forward" and optimizer is None and not freeze:
        return None
    from .training.plan import Plan

    return Plan.of(mode, optimizer, freeze)


def _training(
    report: Report,
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    plan: Plan,
    engine: str,
    fast: bool,
) -> Training:
    """The training step of a module that is set up for it, on what its forward was counted on."""
    from .tracing.training import trace_training
    from .training.step import training_of

    recipe = recipe_of(module)
    streams = recipe.streams if recipe else ()
    step = trace_training(module, args, kwargs, batch=report.input.batch, streams=streams, engine=engine, fast=fast)
    return training_of(report, step, plan, streams, fast=fast)


def _saving(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], fast: bool) -> Trace | str:
    """The forward pass of a training step, or why it cannot be followed, as for batch normalisation of one value."""
    try:
        return trace(module, args, kwargs, fast=fast, dataflow=True, saving=True)
    except FlopcountError as error:
        return error.message


def module_tree(owned: Inventory, settled: Mapping[str, int] = MappingProxyType({})) -> tuple[ModuleInfo, ...]:
    """Every module once, under its first name; a shared parameter belongs to the first module that has it.

    `settled` has the sizes of lazy parameters, which are not the module's own to tell.
    """
    sizes = {id(p): (p.numel(), p.requires_grad) for p in owned.parameters if id(p) not in owned.lazy}
    if owned.lazy:
        sizes |= _settled_sizes(owned, settled)
    tree = []
    for path, part in owned.modules:
        params = trainable = 0
        for parameter in part._parameters.values():
            size, wanted = sizes.pop(id(parameter), _NOT_AGAIN)
            params += size
            trainable += size if wanted else 0
        tree.append(ModuleInfo(path, type(part).__name__, params, trainable))
    return tuple(tree)


_NOT_AGAIN = (0, False)  # a parameter that another module has had before


def _settled_sizes(owned: Inventory, settled: Mapping[str, int]) -> dict[int, tuple[int, bool]]:
    """Elements of every lazy parameter, and whether it is trained, by identity."""
    sizes: dict[int, tuple[int, bool]] = {}
    for path, part in owned.modules:
        for name, parameter in part._parameters.items():
            if parameter is not None and id(parameter) in owned.lazy and id(parameter) not in sizes:
                full = f"{path}.{name}".lstrip(".")
                if full not in settled:
                    why = f"lazy parameter {full} has no size, since this input never reaches it"
                    raise InputError(why, [("fix", "run it once on an input first, or leave it out")])
                sizes[id(parameter)] = settled[full], parameter.requires_grad
    return sizes


def _report_input(
    specs: Sequence[TensorSpec], recipe: Recipe | None, stride: int | None, fps: float | None, batch: int | None
) -> ReportInput:
    first = next((spec for spec in specs if spec.is_floating), specs[0] if specs else None)
    given = batch if batch is not None else first.shape[0] if first is not None and first.ndim else 1
    for name, value in (("stride", stride), ("batch", given)):
        if value is not None and (not isinstance(value, int) or value <= 0):
            raise InputError(f"{name} is {value!r}", [("fix", f"give a {name} above 0, a whole number")])
    if fps is not None and (not isinstance(fps, (int, float)) or not 0 < fps < inf):
        raise InputError(f"fps is {fps!r}", [("fix", "give an fps above 0")])
    clips = [clip for spec in specs if spec.is_floating and (clip := _clip_of(spec))]
    return ReportInput(
        clip=max(clips, key=lambda clip: clip.frames) if clips else recipe.clip if recipe else None,
        stride=stride if stride is not None else recipe.stride if recipe else 1,
        fps=fps,
        shapes=tuple(spec.shape for spec in specs),
        batch=given,
        dtype=first.dtype if first is not None else "",
    )


_COLOURS = (1, 2, 3, 4)


def _clip_of(spec: TensorSpec) -> Clip | None:
    """T×H×W of a (B, C, T, H, W) input, or of (B, T, C, H, W) where only that axis can be colours.

    Of several pathways the one with the most frames is the clip, the others sample it.
    """
    if spec.ndim != 5:
        return None
    _, channels, frames, height, width = spec.shape
    if channels not in _COLOURS and frames in _COLOURS:
        frames = channels
    return Clip(frames, height, width)


def _refuse_uncosted(ops: Iterable[CostedOp]) -> None:
    missing: dict[str, list[CostedOp]] = {}
    for costed in ops:
        if costed.kind is Kind.UNCOSTED:
            missing.setdefault(costed.name, []).append(costed)
    if not missing:
        return
    details = []
    for name, found in missing.items():
        first = found[0].op
        details.append(("in", f"{first.module or 'the model itself'}, first of {len(found)}: {first.signature}"))
        details.append(("fix", f'add @rule("{name}") or count without strict to list it as uncosted'))
    calls = sum(map(len, missing.values()))
    raise UncostedError(f"no cost rule for {', '.join(missing)} ({calls} call{'s' * (calls > 1)})", details)


def count_model(
    name: str,
    *,
    clip: Clip | None = None,
    batch: int = 1,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    inputs: Sequence[tuple[str, TensorSpec]] = (),
    dtype: str | None = None,
    views: Views | None = None,
    stride: int | None = None,
    fps: float | None = None,
    strict: bool = False,
    mode: str = "forward",
    optimizer: str | None = None,
    freeze: str | Sequence[str] = (),
    dataflow: bool = False,
    receptive_field: bool = False,
    max_params: int | None = None,
) -> Report:
    """Count a model by name: what `flopcount model` calls.

    The model is built without weights; only where it cannot run without them it is built for real.

    Arguments:
        name: of the zoo, "package.module:callable" or "file.py:callable".
        clip: T×H×W; the zoo's own where not given. The input is (batch, 3, T, H, W).
        batch: clips in one pass.
        num_classes: for the model's builder.
        options: further arguments for the model's builder.
        inputs: (name, spec) pairs instead of a clip, for models that take something else; an empty name is positional.
        dtype: of the model and its floating-point inputs, such as "bfloat16".
        views: as count_flops.
        stride: as count_flops.
        fps: as count_flops.
        strict: as count_flops.
        mode: as count_flops.
        optimizer: as count_flops.
        freeze: as count_flops.
        dataflow: as count_flops.
        receptive_field: as count_flops.
        max_params: parameters beyond which a model that cannot run without its weights is not built with them.

    Raises:
        FlopcountError: as `find_model` and `count_flops`.
    """
    if batch < 1:
        raise InputError(f"batch is {batch}", [("fix", "give at least one clip")])

    bare = find_model(name, clip=clip, num_classes=num_classes, options=options)

    def build() -> nn.Module:
        module = bare()
        module.eval()  # what a network costs is what it costs to use
        return module.to(getattr(torch, dtype)) if dtype else module

    def count(module: nn.Module) -> Report:
        given = input_of(module, name, clip, batch, inputs)
        protocol: dict[str, Any] = {"views": views, "stride": stride, "fps": fps}
        training: dict[str, Any] = {"mode": mode, "optimizer": optimizer, "freeze": freeze}
        further: dict[str, Any] = {"dataflow": dataflow, "receptive_field": receptive_field}
        return count_flops(module, given, strict=strict, **protocol, **training, **further)

    return lightest(build, count, max_params=max_params)


def input_of(
    module: nn.Module, name: str, clip: Clip | None, batch: int, inputs: Sequence[tuple[str, TensorSpec]]
) -> Input:
    """What a model built by name is given: the inputs named, else what its recipe says, else one clip.

    Raises:
        InputError: neither is known.
    """
    if inputs:
        keywords = {key: spec for key, spec in inputs if key}
        positional = tuple(spec for key, spec in inputs if not key)
        if keywords and positional:
            raise InputError("inputs with and without a name do not mix", [("fix", "name them all, or none")])
        return keywords or positional
    recipe = recipe_of(module)
    if recipe is not None:
        return recipe.inputs(module, batch) if callable(recipe.inputs) else _batched(recipe.inputs, batch)
    if clip is None:
        raise InputError(
            f"{name} does not say what it takes", [("fix", "give --clip 16x112x112 or --input NAME:SHAPE:DTYPE")]
        )
    return (batch, 3, *clip.sizes)


def _batched(inputs: Any, batch: int) -> Input:
    """Every shape among the inputs with the batch in front."""
    if isinstance(inputs, dict):
        return {name: _batched(value, batch) for name, value in inputs.items()}
    if isinstance(inputs, TensorSpec):
        return TensorSpec((batch, *inputs.shape), inputs.dtype)
    if isinstance(inputs, tuple) and all(isinstance(size, int) for size in inputs):
        return (batch, *inputs)
    return type(inputs)(_batched(value, batch) for value in inputs)
