"""Module + input -> how much of the clip a unit of each layer sees, frames × height × width.

The field is that of the unit in the middle of a layer's output, the largest over all channels; units at the border see
the same, less what lies outside the clip. It counts the taps of convolutions and pools, dilation and padding included,
so it may exceed the clip; where attention, global pooling or a fully connected layer takes in every position of an
axis, that axis is global. Where an operator's dependences are not known, the field is unknown from there on, and the
operator is named. Zeros in weights and in attention masks are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from ..core.errors import InputError
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import plural, times
from ..tracing import TURN, module_of, trace
from ..tracing.arguments import Input, arguments_of
from ..tracing.input_dependence import AXES, DependenceMode, InputDependence, Lost, Seen
from ..tracing.intervals import FAR, Intervals

__all__ = ["Field", "Fields", "FieldsByModule", "receptive_field"]


@dataclass(frozen=True, slots=True)
class Field:
    """What a unit sees: positions along each axis, None where that is the whole axis whatever its length.

    `clip` has the axes' own lengths: T, H, W, or H and W for images. `lost` is empty, or names the operator that made
    the field unknown.
    """

    sizes: tuple[int | None, ...]
    clip: tuple[int, ...]
    lost: str = ""

    @property
    def is_global(self) -> bool:
        """Whether every position of the clip is seen, by something other than windows."""
        return not self.lost and all(size is None for size in self.sizes)

    def __str__(self) -> str:
        if self.lost:
            return "unknown"
        if self.is_global:
            return "global"
        return times(self._shown())

    def data(self) -> dict[str, Any]:
        """For JSON: positions by axis (all of the clip's where global), and which axes are global."""
        if self.lost:
            return {"unknown_since": self.lost}
        axes = AXES[-len(self.clip) :]
        whole = [axis for axis, size in zip(axes, self.sizes, strict=True) if size is None]
        return dict(zip(axes, self._shown(), strict=True)) | {"global": whole}

    def _shown(self) -> tuple[int, ...]:
        return tuple(whole if size is None else size for size, whole in zip(self.sizes, self.clip, strict=True))


Fields: TypeAlias = Mapping[str, tuple[Field, ...]]
"""The distinct fields of each module's output by its path ("" is the root)."""


class FieldsByModule(Mapping[str, tuple[Field, ...]], ShownAsTable):
    """The distinct receptive fields of each module's outputs by its path, computed when they are first read.

    `report.receptive_field` was a mapping before it was a method, and serves as both.
    """

    def __init__(self, find: Callable[[], Fields]) -> None:
        self._find: Callable[[], Fields] | None = find
        self._found: Fields = {}

    @property
    def _fields(self) -> Fields:
        if self._find is not None:
            self._found, self._find = self._find(), None  # which releases the module
        return self._found

    def __call__(self) -> FieldsByModule:
        """The same mapping, computed now.

        Raises:
            InputError: no input has height and width, or the report has no module.
        """
        len(self._fields)
        return self

    def __getitem__(self, path: str) -> tuple[Field, ...]:
        return self._fields[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return dict(self) == dict(other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def _headline(self) -> str:
        if self._find is not None:
            return "not computed yet: read a layer, or call it"
        whole = ", ".join(map(str, self._found.get("", ())))
        return f"of {plural(len(self._found), 'layer')}" + f"; output: {whole}" * bool(whole)

    def table(self) -> Table:
        """What each layer sees, in the order of the calls; computed now where it was not.

        Raises:
            InputError: as for a call.
        """
        rows = tuple((path or "(the model itself)", " and ".join(map(str, seen))) for path, seen in self.items())
        return Table("receptive fields", (Column("layer", "text"), Column("sees", "text")), rows, None)

    def __reduce__(self) -> Any:
        return _fields_found, (dict(self._fields),)


def _fields_found(fields: dict[str, tuple[Field, ...]]) -> FieldsByModule:
    return FieldsByModule(lambda: fields)


def receptive_field(module: Callable[..., Any], input: Input) -> dict[str, tuple[Field, ...]]:
    """The distinct fields of each module's output by its path ("" is the root), in the order of its calls.

    Arguments:
        module: any nn.Module; it is untouched, and nothing is computed.
        input: as `count_flops` takes it; images (B, C, H, W) or clips (B, C, T, H, W). Of several pathways the one with
            the most frames is the clip, and the others sample it evenly.

    Raises:
        InputError: no input has height and width.
    """
    fields: dict[str, tuple[Field, ...]] = {}
    mode = follow(module, input)
    for output in mode.outputs:
        field = _field(output, mode.lengths)
        if field is not None and field not in fields.get(output.module, ()):
            fields[output.module] = (*fields.get(output.module, ()), field)
    return fields


def follow(module: Callable[..., Any], input: Input) -> DependenceMode:
    """What everything depends on in one forward pass."""
    modes: list[DependenceMode] = []

    def watch(path: Any, inputs: Any) -> DependenceMode:
        modes.append(DependenceMode(path, inputs))
        return modes[-1]

    with TURN:
        module = module_of(module, input)
        args, kwargs = arguments_of(input, module)
        trace(module, args, kwargs, watch=watch)
    mode = modes[-1]  # that of the engine that succeeded
    if not mode.axes:
        fix = "give an input of shape (B, C, T, H, W) or (B, C, H, W)"
        raise InputError("no input has height and width, so there is no receptive field", [("fix", fix)])
    return mode


def _field(output: Seen, clip: tuple[int, ...]) -> Field | None:
    """The largest field over the outputs of a call; None where no output depends on the input."""
    lost = next((state for state in output.states if isinstance(state, Lost)), None)
    if lost is not None:
        return Field((), clip, f"{lost.op} in {lost.module or 'the model itself'}")
    by_state = [
        [_size(reach) for reach in middle(state)] for state in output.states if isinstance(state, InputDependence)
    ]
    if not by_state:
        return None
    return Field(tuple(None if None in sizes else max(sizes) for sizes in zip(*by_state, strict=True)), clip)


def middle(lineage: InputDependence) -> list[Intervals]:
    """The unit in the middle of every axis of the tensor along which one axis of the clip is laid out."""
    counts = [sum(map(bool, jumps)) for jumps in zip(*(reach.jumps for reach in lineage.reaches), strict=True)]

    def cut(x: Tensor) -> Tensor:
        for axis, count in enumerate(counts):
            if count == 1:
                x = x.narrow(axis, x.shape[axis] // 2, 1)
        return x

    return [reach.map(cut) for reach in lineage.reaches]


def _size(reach: Intervals) -> int | None:
    """Positions seen, 0 where the tensor does not depend on the input; None for all.

    The largest over channels counts; where several axes of the clip are merged into one, as in tokens, the median does.
    """
    sizes = 1 - (reach.low + reach.minus_high)
    tokens = [axis for axis, jump in enumerate(reach.jumps) if jump]
    largest = sizes.amax([axis for axis in range(sizes.ndim) if axis not in tokens]) if sizes.ndim else sizes
    size = int(largest.median())
    return None if size > FAR else max(size, 0)
