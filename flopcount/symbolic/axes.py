"""Named axes of a model's inputs: which sizes of which tensors are T, H, W or B, and inputs of other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError, UnknownNameError
from ..core.ops import TensorSpec
from ..tracing.holders import substituted, tensors_within
from ..tracing.inputs import specs_of, tensor_spec

__all__ = ["LAYOUTS", "SQUARE", "Axes", "layouts_of"]

LAYOUTS = {5: "BCTHW", 4: "BCHW"}
"""The default names of a tensor's axes, by rank."""
SQUARE = "S"
"""Height and width that vary together."""
_NAMELESS = "?"


@dataclass(frozen=True, slots=True)
class Axes:
    """The named axes of nested inputs (tensors or TensorSpecs), and their sizes as given.

    Where tensors differ along an axis (pathways of 8 and 32 frames), its size is the largest, and the other tensors
    keep their fractions of it.
    """

    names: tuple[str, ...]
    layouts: tuple[str, ...]
    inputs: Any

    @classmethod
    def of(
        cls, inputs: Any, names: str | Sequence[str] | None = None, layout: str | Sequence[str] | None = None
    ) -> Axes:
        """The axes of `inputs` called `names`; by default those of T, H and W that the inputs have.

        `layout` names the axes of every tensor ("BTCHW"), or of each (["BCTHW", "BCHW"]); a rank of 4 or 5 needs none.

        Raises:
            InputError: a layout does not fit a tensor.
            UnknownNameError: no layout has the name.
        """
        specs = specs_of(tensors_within(inputs))
        layouts = _layouts(specs, layout)
        if names is not None and SQUARE in names and SQUARE not in "".join(layouts):
            layouts = tuple(text.replace("H", SQUARE).replace("W", SQUARE) for text in layouts)
        letters = tuple(letter for letter in dict.fromkeys("".join(layouts)) if letter != _NAMELESS)
        if names is None:
            names = [name for name in "THW" if name in letters]
        for name in names:
            if name not in letters:
                fix = f"name some of {', '.join(letters)}, or give a layout" if letters else "give a layout"
                raise UnknownNameError("axis", name, letters, fix)
        if not names:
            raise InputError("no axis to vary", [("fix", "name some of T, H, W, B")])
        return cls(tuple(dict.fromkeys(names)), layouts, substituted(tensor_spec, inputs))

    @property
    def base(self) -> tuple[int, ...]:
        """The size of each axis as given."""
        return tuple(max(self._sizes(name)) for name in self.names)

    def __str__(self) -> str:
        """The shapes with the names of these axes: 1×3×T×H×W; a tensor with a fraction of an axis shows its size."""
        whole = dict(zip(self.names, self.base, strict=True))
        shapes = []
        for spec, layout in zip(specs_of(tensors_within(self.inputs)), self.layouts, strict=True):
            axes = zip(layout, spec.shape, strict=True)
            shapes.append("×".join(name if whole.get(name) == size else str(size) for name, size in axes))
        return ", ".join(shapes)

    def _sizes(self, name: str) -> list[int]:
        specs = specs_of(tensors_within(self.inputs))
        return [
            size
            for spec, layout in zip(specs, self.layouts, strict=True)
            for letter, size in zip(layout, spec.shape, strict=True)
            if letter == name
        ]

    def resized(self, sizes: tuple[int, ...]) -> Any:
        """The inputs with axes of these sizes.

        Raises:
            InputError: a tensor's fraction of an axis would not be a whole number.
        """
        new, layouts = dict(zip(self.names, sizes, strict=True)), iter(self.layouts)
        base = dict(zip(self.names, self.base, strict=True))

        def resize(value: Any) -> TensorSpec:
            spec = tensor_spec(value)
            shape = [_share(new, base, *axis) for axis in zip(next(layouts), spec.shape, strict=True)]
            return TensorSpec(tuple(shape), spec.dtype, spec.values)

        return substituted(resize, self.inputs)


def _share(new: Mapping[str, int], base: Mapping[str, int], letter: str, size: int) -> int:
    if letter not in new:
        return size
    share, rest = divmod(new[letter] * size, base[letter])
    if rest:
        raise InputError(
            f"{letter} = {new[letter]} does not fit an input that has size {size} at {letter} = {base[letter]}"
        )
    return share


def layouts_of(inputs: Mapping[str, Any], named: Mapping[str, str]) -> list[str]:
    """The names of the axes of all tensors among named inputs: those of `named`, and the default ones of others."""
    every = [(name, spec) for name, value in inputs.items() for spec in specs_of(tensors_within(value))]
    return [named.get(name, LAYOUTS.get(spec.ndim, _NAMELESS * spec.ndim)) for name, spec in every]


def _layouts(specs: Sequence[TensorSpec], layout: str | Sequence[str] | None) -> tuple[str, ...]:
    if layout is None:
        layouts = [LAYOUTS.get(spec.ndim, _NAMELESS * spec.ndim) for spec in specs]
    else:
        layouts = [layout] * len(specs) if isinstance(layout, str) else list(layout)
    fix = "give a letter for each axis, such as layout='BTCHW', or a list with one layout for each tensor"
    if len(layouts) != len(specs):
        raise InputError(f"{len(layouts)} layouts for {len(specs)} tensors", [("fix", fix)])
    for text, spec in zip(layouts, specs, strict=True):
        if len(text) != spec.ndim:
            raise InputError(f"layout {text!r} does not fit a tensor of shape {spec.shape}", [("fix", fix)])
    return tuple(layouts)
