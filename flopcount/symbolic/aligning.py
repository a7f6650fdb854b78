"""The same operator at several clips, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.ops import Signature, TensorSpec
from .observing import Entry

__all__ = ["AlignedOp", "aligned", "numbers", "with_numbers"]


@dataclass(frozen=True, slots=True)
class AlignedOp:
    """One operator (or parameter) of one module: its signature, amount and number of calls at each clip."""

    module: str
    name: str
    signatures: tuple[Signature, ...]
    amounts: tuple[int, ...]
    times: tuple[int, ...]


def aligned(seen: Sequence[Sequence[Entry]], quantity: int) -> list[AlignedOp] | None:
    """One column for each operator with an amount of the quantity; None if the clips run different operators.

    A loop over frames repeats its calls, and more often on a longer clip; then equal calls are one column.
    """
    rows = [[(entry, 1) for entry in entries if entry.amounts[quantity]] for entries in seen]
    if not _alike(rows):
        rows = [_counted(row) for row in rows]
        if not _alike(rows):
            return None
    return [
        AlignedOp(
            module=column[0][0].module,
            name=column[0][0].name,
            signatures=tuple(entry.signature for entry, _ in column),
            amounts=tuple(entry.amounts[quantity] for entry, _ in column),
            times=tuple(times for _, times in column),
        )
        for column in zip(*rows, strict=True)
    ]


def _alike(rows: Sequence[Sequence[tuple[Entry, int]]]) -> bool:
    return len({tuple((entry.module, entry.name) for entry, _ in row) for row in rows}) == 1


def _counted(row: Sequence[tuple[Entry, int]]) -> list[tuple[Entry, int]]:
    groups: dict[Any, list[Entry]] = {}
    for entry, _ in row:
        shapes = entry.signature.inputs, entry.signature.outputs
        groups.setdefault((entry.module, entry.name, shapes), []).append(entry)
    return [(group[0], len(group)) for group in groups.values()]


def numbers(signature: Signature) -> list[int]:
    """Every whole number in a call: sizes of tensors and whole arguments, in order."""
    values: list[int] = []

    def note(number: int) -> int:
        values.append(number)
        return number

    _mapped((tuple(signature.arguments.values()), signature.outputs), note)
    return values


def with_numbers(signature: Signature, others: Sequence[int]) -> Signature:
    """The same call with other numbers in the same places."""
    rest = iter(others)
    values, outputs = _mapped((tuple(signature.arguments.values()), signature.outputs), lambda _: next(rest))
    arguments: Mapping[str, Any] = dict(zip(signature.arguments, values, strict=True))
    return Signature(signature.op, signature.overload, arguments, outputs, signature.is_view)


def _mapped(value: Any, function: Any) -> Any:
    if isinstance(value, TensorSpec):
        return TensorSpec(tuple(function(size) for size in value.shape), value.dtype)
    if isinstance(value, int) and not isinstance(value, bool):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, function) for item in value)
    return value
