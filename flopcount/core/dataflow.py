"""Which data each operation reads and writes, and how long memory lives: the nouns behind `span` and `memory`.

A storage is one piece of memory; tensors are regions of it, so that a view and an in-place write are the same data.
Storages have serial numbers, since torch reuses addresses. No tensor is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from .one_line import OneLine

__all__ = ["Access", "Dataflow", "Flow", "Role", "Storage", "region"]


class Role(Enum):
    """What a storage holds."""

    PARAMETER = "parameter"
    FROZEN = "frozen parameter"
    BUFFER = "buffer"
    INPUT = "input"
    CONSTANT = "constant"
    ACTIVATION = "activation"
    GRADIENT = "gradient of a parameter"


@dataclass(frozen=True, slots=True)
class Storage:
    """One piece of memory.

    `born` is the position of the op that made it (-1: it existed before), `died` that of the last op during which
    anything referred to it (None: it outlived the forward pass).
    """

    nbytes: int
    dtype: str
    role: Role
    born: int = -1
    died: int | None = None

    def lives(self, position: int) -> bool:
        """Whether it takes up memory while that op runs."""
        return self.born <= position and (self.died is None or position <= self.died)

    def outlives(self, length: int) -> bool:
        """Whether it is made by the first `length` ops and still there after them."""
        return self.born < length and (self.died is None or self.died >= length)


@dataclass(frozen=True, slots=True)
class Access:
    """A region of a storage, in bytes: where it begins, and (stride, size) of its axes, the longest stride first.

    Without axes it is the whole storage. Neighbouring axes merge into one where they are contiguous.
    """

    storage: int
    offset: int = 0
    axes: tuple[tuple[int, int], ...] = ()

    def overlaps(self, other: Access) -> bool:
        """Whether some byte may belong to both; in doubt the answer is yes."""
        if self.storage != other.storage:
            return False
        if not self.axes or not other.axes:
            return True
        if self.end <= other.offset or other.end <= self.offset:
            return False
        strides = sorted({stride for stride, _ in self.axes + other.axes}, reverse=True)
        ours, theirs = self._box(strides), other._box(strides)
        if ours is None or theirs is None:
            return True
        return all(
            begin < other_end and other_begin < end
            for (begin, end), (other_begin, other_end) in zip(ours, theirs, strict=True)
        )

    @property
    def end(self) -> int:
        """The first byte behind it; only for a region with axes."""
        return self.offset + sum(stride * (size - 1) for stride, size in self.axes) + 1

    def _box(self, strides: list[int]) -> list[tuple[int, int]] | None:
        """The region as an interval per stride, or None where an interval runs into the next longer stride."""
        sizes, rest, box = dict(self.axes), self.offset, []
        for stride in strides:
            begin, rest = divmod(rest, stride)
            box.append((begin, begin + sizes.get(stride, 1)))
        fits = all(
            end * stride <= longer for (longer, stride), (_, end) in zip(pairwise(strides), box[1:], strict=True)
        )
        return box if fits else None


def region(
    storage: int, nbytes: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int, itemsize: int
) -> Access:
    """The region of a tensor (strides and offset in elements) in a storage of `nbytes`."""
    axes: list[tuple[int, int]] = []
    steps = [(step * itemsize, size) for step, size in zip(stride, shape, strict=True) if size != 1 and step]
    for step, size in [*sorted(steps, reverse=True), (1, itemsize)]:
        if axes and axes[-1][0] == step * size:
            axes[-1] = (step, axes[-1][1] * size)
        else:
            axes.append((step, size))
    whole = offset == 0 and axes == [(1, nbytes)]
    return Access(storage) if whole else Access(storage, offset * itemsize, tuple(axes))


@dataclass(frozen=True, slots=True)
class Flow(OneLine):
    """The data of one op: what it reads, and what it writes, new or in place. A view neither reads nor writes.

    `copied` are the bytes of its inputs that torch's CPU kernel copies first, because their strides do not suit it;
    `channels_last` says that the first input of a convolution has its channels innermost; `lowered`, that autocast has
    a recurrent layer run in half precision, although its tensors are in float32; `scattered`, that a linear layer's
    input is not contiguous, so that torch adds the bias apart; and `gathered` are the bytes of it that torch
    copies first, if its rows are no single matrix.
    """

    reads: tuple[Access, ...] = ()
    writes: tuple[Access, ...] = ()
    copied: int = 0
    channels_last: bool = False
    lowered: bool = False
    scattered: bool = False
    gathered: int = 0


@dataclass(frozen=True, slots=True)
class Dataflow(OneLine):
    """The data of one forward pass: a Flow per op, in the order of the trace's ops, and every storage by its number.

    Of a whole training step, `forward` is the number of ops before the loss.
    """

    flows: tuple[Flow, ...]
    storages: tuple[Storage, ...]
    forward: int | None = None

    def _headline(self) -> str:
        return f"{len(self.flows):,} operations on {len(self.storages):,} storages"
