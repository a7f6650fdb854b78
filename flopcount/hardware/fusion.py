"""What torch.compile fuses: operators that only pass over data become one kernel, which reads and writes once.

Fusion follows the data. An operator joins the kernel that made what it reads if no contraction lies between any of its
inputs and that kernel, and if it passes over as many numbers, or over a whole fraction of them. A pool or an
interpolation reads its input from memory, and what follows joins it; a pool over whole channels is a reduction. What
several operators read is read once, region by region, and an output of the network is written whoever reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ..core.dataflow import Storage
from ..core.ops import CostedOp, Kind, tensors_in
from .kernels import Family, Kernel, OneRun, family_of, kernel_of_op, shared_out
from .moved import Moved, Part, region_bytes
from .precision import Cast, cast_of

__all__ = ["fused_kernels"]

_APART = (Kind.CONV, Kind.LINEAR, Kind.MATMUL, Kind.ATTENTION, Kind.RECURRENT, Kind.SORT, Kind.FFT, Kind.CUSTOM)
_FROM_MEMORY = (Kind.POOL, Kind.INTERPOLATE)


class _Group:
    """Operators of one kernel: their positions, how many contractions lie before them, and what they pass over."""

    def __init__(self, depth: int, numbers: float) -> None:
        self.depth, self.numbers = depth, numbers
        self.positions: list[int] = []
        self.joined: _Group | None = None

    def root(self) -> _Group:
        """The group that it is part of now."""
        group = self
        while group.joined is not None:
            group = group.joined
        return group


def fused_kernels(ops: Sequence[CostedOp], moved: Sequence[Moved | None], run: OneRun) -> Iterator[Kernel]:
    """The kernels of a compiled run, in the order of their first operators."""
    groups, makers = _groups(ops, moved)
    lowered = _only_lowered(ops, moved, groups, makers) if run.precision.autocast else set()
    done: set[int] = set()
    for position, (costed, data) in enumerate(zip(ops, moved, strict=True)):
        if data is None:
            continue
        group = groups[position]
        if group is None:
            reads = tuple(p._replace(width=2.0) if p.storage in lowered and p.width == 4 else p for p in data.reads)
            kernel = kernel_of_op(position, costed, data._replace(reads=reads), run)
            gradients = {part.storage for part in data.writes}
            cast = sum(
                n * (before + after)
                for s, n, before, after in data.casts
                if s >= 0 and (run.weights[s] or s in gradients)
            )
            yield kernel._replace(nbytes=kernel.nbytes + cast)
        elif id(group.root()) not in done:
            done.add(id(group.root()))
            yield _kernel(group.root(), ops, moved, makers, lowered, run)


_Makers = dict[int, list[tuple[int, list[int]]]]
"""Of each storage (position of the writer, positions of those that read what it wrote), in order."""


def _groups(ops: Sequence[CostedOp], moved: Sequence[Moved | None]) -> tuple[list[_Group | None], _Makers]:
    """The group of each operator, None for those that run apart; and who writes and who reads each storage."""
    groups: list[_Group | None] = []
    writer: dict[int, int] = {}  # storage -> the last operator that wrote it
    depths: list[int] = []
    makers: _Makers = {}
    for position, (costed, data) in enumerate(zip(ops, moved, strict=True)):
        group: _Group | None = None
        depth = 0
        if data is not None:
            sources = {writer[part.storage] for part in data.reads if part.storage in writer}
            for source in sources:
                apart = groups[source] is None
                depth = max(depth, depths[source] + apart)
            for part in data.reads:
                if part.storage in writer:
                    makers[part.storage][-1][1].append(position)
            if costed.kind in _FROM_MEMORY and not _reduces(costed):
                depth = max((depths[source] + 1 for source in sources), default=0)
            if costed.kind not in _APART:
                group = _joined(data, [groups[source] for source in sources], depth)
                group.positions.append(position)
            for part in data.writes:
                if part.storage < 0:  # nobody followed it, so nothing is known to depend on it
                    continue
                writer[part.storage] = position
                makers.setdefault(part.storage, []).append((position, []))
        groups.append(group)
        depths.append(depth)
    return groups, makers


def _reduces(costed: CostedOp) -> bool:
    """Whether it is a pool over whole channels, which reads what it reduces like a sum, and not window by window."""
    if costed.kind is not Kind.POOL or "adaptive" not in costed.name:
        return False
    source, result = costed.op.signature.inputs[0], tensors_in(costed.op.signature.outputs)[0]
    return source.numel > result.numel == prod(source.shape[: -_pooled_axes(costed.name)])


def _pooled_axes(name: str) -> int:
    return next((axes for axes in (1, 2, 3) if f"pool{axes}d" in name), 1)


def _joined(data: Moved, sources: Sequence[_Group | None], depth: int) -> _Group:
    """The group that an operator joins, with all that it joins together; or a new one."""
    numbers = max((part.numbers for part in (*data.reads, *data.writes)), default=1.0)
    mine = _Group(depth, numbers)
    for source in sources:
        group = source.root() if source is not None else None
        if group is None or group is mine or group.depth != depth or not _fits(mine.numbers, group.numbers):
            continue
        group.positions += mine.positions
        group.numbers = max(group.numbers, mine.numbers)
        mine.joined = group
        mine = group
    return mine


def _fits(a: float, b: float) -> bool:
    small, large = sorted((a, b))
    return small > 0 and large % small == 0


def _only_lowered(
    ops: Sequence[CostedOp], moved: Sequence[Moved | None], groups: Sequence[_Group | None], makers: _Makers
) -> set[int]:
    """Storages in float32 that others read only after a cast to half: a compiled kernel writes the half alone."""
    made = {storage for storage, written in makers.items() if len(written) >= 1}
    kept: set[int] = set()
    for costed, data, group in zip(ops, moved, groups, strict=True):
        if data is None:
            continue
        lower = cast_of(costed) is Cast.LOWER
        for storage in (part.storage for part in data.reads):
            if not lower and storage in made:
                writers = {id(g.root()) for w, _ in makers[storage] if (g := groups[w]) is not None}
                if group is None or id(group.root()) not in writers:
                    kept.add(storage)
    return {storage for storage in made - kept if any(groups[writer] is not None for writer, _ in makers[storage])}


def _kernel(
    group: _Group,
    ops: Sequence[CostedOp],
    moved: Sequence[Moved | None],
    makers: _Makers,
    lowered: set[int],
    run: OneRun,
) -> Kernel:
    """One kernel of a group: it reads what others made once, and writes what others read."""
    inside = set(group.positions)
    reads: list[Part] = []
    writes: list[Part] = []
    sizes, families = [], []
    written: set[int] = set()
    for position in sorted(inside):
        data = moved[position]
        assert data is not None
        reads += [part for part in data.reads if part.storage < 0 or part.storage not in written]
        for part in data.writes:
            written.add(part.storage)
            if part.storage < 0 or _leaves(makers[part.storage], inside, run.storages[part.storage]):
                writes.append(part._replace(width=2.0) if part.storage in lowered and part.width == 4 else part)
        sizes.append(data.nbytes)
        families.append(Family.ELEMENTWISE if _reduces(ops[position]) else family_of(ops[position]))
    family = families[max(range(len(sizes)), key=sizes.__getitem__)] if len(sizes) == 1 else _whole(families)
    nbytes = region_bytes(reads, run.storages) + region_bytes(writes, run.storages)
    return Kernel(family, tuple(sorted(inside)), shared_out(sizes), 0.0, 0.0, nbytes, 0.0, 1.0, "fp32")


def _whole(families: Sequence[Family]) -> Family:
    """The family of a fused kernel: the one that is hardest to run well among its operators."""
    for family in (Family.LAYER_NORM, Family.SOFTMAX, Family.POOL, Family.BATCH_NORM):
        if family in families:
            return family
    return Family.ELEMENTWISE


def _leaves(written: Sequence[tuple[int, list[int]]], inside: set[int], storage: Storage) -> bool:
    """Whether what is written inside is read outside; or is the last there is, and an output or read by nobody."""
    ours = [(writer, readers) for writer, readers in written if writer in inside]
    if any(reader not in inside for _, readers in ours for reader in readers):
        return True
    return written[-1][0] in inside and (storage.died is None or not written[-1][1])
