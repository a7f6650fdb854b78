"""The straight line in one place: module + input -> trace -> ops -> cost -> Report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ._version import __version__
from .clip import Clip, Views
from .costing import cost
from .errors import InputError, TraceError, UncostedError
from .models import Recipe, recipe_of
from .models.loading import find_model
from .ops import CostedOp, Kind, TensorSpec
from .report import ModuleInfo, Report, ReportInput, module_rows
from .tracing import TURN, trace, weightless
from .tracing.inputs import Input, arguments_of, specs_of
from .tracing.walk import named_modules
from .units import si

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
    with TURN:
        args, kwargs = arguments_of(input, module)
        traced = trace(module, args, kwargs, engine=engine, fast=fast)
    ops = cost(traced.ops, fast=fast)
    if strict:
        _refuse_uncosted(ops)
    tree = module_tree(module, traced.settled)
    recipe = recipe_of(module)
    return Report(
        model=recipe.name if recipe else type(module).__name__,
        departures=recipe.departures if recipe else (),
        input=_report_input(specs_of(args, kwargs), recipe, stride, fps, batch),
        views=Views.parse(views),
        ops=ops,
        modules=module_rows(tree, traced, ops),
        params=sum(info.params for info in tree),
        trainable_params=sum(info.trainable_params for info in tree),
        engine=traced.engine,
        versions={"flopcount": __version__, "torch": torch.__version__},
    )


def module_tree(module: nn.Module, settled: Mapping[str, int] = MappingProxyType({})) -> tuple[ModuleInfo, ...]:
    """Every module once, under its first name; a shared parameter belongs to the first module that has it.

    `settled` has the sizes of lazy parameters, which are not the module's own to tell.
    """
    seen: set[int] = set()
    tree = []
    for path, part in named_modules(module):
        params = trainable = 0
        for name, parameter in part._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                size = settled_size(f"{path}.{name}".lstrip("."), settled) if is_lazy(parameter) else parameter.numel()
                params += size
                trainable += size if parameter.requires_grad else 0
        tree.append(ModuleInfo(path, type(part).__name__, params, trainable))
    return tuple(tree)


def settled_size(name: str, settled: Mapping[str, int]) -> int:
    """Elements of a lazy parameter."""
    if name not in settled:
        fix = "run it once on an input first, or leave it out"
        raise InputError(f"lazy parameter {name} has no size, since this input never reaches it", [("fix", fix)])
    return settled[name]


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
    largest: int | None = None,
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
        largest: parameters beyond which a model that cannot run without its weights is not built with them.

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
        return count_flops(module, given, views=views, stride=stride, fps=fps, strict=strict)

    module = weightless(build)
    try:
        return count(module)
    except TraceError as error:
        size = sum(info.params for info in module_tree(module))
        if largest is not None and size > largest:
            details = [*error.details, ("seen", f"{si(size)} parameters, of which at most {si(largest)} are made")]
            raise TraceError(error.message, details) from error
        with torch.random.fork_rng(devices=[]):  # the weights may decide what is computed: the same ones every time
            torch.manual_seed(0)
            real = build()
        return count(real)


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
