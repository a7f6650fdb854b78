"""The kernels of a run, eager or compiled.

Eager execution runs one kernel for every operator that is no view, one for every cast that autocast adds, and a copy
and a sum around a linear layer whose input is not contiguous; compiled, operators that only pass over data are fused
along the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.dataflow import Dataflow
from ..core.ops import CostedOp
from .fusion import fused_kernels
from .kernels import Family, Kernel, OneRun, kernel_of_op
from .least import scores_of
from .moved import Moved, moved_by
from .precision import Precision, weights_of

__all__ = ["kernels_of"]


def kernels_of(
    ops: Sequence[CostedOp], flow: Dataflow, precision: Precision, *, compiled: bool = False, cpu: bool = False
) -> tuple[Kernel, ...]:
    """The kernels of one run, in order.

    Arguments:
        ops: costed operators of a forward pass or of a training step.
        flow: the data of them; operators behind its end have none.
        precision: how the network runs.
        compiled: whether torch.compile fuses what only passes over data.
        cpu: whether tiles are those of a CPU's vectors.
    """
    moved = moved_by(ops, flow, precision)
    run = OneRun(flow.storages, weights_of(flow.storages), scores_of(ops, moved), precision, cpu)
    if compiled:
        return tuple(fused_kernels(ops, moved, run))
    kernels = []
    unsure: set[int] = set()  # made of the result of a convolution whose channels may lie innermost, by device
    for position, (costed, data) in enumerate(zip(ops, moved, strict=True)):
        if data is not None:
            kernels += [_cast_kernel(position, *cast[1:]) for cast in data.casts]
            if data.reads and data.reads[0].storage not in unsure:
                kernels += _apart(position, costed, data, flow)
            innermost = position < len(flow.flows) and flow.flows[position].channels_last
            if innermost or (not costed.kind.contracts and any(part.storage in unsure for part in data.reads)):
                unsure |= {part.storage for part in data.writes}
            kernels.append(kernel_of_op(position, costed, data, run))
    return tuple(kernels)


def _apart(position: int, costed: CostedOp, data: Moved, flow: Dataflow) -> Iterator[Kernel]:
    """What eager execution runs beside a linear layer whose input is not contiguous: a copy of it, and a sum in place.

    Compiled, both are part of what is fused before and behind it.
    """
    if position >= len(flow.flows) or not flow.flows[position].scattered or not data.reads or not data.writes:
        return
    source, result = data.reads[0], data.writes[0]
    if flow.flows[position].gathered:
        yield _pass_kernel(Family.COPY, position, 2 * source.nbytes)
    if costed.op.signature.arguments.get("bias") is not None:
        yield _pass_kernel(Family.ELEMENTWISE, position, 2 * result.nbytes)


def _cast_kernel(position: int, numbers: float, before: float, after: float) -> Kernel:
    return _pass_kernel(Family.COPY, position, numbers * (before + after))


def _pass_kernel(family: Family, position: int, nbytes: float) -> Kernel:
    return Kernel(family, (position,), (1.0,), 0.0, 0.0, nbytes, 0.0, 1.0, "fp32")
