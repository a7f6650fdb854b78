"""What a model does at one clip: every operator with its cost and every parameter, or why it does not run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from torch import nn

from ..core.errors import FlopcountError, InputError, TraceError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.ops import CostedOp, Kind, Signature, TensorSpec
from ..core.protocol import Clip as VideoClip
from ..core.quantity import TABLE, Quantity, counted
from ..core.result import ModuleInfo
from ..models import CARDS
from ..models.by_name import input_of
from ..models.loading import find_model
from ..rules.costing import cost, costed_anew
from ..tracing import lightest, trace
from ..tracing.arguments import arguments_of
from ..tracing.walk import Inventory, named_modules
from .axes import SQUARE, Axes

__all__ = ["Clip", "Entry", "Observation", "Refused", "amounts", "of_model", "of_module", "quantities"]

_PARAMETER, _TRAINED = "parameter", "trained"


def quantities() -> tuple[str, ...]:
    """The quantities that have a form of their own: they are counted, and each layer shows them."""
    return tuple(quantity.name for quantity in counted() if quantity.of_layers)


@dataclass(frozen=True, slots=True)
class Entry:
    """One operator call, or one parameter (no kind), of one module, and its amount of each of `quantities`."""

    module: str
    name: str
    kind: Kind | None
    signature: Signature
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a model does not run on a clip, and the error that says so."""

    why: str
    error: FlopcountError


Clip: TypeAlias = tuple[int, ...]
"""Sizes of the named axes, in their order."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A model to observe: what it does at a clip, its axes, their base sizes, and its input as text.

    `assumed` collects the values that the counts had to invent.
    """

    observe: Callable[[Clip], tuple[Entry, ...] | Refused]
    names: tuple[str, ...]
    base: Clip
    input: str
    assumed: dict[str, None] = field(default_factory=dict)


def amounts(signature: Signature) -> tuple[int, ...]:
    """The amounts of `quantities`; symbols in the signature lead to symbols."""
    if signature.op == _PARAMETER:
        return _of_parameter(signature.arguments["self"].numel, signature.overload, _rows())
    return _amounts(costed_anew(signature), _rows())


def _rows() -> list[Quantity]:
    return [TABLE[name] for name in quantities()]


def _of_parameter(elements: int, overload: str, rows: Sequence[Quantity]) -> tuple[int, ...]:
    owner = ModuleInfo("", "", elements, elements if overload == _TRAINED else 0)
    return tuple([0 if row.of_module is None else row.of_module(owner) for row in rows])


def _amounts(costed: CostedOp, rows: Sequence[Quantity]) -> tuple[int, ...]:
    return tuple([0 if row.of_operator is None else row.of_operator(costed) for row in rows])


def of_module(module: nn.Module, inputs: Any, names: Any, layout: Any) -> Observation:
    """One built module on inputs of other sizes; its parameters stay the same."""
    args, kwargs = arguments_of(inputs, module)
    axes = Axes.of((args, kwargs), names, layout)
    if Inventory.of(module).lazy:
        why = "lazy parameters have no size yet, so there is no closed form"
        raise InputError(why, [("in", type(module).__name__), ("fix", "run it once on an input first")])
    parameters = tuple(_parameters(module))
    assumed: dict[str, None] = {}

    def observe(sizes: Clip) -> tuple[Entry, ...] | Refused:
        try:
            args, kwargs = axes.resized(sizes)
            return (*_operations(module, args, kwargs, assumed), *parameters)
        except FlopcountError as error:
            return _refused(error)

    return Observation(observe, axes.names, axes.base, str(axes), assumed)


def of_model(spec: ModelSpec, clip: VideoClip, batch: int, names: str | Sequence[str] | None) -> Observation:
    """A model by name, built anew for each clip; its axes are T, H, W and B, and S where H = W = S.

    A card may give the sizes of a clip other letters.
    """
    of_clip = CARDS[spec.name].clip_axes if spec.name in CARDS else "THW"
    whole = dict(zip(of_clip, clip.sizes, strict=True)) | {"B": batch}
    fix = f"name some of {', '.join(whole)}"
    if {"H", "W"} <= whole.keys():
        whole[SQUARE] = clip.height
        fix += f", or {SQUARE} for a square"
    axes = tuple(dict.fromkeys(of_clip if names is None else names))
    for axis in axes:
        if axis not in whole:
            raise UnknownNameError("axis", axis, list(whole), fix)
    if SQUARE in axes and clip.height != clip.width:
        raise InputError(f"clip {clip} is not square", [("fix", "name the axes H and W")])
    assumed: dict[str, None] = {}

    def observe(sizes: Clip) -> tuple[Entry, ...] | Refused:
        at = whole | dict(zip(axes, sizes, strict=True))
        if SQUARE in axes:
            at["H"] = at["W"] = at[SQUARE]
        try:
            rebuilt = replace(spec, clip=VideoClip(*(at[letter] for letter in of_clip)))
            return lightest(find_model(rebuilt), partial(_entries, spec=rebuilt, batch=at["B"], assumed=assumed))
        except FlopcountError as error:
            return _refused(error)

    sizes = {name: name if name in axes else str(size) for name, size in whole.items()}
    if SQUARE in axes:
        sizes["H"] = sizes["W"] = SQUARE
    clips = f"{sizes['B']} clips " if "B" in axes or batch > 1 else "clip "
    text = clips + "×".join(sizes[axis] for axis in of_clip)
    return Observation(observe, axes, tuple(whole[axis] for axis in axes), text, assumed)


def _entries(module: nn.Module, spec: ModelSpec, batch: int, assumed: dict[str, None]) -> tuple[Entry, ...]:
    """What a model by name does and owns."""
    args, kwargs = arguments_of(input_of(module, spec, batch), module)
    return (*_operations(module, args, kwargs, assumed), *_parameters(module))


def _operations(module: nn.Module, args: Any, kwargs: Any, assumed: dict[str, None]) -> Iterable[Entry]:
    """Every operation but views.

    Raises:
        TraceError: their sizes depend on numbers that a count draws at random, which are others for another clip.
    """
    rows = _rows()
    traced = trace(module, args, kwargs)
    if traced.by_chance:
        raise TraceError(
            f"no closed form: what {type(module).__name__} does depends on values, not on sizes alone",
            [*(("assumed", text) for text in traced.assumed), ("fix", "count each clip, with real weights and inputs")],
        )
    assumed.update(dict.fromkeys(traced.assumed))
    for costed in cost(traced.ops):
        if costed.kind is not Kind.VIEW:
            yield Entry(costed.op.module, costed.name, costed.kind, costed.op.signature, _amounts(costed, rows))


def _parameters(module: nn.Module) -> Iterable[Entry]:
    """Every parameter once, with the first module that has it."""
    seen: set[int] = set()
    rows = _rows()
    for path, part in named_modules(module):
        for name, parameter in part._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                spec = TensorSpec(tuple(parameter.shape), str(parameter.dtype))
                signature = Signature(_PARAMETER, _TRAINED if parameter.requires_grad else "", {"self": spec}, ())
                owned = _of_parameter(spec.numel, signature.overload, rows)
                yield Entry(path, name, None, signature, owned)


def _refused(error: FlopcountError) -> Refused:
    where = dict(error.details).get("in")
    why = f"{where}: {error.message}" if where and not isinstance(error, TraceError) else error.message
    return Refused(why, error)
