"""The kernels of a run, eager or compiled.

Eager execution runs one kernel for every operator that is no view, and one for every cast that autocast adds; compiled,
operators that only pass over data are fused along the data.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.dataflow import Dataflow
from ..core.ops import CostedOp
from .fusion import fused_kernels
from .kernels import Family, Kernel, OneRun, kernel_of_op
from .least import scores_of
from .moved import moved_by
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
    for position, (costed, data) in enumerate(zip(ops, moved, strict=True)):
        if data is not None:
            kernels += [_cast_kernel(position, *cast[1:]) for cast in data.casts]
            kernels.append(kernel_of_op(position, costed, data, run))
    return tuple(kernels)


def _cast_kernel(position: int, numbers: float, before: float, after: float) -> Kernel:
    nbytes = numbers * (before + after)
    return Kernel(Family.COPY, (position,), (1.0,), 0.0, 0.0, nbytes, 0.0, 1.0, "fp32")
