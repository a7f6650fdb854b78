"""What a forward pass, and a training step, keep in memory: parameters, buffers, activations at the peak, gradients.

What enters is a result with the dataflow of its trace; what leaves is a frozen Memory in bytes. A tensor takes up
memory from the op that makes it until nothing holds it; views and in-place writes take none. A training step is
followed through its backward pass in the same way. What the allocator rounds up or caches is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.dataflow import Dataflow, Flow, Role
from ..core.errors import UnknownNameError
from ..core.one_line import OneLine
from ..core.ops import Op, Trace
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import si
from ..core.wording import assumed_lines, title
from ..rules.workspace import attention_kernel, channels_last_workspaces, threads_of, workspaces
from ..training.optimizers import OPTIMIZERS
from .span import required_dataflow

if TYPE_CHECKING:
    from ..core.result import Result

__all__ = [
    *("KERNELS", "STATES", "Bytes", "Memory", "Peak", "TrainingMemory"),
    *("live_bytes", "memory_of", "total", "workspace_of"),
]

STATES = {"none": 0, **{name: optimizer.state for name, optimizer in OPTIMIZERS.items()}}
"""Numbers kept per trainable parameter: sgd a momentum, adam and adamw two moments, none (or plain sgd) nothing."""

KERNELS = ("cpu", "none")
"""Kernels whose workspace is counted: torch's CPU kernels, or none."""

Bytes: TypeAlias = tuple[tuple[str, int], ...]
"""Bytes by dtype, in order of appearance."""


@dataclass(frozen=True, slots=True)
class Peak(OneLine):
    """The op during which most memory is in use: activations alive, and the workspace of its kernel.

    `threads` is the number of threads that the workspace is for, where it depends on that.
    """

    activations: Bytes
    workspace: int
    module: str
    op: str
    threads: int | None = None

    @property
    def nbytes(self) -> int:
        """Activations and workspace."""
        return total(self.activations) + self.workspace

    def _headline(self) -> str:
        return f"{si(self.nbytes, 'B')} in {_place(self.module)}, {self.op}"


@dataclass(frozen=True, slots=True)
class TrainingMemory(OneLine):
    """The activations of a training step.

    `saved` is what lives when the forward pass ends: the outputs, and what autograd holds on to. `on_top` is what the
    worst moment of the whole step needs beyond that: gradients, recomputed activations, the workspace of the kernel.
    `module` and `op` say where that is, `loss` what is differentiated, `threads` the number of threads that the
    kernel's workspace is for, where it depends on that.
    """

    saved: Bytes
    on_top: int
    module: str
    op: str
    loss: str
    threads: int | None = None

    @property
    def nbytes(self) -> int:
        """All activations and their gradients."""
        return total(self.saved) + self.on_top

    def _headline(self) -> str:
        return f"{si(self.nbytes, 'B')} in {_place(self.module)}, {self.op}; loss {self.loss}"


@dataclass(frozen=True, slots=True)
class Memory(ShownAsTable):
    """Memory of one forward pass and of one training step, in bytes.

    `gradients` are those of trainable parameters, `peak` is the worst moment of inference, `training` that of a
    training step, or the reason why it could not be followed. `attention` has the number of calls of each kernel.
    """

    model: str
    title: str
    parameters: Bytes
    buffers: Bytes
    inputs: Bytes
    constants: Bytes
    gradients: Bytes
    peak: Peak
    training: TrainingMemory | str
    attention: tuple[tuple[str, int], ...]
    kernels: str
    assumed: tuple[str, ...] = ()

    @property
    def resident(self) -> int:
        """What is in memory all the time: parameters, buffers, the input, and constants of the module's code."""
        return sum(map(total, (self.parameters, self.buffers, self.inputs, self.constants)))

    @property
    def inference(self) -> int:
        """The peak of a forward pass without autograd."""
        return self.resident + self.peak.nbytes

    def step(self, optimizer: str = "adamw") -> int | None:
        """The peak of a training step with all gradients and the optimizer's state in place; None if unknown.

        Raises:
            UnknownNameError: an optimizer not in `STATES`.
        """
        state = total(self.optimizer_state(optimizer))
        if isinstance(self.training, str):
            return None
        return self.resident + total(self.gradients) + state + self.training.nbytes

    def optimizer_state(self, optimizer: str) -> Bytes:
        """What an optimizer keeps, in the dtype of the parameters."""
        if optimizer not in STATES:
            raise UnknownNameError("optimizer", optimizer, STATES, f"choose {', '.join(STATES)}")
        return tuple((dtype, STATES[optimizer] * nbytes) for dtype, nbytes in self.gradients)

    def table(self, optimizer: str = "adamw") -> Table:
        """What takes up memory at the peak of a forward pass, and of a training step."""
        always = (
            *(("parameters", self.parameters), ("buffers", self.buffers)),
            *(("input", self.inputs), ("constants", self.constants)),
        )
        rows: list[tuple[Any, ...]] = [(what, dtype, n, n) for what, part in always for dtype, n in part if n]
        rows += [("activations at the peak", dtype, n, 0) for dtype, n in self.peak.activations]
        rows += [("workspace of the kernel there", "", self.peak.workspace, 0)] if self.peak.workspace else []
        if not isinstance(self.training, str):
            rows += [("saved for the backward pass", dtype, 0, n) for dtype, n in self.training.saved]
            rows += [("on top of that at the peak", "", 0, self.training.on_top)]
        rows += [("gradients", dtype, 0, n) for dtype, n in self.gradients]
        rows += [(f"state of {optimizer}", dtype, 0, n) for dtype, n in self.optimizer_state(optimizer) if n]
        step = self.step(optimizer)
        if step is None:
            rows = [(what, dtype, inference, "") for what, dtype, inference, _ in rows if inference]
        columns = (
            *(Column("memory", "text"), Column("dtype", "text")),
            *(Column("inference", unit="B"), Column("training", unit="B")),
        )
        total_row = ("total", "", self.inference, step if step is not None else "unknown")
        return Table(f"{self.title}: memory at the peak", columns, tuple(rows), total_row, self.notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes under the table: where the peaks are, and which kernels are meant."""
        lines = [*assumed_lines(self.assumed), f"peak of inference: in {_place(self.peak.module)}, {self.peak.op}"]
        if isinstance(self.training, str):
            lines.append(f"UNKNOWN in training: {self.training}")
        else:
            where = f"{_place(self.training.module)}, {self.training.op}"
            lines.append(f"peak of training: in {where}")
            if self.training.threads is not None:
                lines.append(f"workspace there: of {self.training.threads} threads, as torch has in this process")
            lines.append(f"loss: {self.training.loss}")
            lines.append("training: in training mode; gradients and optimizer state are allocated before the step")
        if self.attention:
            kernels = " and ".join(f"{kernel} ({calls} call{'s' * (calls > 1)})" for kernel, calls in self.attention)
            lines.append(f"attention kernel: {kernels}")
        whose = "torch's CPU kernels" if self.kernels == "cpu" else "left out"
        return (*lines, f"workspace: {whose}; what an allocator rounds up or caches is not counted")

    def _headline(self) -> str:
        step = self.step()
        training = "training unknown" if step is None else f"{si(step, 'B')} in training with adamw"
        return f"{self.model}: {si(self.inference, 'B')} in inference, {training}"


def memory_of(result: Result, *, kernels: str = "cpu") -> Memory:
    """The memory of a result that was counted with `dataflow=True`.

    Arguments:
        result: of `count`.
        kernels: "cpu" adds the workspace of torch's CPU kernels, "none" counts tensors alone.

    Raises:
        InputError: the result was counted without `dataflow`.
        UnknownNameError: there are no such kernels.
    """
    flow = required_dataflow(result, "memory")
    if kernels not in KERNELS:
        raise UnknownNameError("kernels", kernels, KERNELS, f"choose {' or '.join(KERNELS)}")
    ops = [costed.op for costed in result.ops]
    saving = result.saving
    return Memory(
        model=result.model,
        title=title(result),
        parameters=_held(flow, Role.PARAMETER, Role.FROZEN),
        buffers=_held(flow, Role.BUFFER),
        inputs=_held(flow, Role.INPUT),
        constants=_held(flow, Role.CONSTANT),
        gradients=_held(flow, Role.PARAMETER),
        peak=_peak(ops, flow, kernels),
        training=_training(saving, kernels)
        if isinstance(saving, Trace)
        else saving or "the training step was not followed",
        attention=_attention(ops),
        kernels=kernels,
        assumed=tuple(dict.fromkeys((*result.assumed, *(saving.assumed if isinstance(saving, Trace) else ())))),
    )


def total(part: Bytes) -> int:
    """Bytes of all dtypes."""
    return sum(nbytes for _, nbytes in part)


def _place(module: str) -> str:
    return module or "the model itself"


def _by_dtype(flow: Dataflow, storages: Iterable[int]) -> Bytes:
    nbytes: dict[str, int] = {}
    for serial in storages:
        storage = flow.storages[serial]
        nbytes[storage.dtype] = nbytes.get(storage.dtype, 0) + storage.nbytes
    return tuple(nbytes.items())


def _held(flow: Dataflow, *roles: Role) -> Bytes:
    return _by_dtype(flow, (serial for serial, storage in enumerate(flow.storages) if storage.role in roles))


def live_bytes(flow: Dataflow) -> list[int]:
    """Bytes of activations alive during each op."""
    changes = [0] * (len(flow.flows) + 1)
    for storage in flow.storages:
        if storage.role is Role.ACTIVATION:
            changes[storage.born] += storage.nbytes
            if storage.died is not None:
                changes[storage.died + 1] -= storage.nbytes
    return list(accumulate(changes[:-1]))


def _peak(ops: Sequence[Op], flow: Dataflow, kernels: str) -> Peak:
    needs = [workspace_of(op, data) if kernels == "cpu" else 0 for op, data in zip(ops, flow.flows, strict=True)]
    live = live_bytes(flow)
    if not ops:
        return Peak((), 0, "", "")
    at = max(range(len(ops)), key=lambda position: live[position] + needs[position])
    alive = (i for i, storage in enumerate(flow.storages) if storage.role is Role.ACTIVATION and storage.lives(at))
    threads = threads_of(ops[at].signature) if needs[at] else None
    return Peak(_by_dtype(flow, alive), needs[at], ops[at].module, ops[at].signature.op, threads)


def workspace_of(op: Op, data: Flow) -> int:
    """Bytes that the kernel of an op needs besides its inputs and outputs."""
    signature = op.signature
    if signature.is_view:
        return 0
    special = channels_last_workspaces.of(signature) if data.channels_last else None
    needed = special if special is not None else workspaces.of(signature) or 0
    return data.copied + (needed // 2 if data.lowered else needed)


def _training(trace: Trace, kernels: str) -> TrainingMemory:
    flow = trace.dataflow
    assert flow is not None
    assert flow.forward is not None
    kept = (i for i, s in enumerate(flow.storages) if s.role is Role.ACTIVATION and s.outlives(flow.forward))
    saved = _by_dtype(flow, kept)
    peak = _peak(trace.ops, flow, kernels)
    return TrainingMemory(saved, peak.nbytes - total(saved), peak.module, peak.op, trace.loss, peak.threads)


def _attention(ops: Iterable[Op]) -> tuple[tuple[str, int], ...]:
    calls: dict[str, int] = {}
    for op in ops:
        kernel = attention_kernel(op.signature)
        if kernel is not None:
            calls[kernel] = calls.get(kernel, 0) + 1
    return tuple(calls.items())
