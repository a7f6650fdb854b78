"""The cost of a module or of a model by name as a function of the clip, with its tables as methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from inspect import signature
from typing import Any, TypeAlias

from torch import nn

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.ops import TensorSpec
from ..core.protocol import Clip as VideoClip
from ..core.protocol import Protocol
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Table
from ..models import CARDS, recipe_of
from ..models.by_name import with_model
from ..tracing import module_of
from ..tracing.arguments import arguments_of
from ..tracing.torch_private import class_name
from .axes import layouts_of
from .derivation import derived
from .form import Form
from .form_tables import by_module, by_quantity, to_json
from .observing import of_model, of_module
from .sampling import Sampler

__all__ = ["ClosedForm", "closed_form", "closed_form_of", "form_of_model"]


Progress: TypeAlias = Callable[[str], None]


class ClosedForm(Form, ShownAsTable):
    """Cost of a model as exact polynomials of its clip, with tables; see `Form` for its attributes."""

    def table(self) -> Table:
        """One row per quantity."""
        return by_quantity(self)

    def by_module(self, quantity: str = "macs", depth: int = 2) -> Table:
        """One row per module down to `depth` (-1: all), each with its children."""
        return by_module(self, quantity, depth)

    def to_json(self) -> str:
        """Every polynomial, term by term, schema flopcount/form/1."""
        return to_json(self)


def closed_form(
    module: Callable[..., Any],
    input: Any,
    axes: str | Sequence[str] | None = None,
    *,
    layout: str | Sequence[str] | None = None,
    progress: Progress = lambda clip: None,
) -> ClosedForm:
    """The cost of one built module as a function of the axes of its input.

    Arguments:
        module: as for count_flops; it does not change.
        input: as for count_flops: the base clip, on which the module runs.
        axes: some of the letters of the layout, such as "THW" or "BTHW", and S for a square where H = W = S; by default
            those of T, H and W that the input has, or T and S if neither H nor W can vary alone.
        layout: the names of the axes of all tensors, or a list with those of each; by default "BCTHW" and "BCHW".
        progress: a function that is called with each clip that is traced.

    Raises:
        InputError: the input is malformed, as for count_flops, or the layout does not fit it.
        TraceError: the module needs weights or values that the caller does not give.
        UnknownNameError: the input does not have the axis.
    """
    module = module_of(module, input)
    recipe = recipe_of(module)
    if layout is None and recipe is not None and recipe.layouts:
        layout = layouts_of(_named(module, input), recipe.layouts)
    name = recipe.name if recipe else class_name(module)
    return _form(name, lambda names: Sampler(of_module(module, input, names, layout), progress), axes, rebuilt=False)


def _named(module: nn.Module, input: Any) -> dict[str, Any]:
    """The arguments of a module by the names that its `forward` gives them."""
    args, kwargs = arguments_of(input, module)
    return dict(zip(signature(module.forward).parameters, args, strict=False)) | kwargs


def closed_form_of(
    name: str,
    axes: str | Sequence[str] | None = None,
    *,
    clip: str | tuple[int, ...] | VideoClip | None = None,
    batch: int = 1,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    inputs: Sequence[tuple[str, TensorSpec]] = (),
    dtype: str | None = None,
    video: str | tuple[int, ...] | VideoClip | None = None,
    layout: str | Sequence[str] | None = None,
    rebuild: bool = False,
    progress: Progress = lambda clip: None,
) -> ClosedForm:
    """The cost of a model by name; arguments as `count_model` and `closed_form`.

    `rebuild` builds the model anew for each clip, so the form includes the parts that are sized to the clip (the first
    fully connected layer after a flattening, positions) and their parameters. Without it, the form is of one module,
    built for `clip`.

    Raises:
        FlopcountError: as `count_model` and `closed_form`.
    """
    spec = ModelSpec.of(
        name, clip=clip, num_classes=num_classes, options=options, inputs=inputs, dtype=dtype, video=video
    )
    return form_of_model(spec, axes, batch=batch, layout=layout, rebuild=rebuild, progress=progress)


def form_of_model(
    spec: ModelSpec,
    axes: str | Sequence[str] | None = None,
    *,
    batch: int | None = None,
    layout: str | Sequence[str] | None = None,
    rebuild: bool = False,
    progress: Progress = lambda clip: None,
) -> ClosedForm:
    """The same as `closed_form_of`, for a spec."""
    if not rebuild:
        return with_model(
            spec,
            Protocol(batch=batch),
            lambda module, input, _: closed_form(module, input, axes, layout=layout, progress=progress),
        )
    if spec.inputs or spec.video is not None or layout is not None:
        option = "--input" if spec.inputs else "--video" if spec.video is not None else "--layout"
        raise InputError("only a model that takes clips can be rebuilt for each clip", [("fix", f"leave {option} out")])
    begin = spec.clip or (CARDS[spec.name].clip if spec.name in CARDS else None)
    if begin is None:
        raise InputError(f"{spec.name} does not say which clip it takes", [("fix", "give --clip 16x112x112")])
    at_begin = replace(spec, clip=begin)
    return _form(
        spec.name, lambda names: Sampler(of_model(at_begin, begin, batch or 1, names), progress), axes, rebuilt=True
    )


def _form(
    name: str, sampled: Callable[[Any], Sampler], names: str | Sequence[str] | None, *, rebuilt: bool
) -> ClosedForm:
    form = derived(name, sampled, names, rebuilt=rebuilt)
    return ClosedForm(**{entry.name: getattr(form, entry.name) for entry in fields(form)})
