"""Memory while a network runs: what is in use during each operator of a forward pass, and of a training step.

What enters is a result with the dataflow of its trace; what leaves are frozen MemoryProfiles in bytes, whose largest
moments are the peaks of `memory_of`. A training step that could not be followed has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.dataflow import Dataflow
from ..core.ops import Op, Trace
from ..core.table import Column, Table
from .memory import live_bytes, memory_of, total, workspace_of
from .span import required_dataflow

if TYPE_CHECKING:
    from ..core.result import Result

__all__ = ["MemoryProfile", "Moment", "memory_profiles", "profile_table"]


@dataclass(frozen=True, slots=True)
class Moment:
    """An operator while it runs: its module, its name, the bytes of all activations alive, and of its workspace."""

    module: str
    op: str
    activations: int
    workspace: int

    @property
    def nbytes(self) -> int:
        """Activations and workspace."""
        return self.activations + self.workspace


@dataclass(frozen=True, slots=True)
class MemoryProfile:
    """A run: `resident` bytes that are in use all the time, and its moments in their order.

    `run` is "forward pass" or "training step", whose resident bytes have gradients and the state of the optimizer.
    """

    model: str
    clip: str
    run: str
    resident: int
    moments: tuple[Moment, ...]

    @property
    def peak(self) -> int:
        """The position of the moment with the most bytes; the first of equals."""
        return max(range(len(self.moments)), key=lambda position: self.moments[position].nbytes, default=0)

    @property
    def most(self) -> int:
        """The bytes in use at the peak."""
        return self.resident + max((moment.nbytes for moment in self.moments), default=0)


def memory_profiles(result: Result, *, kernels: str = "cpu", optimizer: str = "adamw") -> tuple[MemoryProfile, ...]:
    """The run of a forward pass, and of a training step where it was followed.

    Arguments:
        result: of `count` with `dataflow=True`.
        kernels: "cpu" adds the workspace of torch's CPU kernels, "none" counts tensors alone.
        optimizer: whose state a training step keeps.

    Raises:
        InputError: the result was counted without `dataflow`.
        UnknownNameError: no such kernels or optimizer.
    """
    memory = memory_of(result, kernels=kernels)
    of_step = total(memory.gradients) + total(memory.optimizer_state(optimizer))
    named = (result.model, str(result.input.clip or ""))
    flow = required_dataflow(result, "memory")
    moments = _moments([costed.op for costed in result.ops], flow, kernels)
    forward = MemoryProfile(*named, "forward pass", memory.resident, moments)
    saving = result.saving
    if not isinstance(saving, Trace) or saving.dataflow is None:
        return (forward,)
    step = _moments(saving.ops, saving.dataflow, kernels)
    return forward, MemoryProfile(*named, "training step", memory.resident + of_step, step)


def _moments(ops: Sequence[Op], flow: Dataflow, kernels: str) -> tuple[Moment, ...]:
    live = live_bytes(flow)
    return tuple(
        Moment(op.module, op.signature.op, alive, workspace_of(op, data) if kernels == "cpu" else 0)
        for op, data, alive in zip(ops, flow.flows, live, strict=True)
    )


def profile_table(profiles: Sequence[MemoryProfile]) -> Table:
    """One row per operator of each run."""
    columns = (
        *(Column("run", "text"), Column("number"), Column("layer", "text"), Column("operator", "text")),
        *(Column("resident (B)"), Column("activations (B)"), Column("workspace (B)"), Column("in use (B)")),
    )
    rows = tuple(
        (
            *(profile.run, number, moment.module or f"({profile.model})", moment.op),
            *(profile.resident, moment.activations, moment.workspace, profile.resident + moment.nbytes),
        )
        for profile in profiles
        for number, moment in enumerate(profile.moments, 1)
    )
    return Table("", columns, rows, None)
