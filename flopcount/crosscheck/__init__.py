"""The same model under fvcore and torch's FlopCounterMode: counts side by side, and every difference named and sized.

What enters is a module; what leaves is a Check: per layer our MACs, theirs, and the causes that explain the difference,
each from its own formula. What no cause explains is unexplained, and the check does not agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..clip import Clip
from ..counting import count_flops, input_of
from ..errors import InputError
from ..models.loading import load_model
from ..ops import CostedOp, TensorSpec
from ..report import Report
from ..tables import Column, Table
from ..tracing.engines import real_input
from ..tracing.inputs import Input, arguments_of, map_tensors
from ..tracing.preserve import preserved
from ..units import exact, si
from .causes import Cause, expected
from .peers import PeerCount, count_with_fvcore, count_with_torch

__all__ = ["Cause", "Check", "CheckRow", "check", "check_model"]

_MACS_PER_UNIT = {"fvcore": 1, "torch": 2}  # fvcore counts MACs and calls them flops; torch counts two FLOPs per MAC


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One module's own operators: our MACs, each tool's count in MACs, the causes, and what they leave over."""

    path: str
    macs: int
    counts: dict[str, int]
    causes: tuple[Cause, ...]

    def unexplained(self, tool: str) -> int:
        """The tool's count less ours less the causes: nothing, where all is explained."""
        if tool not in self.counts:
            return 0
        return self.counts[tool] - self.macs - sum(cause.amount for cause in self.causes if cause.tool == tool)


@dataclass(frozen=True, slots=True)
class Check:
    """What three counters say of one real forward pass."""

    report: Report
    device: str
    peers: tuple[PeerCount, ...]
    rows: tuple[CheckRow, ...]

    @property
    def agrees(self) -> bool:
        """Whether both tools ran and every difference is explained."""
        ran = all(peer.failure is None for peer in self.peers)
        return ran and not any(row.unexplained(peer.tool) for row in self.rows for peer in self.peers)

    def table(self) -> Table:
        """One row per module that costs something in any of the counts."""
        tools = [peer.tool for peer in self.peers]
        columns = (
            Column("layer", "text"),
            Column("ours"),
            *(Column(tool) for tool in tools),
            Column("verdict", "text"),
        )
        rows = tuple(
            (
                row.path or f"({self.report.model})",
                row.macs,
                *(row.counts.get(t, 0) for t in tools),
                _verdict(row, tools),
            )
            for row in self.rows
        )
        counts = (sum(row.counts.get(tool, 0) for row in self.rows) for tool in tools)
        title = f"{self.report.model}: MACs by three counters, on {self.device}"
        return Table(title, columns, rows, ("total", self.report.macs, *counts, ""), tuple(self._notes()))

    def _notes(self) -> Iterable[str]:
        for peer in self.peers:
            if peer.failure is not None:
                yield f"{peer.tool} failed: {peer.failure}"
        yield from _cause_lines(cause for row in self.rows for cause in row.causes)
        for peer in self.peers:
            for row in self.rows:
                left = row.unexplained(peer.tool)
                if left:
                    yield f"unexplained: {peer.tool} {_signed(left)} MACs in {row.path or 'the model itself'}"
        if self.agrees:
            explained = any(row.causes for row in self.rows)
            yield "agreement: " + ("every difference is explained by its own formula" if explained else "all are equal")
        yield "unit: MACs (fvcore calls them flops, torch's FLOPs are halved)"
        yield f"versions: {', '.join(f'{peer.tool} {peer.version}' for peer in self.peers)}"


def _verdict(row: CheckRow, tools: Sequence[str]) -> str:
    left = [tool for tool in tools if row.unexplained(tool)]
    if left:
        return f"unexplained: {', '.join(left)}"
    differing = dict.fromkeys(cause.tool for cause in row.causes)
    return f"explained: {', '.join(differing)}" if differing else "equal"


def _cause_lines(causes: Iterable[Cause]) -> Iterable[str]:
    """One line per tool, operator and reason, summed over the model."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for cause in causes:
        groups.setdefault((cause.tool, cause.op, cause.why), []).append(cause.amount)
    for (tool, op, why), amounts in groups.items():
        calls = f"{len(amounts)} call" + "s" * (len(amounts) > 1)
        yield f"{tool} {why}: {op}, {_signed(sum(amounts))} in {calls}"


def _signed(amount: int) -> str:
    short = si(abs(amount))
    sign = "+" if amount > 0 else "−"
    return f"{sign}{exact(abs(amount))}" + (f" ({sign}{short})" if abs(amount) >= 1000 else "")


def check(module: nn.Module, input: Input, *, device: str = "cpu") -> Check:
    """Run a real module under fvcore and torch's counter and explain every difference from our count.

    Arguments:
        module: with real weights; it is run on `device` and is the same afterwards.
        input: as count_flops takes it; shapes become random numbers.
        device: "cpu" or "cuda"; the module is moved there.

    Raises:
        InputError: weights on the meta device, or a device that is not there.
    """
    where = _device(device)
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise InputError(
            "a check runs the module, and this one has no weights", [("fix", "build it outside torch.device('meta')")]
        )
    module.to(where)
    args, kwargs = map_tensors(lambda value: real_input(value, where), arguments_of(input, module))
    report = count_flops(module, input)
    with preserved(module, buffers=True):
        peers = tuple(run(module, args, kwargs) for run in (count_with_fvcore, count_with_torch))
    return Check(report, device, peers, _rows(report, peers))


def check_model(
    name: str,
    *,
    clip: Clip | None = None,
    batch: int = 1,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    inputs: Sequence[tuple[str, TensorSpec]] = (),
    dtype: str | None = None,
    device: str = "cpu",
) -> Check:
    """Check a model by name, built with weights and in eval mode; arguments as `count_model`."""
    _device(device)
    module = load_model(name, clip=clip, num_classes=num_classes, options=options).eval()
    if dtype is not None:
        module = module.to(getattr(torch, dtype))
    return check(module, input_of(module, name, clip, batch, inputs), device=device)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no device named {name!r}", [("fix", "choose cpu or cuda")]) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} is not there", [("seen", "torch sees no CUDA device"), ("fix", "use cpu")])
    return device


def _rows(report: Report, peers: Sequence[PeerCount]) -> tuple[CheckRow, ...]:
    by_module: dict[str, list[CostedOp]] = {}
    for costed in report.ops:
        by_module.setdefault(costed.op.module, []).append(costed)
    ran = [peer for peer in peers if peer.failure is None]
    rows = []
    for module in report.modules:
        ops = by_module.get(module.path, [])
        causes = tuple(c for peer in ran for op in ops if (c := expected(peer.tool, op, peer)) is not None)
        counts = {
            peer.tool: sum(peer.by_module.get(module.path, {}).values()) // _MACS_PER_UNIT[peer.tool] for peer in ran
        }
        if module.own.macs or any(counts.values()) or causes:
            rows.append(CheckRow(module.path, module.own.macs, counts, causes))
    return tuple(rows)
