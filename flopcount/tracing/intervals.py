"""Which input positions each element of a tensor can see, along one axis of the input, and how operators change them.

Intervals have, for every element, the first and the last input position that it depends on. The arrays have size 1
along every axis on which they do not vary, so a feature map needs few numbers. Positions outside of the input are kept
(padding taps are data of a longer video), so a field may exceed the clip. All functions here are pure; none knows an
operator's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .jump import NOWHERE, Jump

__all__ = [
    "FAR",
    "Intervals",
    "broadcast",
    "joined",
    "laid_out",
    "mixed_channels",
    "padded",
    "picked",
    "placed",
    "reduced",
    "reshaped",
    "running",
    "side_by_side",
    "viewed",
    "windowed",
]

FAR = 1 << 28
"""Beyond every position: from -FAR to FAR is the whole input, from FAR to -FAR nothing of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Intervals on one input axis of `length` positions: `low` is the first position, `minus_high` minus the last.

    The last is negated, so that the union of intervals is the minimum of both arrays. `jumps` says for each axis of the
    tensor how far apart neighbours are.
    """

    low: Tensor
    minus_high: Tensor
    jumps: tuple[Jump, ...]
    length: int

    def map(self, change: Callable[[Tensor], Tensor], jumps: Sequence[Jump] | None = None) -> Intervals:
        """Intervals with the same change to both ends."""
        return Intervals(
            change(self.low), change(self.minus_high), self.jumps if jumps is None else tuple(jumps), self.length
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays: 1 on axes on which they do not vary."""
        return tuple(self.low.shape)

    def nothing(self, ndim: int) -> Intervals:
        """What a constant sees."""
        empty = torch.full((1,) * ndim, FAR, dtype=torch.int32)
        return Intervals(empty, empty, (NOWHERE,) * ndim, self.length)


def laid_out(positions: Sequence[int] | None, axis: int, ndim: int, length: int, jump: int = 1) -> Intervals:
    """Each index of one axis of a tensor is one input position; with None, the input has no such axis."""
    if positions is None:
        zero = torch.zeros((1,) * ndim, dtype=torch.int32)
        return Intervals(zero, zero, (NOWHERE,) * ndim, length)
    sizes = [len(positions) if d == axis else 1 for d in range(ndim)]
    low = torch.tensor(positions, dtype=torch.int32).reshape(sizes)
    return Intervals(low, -low, tuple(Jump(jump) if d == axis else NOWHERE for d in range(ndim)), length)


def _along(jumps: Sequence[Jump], axis: int, jump: Jump) -> tuple[Jump, ...]:
    return tuple(jump if d == axis else j for d, j in enumerate(jumps))


def broadcast(reach: Intervals, ndim: int) -> Intervals:
    """Intervals with leading axes of size 1."""
    more = ndim - len(reach.shape)
    return (
        reach.map(lambda x: x.reshape((1,) * more + tuple(x.shape)), (NOWHERE,) * more + reach.jumps) if more else reach
    )


def joined(reaches: Sequence[Intervals], ndim: int) -> Intervals:
    """What an elementwise operation of several tensors sees."""
    first, *others = (broadcast(reach, ndim) for reach in reaches)
    for other in others:
        first = Intervals(
            torch.minimum(first.low, other.low),
            torch.minimum(first.minus_high, other.minus_high),
            tuple(map(max, first.jumps, other.jumps)),
            first.length,
        )
    return first


def _tight(reach: Intervals) -> Intervals:
    """Intervals with size 1 on axes on which they do not vary."""
    low, high = reach.low, reach.minus_high
    for axis, size in enumerate(low.shape):
        if size > 1 and all(bool((x == x.narrow(axis, 0, 1)).all()) for x in (low, high)):
            low, high = low.narrow(axis, 0, 1), high.narrow(axis, 0, 1)
    return Intervals(low, high, reach.jumps, reach.length)


def reduced(reach: Intervals, axes: Sequence[int]) -> Intervals:
    """Every element sees all that the elements along `axes` see together; the axes stay, with one index.

    If this is every position, the element sees the whole input, whatever its size.
    """
    axes = [axis % len(reach.shape) for axis in axes]
    if not axes:
        return reach
    sees_positions = any(reach.jumps[axis] for axis in axes)
    jumps = tuple(NOWHERE if axis in axes else jump for axis, jump in enumerate(reach.jumps))
    result = reach.map(lambda x: x.amin(axes, keepdim=True), jumps)
    return _whole(result) if sees_positions else result


def _whole(reach: Intervals) -> Intervals:
    covered = (reach.low <= 0) & (reach.minus_high <= 1 - reach.length)
    return reach.map(lambda x: torch.where(covered, torch.full_like(x, -FAR), x))


def running(reach: Intervals, axis: int) -> Intervals:
    """Every element sees what the elements up to it see, as in a recurrence or in causal attention."""
    axis %= len(reach.shape)
    if reach.shape[axis] == 1:
        return _whole(reach) if reach.jumps[axis] else reach
    return _whole(reach.map(lambda x: torch.cummin(x, axis).values))


def padded(reach: Intervals, axis: int, size: int, before: int, behind: int) -> Intervals:
    """Further positions at both ends of an axis of `size`, as in a longer input; negative numbers crop."""
    axis %= len(reach.shape)
    jump = reach.jumps[axis]
    if reach.shape[axis] == 1 and (not jump or not (before or behind)):
        return reach

    def extended(x: Tensor, sign: int) -> Tensor:
        x = x.expand([size if d == axis else n for d, n in enumerate(x.shape)])
        period = min(jump.elements, size)

        def beyond(k: int, towards: int) -> Tensor:
            """The k-th element beyond an end: that of the first or last period, moved by whole periods."""
            inside = x.narrow(axis, -k % period if towards < 0 else size - 1 - (-k % period), 1)
            return inside + sign * towards * jump.positions * -(-k // period)

        ahead = [beyond(k, -1) for k in range(max(before, 0), 0, -1)]
        after = [beyond(k, 1) for k in range(1, behind + 1)]
        longer = torch.cat([*ahead, x, *after], axis)
        return longer.narrow(axis, max(-before, 0), size + before + behind)

    return Intervals(extended(reach.low, 1), extended(reach.minus_high, -1), reach.jumps, reach.length)


def windowed(
    reach: Intervals, axis: int, size: int, out: int, kernel: int, stride: int, before: int, dilation: int = 1
) -> Intervals:
    """Windows of `kernel` taps along an axis of `size` elements, with `before` padding taps in front."""
    axis %= len(reach.shape)
    span = (kernel - 1) * dilation + 1
    behind = (out - 1) * stride + span - size - before
    reach = padded(reach, axis, size, before, behind)
    jumps = _along(reach.jumps, axis, reach.jumps[axis].strided(stride))
    if reach.shape[axis] == 1:
        return replace(reach, jumps=jumps)
    return reach.map(lambda x: x.unfold(axis, span, stride)[..., ::dilation].amin(-1), jumps)


def picked(reach: Intervals, axis: int, first: Sequence[int], last: Sequence[int] | None, jump: Jump) -> Intervals:
    """Element i sees what the elements `first[i]` to `last[i]` of an axis see; nothing if `last` is below `first`."""
    axis %= len(reach.shape)
    last = first if last is None else last
    jumps = _along(reach.jumps, axis, jump)
    if reach.shape[axis] == 1:
        return replace(reach, jumps=jumps)
    starts, ends = torch.tensor(first), torch.tensor(last)
    shape = [-1 if d == axis else 1 for d in range(len(reach.shape))]
    none = (ends < starts).reshape(shape)

    def pick(x: Tensor) -> Tensor:
        result = x.index_select(axis, starts.clamp(0, x.shape[axis] - 1))
        for step in range(1, int((ends - starts).max()) + 1):
            result = torch.minimum(result, x.index_select(axis, torch.minimum(starts + step, ends).clamp(min=0)))
        return torch.where(none, torch.full_like(result, FAR), result)

    return reach.map(pick, jumps)


def mixed_channels(reach: Intervals, axis: int, groups: int, out: int) -> Intervals:
    """Each output channel sees all input channels of its group."""
    if reach.shape[axis] == 1 or groups == 1:
        return reduced(reach, [axis])

    def mix(x: Tensor) -> Tensor:
        of_groups: Tensor = x.unflatten(axis, (groups, -1)).amin(axis + 1)
        return of_groups.repeat_interleave(out // groups, axis)

    return _tight(reach.map(mix, _along(reach.jumps, axis, NOWHERE)))


def side_by_side(reaches: Sequence[Intervals], sizes: Sequence[int], axis: int) -> Intervals:
    """Tensors concatenated along an axis, with `sizes` elements each."""
    axis %= len(reaches[0].shape)
    others = [max(s) for s in zip(*(reach.shape for reach in reaches), strict=True)]

    def laid(x: Tensor, size: int) -> Tensor:
        return x.expand([size if d == axis else n for d, n in enumerate(others)])

    ends = zip(reaches, sizes, strict=True)
    low, high = zip(*((laid(r.low, n), laid(r.minus_high, n)) for r, n in ends), strict=True)
    jumps = [max(js) for js in zip(*(reach.jumps for reach in reaches), strict=True)]
    result = _tight(Intervals(torch.cat(low, axis), torch.cat(high, axis), tuple(jumps), reaches[0].length))
    return result if any(jumps) else replace(result, jumps=_along(jumps, axis, Jump(_distance(result, axis))))


def _distance(reach: Intervals, axis: int) -> int:
    """The distance between the last positions of the first two elements of an axis, for concatenated frames."""
    if reach.shape[axis] == 1:
        return 0
    ends = [int(reach.minus_high.select(axis, i).flatten()[0]) for i in (0, 1)]
    return min(abs(ends[0] - ends[1]), reach.length) if max(map(abs, ends)) < FAR // 2 else 0


def _step(reach: Intervals, axis: int) -> int:
    """The distance between neighbours in the middle of an axis."""
    size = reach.shape[axis]
    if size == 1:
        return 0
    middle = reach.low
    for other, n in enumerate(reach.shape):
        if other != axis:
            middle = middle.narrow(other, n // 2, 1)
    at = max(size // 2 - 1, 0)
    first, second = (int(value) for value in middle.reshape(-1)[at : at + 2])
    return second - first if abs(second) < FAR and abs(first) < FAR else 0


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[range, range]]:
    """Axes of two shapes with the same number of elements, cut into the smallest pieces of equal numbers."""
    groups: list[tuple[range, range]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        start = i, j
        left = old[i] if i < len(old) else 1
        right = new[j] if j < len(new) else 1
        i, j = min(i + 1, len(old)), min(j + 1, len(new))
        while left != right:
            if left < right:
                left, i = left * old[i], i + 1
            else:
                right, j = right * new[j], j + 1
        if groups and start[1] == j:  # trailing axes of size 1 belong to the last piece
            start = groups[-1][0].start, groups.pop()[1].start
        groups.append((range(start[0], i), range(start[1], j)))
    return groups


def reshaped(reach: Intervals, old: Sequence[int], new: Sequence[int]) -> Intervals:
    """The same elements in another shape; axes that are neither merged nor split stay as they are."""
    groups = _groups(old, new)
    kept: list[int] = []  # the shape to expand to, then the one to reshape to: 1 on axes without variation
    wanted: list[int] = []
    for before, behind in groups:
        varies = any(reach.shape[axis] > 1 for axis in before)
        kept += [old[axis] if varies else 1 for axis in before]
        wanted += [new[axis] if varies else 1 for axis in behind]
    result = reach.map(lambda x: x.expand(kept).reshape(wanted), (NOWHERE,) * len(new))
    jumps: list[Jump] = [NOWHERE] * len(new)
    for before, behind in groups:
        for axis, jump in zip(behind, _regrouped(reach, result, before, behind), strict=True):
            jumps[axis] = jump
    return (
        _tight(replace(result, jumps=tuple(jumps)))
        if any(len(a) != len(b) for a, b in groups)
        else replace(result, jumps=tuple(jumps))
    )


def _regrouped(old: Intervals, new: Intervals, before: range, behind: range) -> list[Jump]:
    """The jumps of one piece of a reshape: unchanged, or read from the arrays."""
    if len(before) == len(behind) == 1:
        return [old.jumps[before[0]]]
    was = [old.jumps[axis] for axis in before if old.jumps[axis]]
    read: list[Jump] = [Jump(abs(_step(new, axis))) for axis in behind]
    if was and not any(read):  # one frame, or neighbours that share a frame
        places = [place for place, axis in enumerate(behind) if new.shape[axis] > 1] or [0]
        if len(behind):
            read[places[0]] = was[-1]
    return read


def viewed(reach: Intervals, shape: Sequence[int], view: Callable[[Tensor], Tensor]) -> Intervals:
    """Intervals after a view of torch (permute, slice, expand ...), which may reorder the axes."""

    def change(x: Tensor) -> Tensor:
        seen = view(x.expand(list(shape)))
        for axis, (size, stride) in enumerate(zip(seen.shape, seen.stride(), strict=True)):
            if size > 1 and stride == 0:
                seen = seen.narrow(axis, 0, 1)
        return seen

    return reach.map(change, _viewed_jumps(reach, shape, view))


_MARKS = (1_000_003, 1_000_033, 1_000_037, 1_000_039, 1_000_081, 1_000_099, 1_000_117, 1_000_121, 1_000_133)


def _viewed_jumps(reach: Intervals, shape: Sequence[int], view: Callable[[Tensor], Tensor]) -> list[Jump]:
    """The source axis of each axis of a view, from the strides of a tensor whose strides are primes."""
    marks = _MARKS[: len(shape)]
    seen = view(torch.empty_strided(list(shape), marks, device="meta"))
    jumps: list[Jump] = []
    for stride in seen.stride():
        origin = [axis for axis, mark in enumerate(marks) if stride % mark == 0 and stride]
        jumps.append(reach.jumps[origin[0]].strided(stride // marks[origin[0]]) if len(origin) == 1 else NOWHERE)
    return jumps


def placed(reach: Intervals, part: Intervals, shape: Sequence[int], view: Callable[[Tensor], Tensor]) -> Intervals:
    """`reach` after a write of `part` to a view of it."""
    whole = torch.zeros(1, dtype=torch.bool).expand(list(shape))
    touched = [n != m for n, m in zip(shape, view(whole).shape, strict=False)]
    if view(whole).ndim != len(shape):
        touched = [True] * len(shape)
    sizes = [n if t or r > 1 else 1 for n, t, r in zip(shape, touched, reach.shape, strict=True)]
    if view(whole).ndim == len(shape):
        sizes = [n if p > 1 else s for n, s, p in zip(shape, sizes, broadcast(part, len(shape)).shape, strict=True)]

    def write(into: Tensor, value: Tensor) -> Tensor:
        own = into.expand(sizes).clone()
        target = view(own.expand(list(shape)))
        for axis, (size, stride) in enumerate(zip(target.shape, target.stride(), strict=True)):
            if size > 1 and stride == 0:
                target = target.narrow(axis, 0, 1)
        target.copy_(value)
        return own

    jumps: tuple[Jump, ...] = reach.jumps
    if view(whole).ndim == len(shape):
        jumps = tuple(map(max, jumps, broadcast(part, len(shape)).jumps))
    result = _tight(
        Intervals(write(reach.low, part.low), write(reach.minus_high, part.minus_high), jumps, reach.length)
    )
    if not any(jumps):  # one frame is written at a time
        result = replace(result, jumps=tuple(Jump(_distance(result, axis)) for axis in range(len(shape))))
    return result
