"""The same model under other counters: counts side by side, and every difference named and sized.

What enters is a module; what leaves is a Check: per layer our MACs, theirs, and the causes that explain the difference,
each from its own formula. What no cause explains is unexplained, and the check does not agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.reason import Reason
from ..core.registries import DEFAULT_TOOLS
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import exact, si
from ..core.wording import assumed_lines
from ..count import count
from ..models.by_name import input_of
from ..models.loading import find_model
from ..tracing import module_of, weighted
from ..tracing.arguments import Input, arguments_of
from ..tracing.engines import real_input
from ..tracing.guard.preserve import preserved
from ..tracing.guard.threads import TURN
from ..tracing.holders import substituted
from .peer import Cause, PeerCount, Subject
from .tools import chosen

__all__ = ["Check", "CheckRow", "check", "check_model"]


@dataclass(frozen=True, slots=True)
class CheckRow(OneLine):
    """One module's own operators: our MACs, each tool's count in MACs, the causes, and what they leave over."""

    path: str
    macs: int
    counts: dict[str, int]
    causes: tuple[Cause, ...]

    def unexplained(self, tool: str) -> int:
        """The tool's count less ours less the causes: 0 where all is explained."""
        if tool not in self.counts:
            return 0
        return self.counts[tool] - self.macs - sum(cause.amount for cause in self.causes if cause.tool == tool)

    def _headline(self) -> str:
        counts = ", ".join(f"{tool} {macs:,}" for tool, macs in self.counts.items())
        return f"{self.path or 'the model itself'}: {self.macs:,} MACs, {counts}"


@dataclass(frozen=True, slots=True)
class Check(ShownAsTable):
    """What the counters say of one real forward pass each."""

    report: Result
    device: str
    peers: tuple[PeerCount, ...]
    rows: tuple[CheckRow, ...]

    @property
    def agrees(self) -> bool:
        """Whether all tools ran, every difference is explained, and no operator is uncosted."""
        ran = all(peer.failure is None for peer in self.peers)
        return (
            ran
            and not self.report.uncosted
            and not any(row.unexplained(peer.tool) for row in self.rows for peer in self.peers)
        )

    def table(self) -> Table:
        """One row per module that costs something in any of the counts; a tool that failed has no numbers."""
        tools = [peer.tool for peer in self.peers]
        columns = (
            Column("layer", "text"),
            Column("ours"),
            *(Column(peer.tool, "count" if peer.failure is None else "text") for peer in self.peers),
            Column("verdict", "prose"),
        )
        rows = tuple(
            (
                row.path or f"({self.report.model})",
                row.macs,
                *(row.counts.get(t, "failed") for t in tools),
                _verdict(row, tools),
            )
            for row in self.rows
        )
        counts = (
            "failed" if peer.failure is not None else sum(row.counts[peer.tool] for row in self.rows)
            for peer in self.peers
        )
        title = f"{self.report.model}: MACs by flopcount, {', '.join(tools)}, on {self.device}"
        return Table(title, columns, rows, ("total", self.report.macs, *counts, ""), tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        for peer in self.peers:
            if peer.failure is not None:
                yield f"{peer.tool} failed: {peer.failure}"
        for uncosted in self.report.uncosted:
            yield f"UNCOSTED {uncosted.op}: {_calls(uncosted.calls)}; flopcount has no rule for it"
        yield from assumed_lines(self.report.assumed)
        causes = [cause for row in self.rows for cause in row.causes]
        for peer in self.peers:
            for op, why, amount, calls in _summed(cause for cause in causes if cause.tool == peer.tool):
                yield f"{peer.tool} {why}: {op}, {_signed(amount)} in {_calls(calls)}"
        for peer in self.peers:
            for row in self.rows:
                left = row.unexplained(peer.tool)
                if left:
                    yield f"unexplained: {peer.tool} {_signed(left)} MACs in {row.path or 'the model itself'}"
            if peer.halves:
                yield f"{peer.tool} counts an odd number of FLOPs in {_calls(peer.halves)}, half a MAC left out each"
        if self.agrees:
            explained = any(row.causes for row in self.rows)
            yield "agreement: " + ("every difference is explained by its own formula" if explained else "all are equal")
        for peer in self.peers:
            if peer.failure is None:
                yield f"{peer.tool}: {_printed(peer)}{_ratio(peer, self.report.macs)}"
        yield f"versions: {', '.join(f'{peer.tool} {peer.version}' for peer in self.peers)}"

    def _headline(self) -> str:
        tools = ", ".join(peer.tool for peer in self.peers)
        return f"of {self.report.model} against {tools}: {'all explained' if self.agrees else 'not all explained'}"


def _printed(peer: PeerCount) -> str:
    """The total as the tool prints it, in its own unit, with the tool's remark."""
    remark = f" ({peer.remark})" if peer.remark else ""
    return f"prints {exact(peer.printed)} {peer.unit}{remark}"


def _ratio(peer: PeerCount, ours: int) -> str:
    """The printed total, in MACs, as a multiple of ours."""
    if not ours:
        return ""
    conversion = f", {peer.per_mac} per MAC" if peer.per_mac > 1 else ""
    return f"{conversion}: {peer.printed / peer.per_mac / ours:.4f} × ours"


def _verdict(row: CheckRow, tools: Iterable[str]) -> str:
    """What the tools that ran say; one that failed says nothing."""
    left = [tool for tool in row.counts if row.unexplained(tool)]
    if left:
        return f"unexplained: {', '.join(left)}"
    differing = dict.fromkeys(cause.tool for cause in row.causes)
    if differing:
        return f"explained: {', '.join(differing)}"
    failed = [tool for tool in tools if tool not in row.counts]
    if failed:
        return "not compared" if not row.counts else f"equal, but {', '.join(failed)} failed"
    return "equal"


def _summed(causes: Iterable[Cause]) -> Iterator[tuple[str, Reason, int, int]]:
    """Operator and reason once, with amounts and calls summed over the model."""
    groups: dict[tuple[str, Reason], list[Cause]] = {}
    for cause in causes:
        groups.setdefault((cause.op, cause.why), []).append(cause)
    for key, group in groups.items():
        yield *key, sum(cause.amount for cause in group), sum(cause.calls for cause in group)


def _calls(count: int) -> str:
    return f"{exact(count)} call" + "s" * (count != 1)


def _signed(amount: int) -> str:
    short = si(abs(amount))
    sign = "+" if amount > 0 else "−" if amount else ""
    return f"{sign}{exact(abs(amount))}" + (f" ({sign}{short})" if abs(amount) >= 1000 else "")


def check(
    module: Callable[..., Any],
    input: Input,
    *,
    against: str | Sequence[str] = DEFAULT_TOOLS,
    device: str = "cpu",
) -> Check:
    """Run a real module under other counters and explain every difference from our count.

    Arguments:
        module: with real weights, in the mode to be checked; afterwards it is unchanged and on its old device.
        input: as count_flops takes it; shapes become random tensors.
        against: the files of `peers` by name, such as fvcore or thop, in a list or with commas between them.
        device: "cpu" or "cuda", where the module runs.

    Raises:
        InputError: weights on the meta device, a device that is not available, a tool that does not exist or is not
            installed.
    """
    where, tools = _device(device), chosen(against)
    module = module_of(module, input)
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise InputError(
            "a check runs the module, but this one has no weights", [("fix", "build it outside torch.device('meta')")]
        )
    report = count(module, input)
    with TURN, _on(module, where):  # tools follow modules as a count does
        args, kwargs = substituted(lambda value: real_input(value, where), arguments_of(input, module))
        subject = Subject(module, args, kwargs, report)
        answers = [tool.answer(subject) for tool in tools]
    peers = tuple(answer.count for answer in answers)
    return Check(report, device, peers, _rows(report, peers, [cause for answer in answers for cause in answer.causes]))


def check_model(
    spec: ModelSpec, batch: int | None = None, *, against: str | Sequence[str] = DEFAULT_TOOLS, device: str = "cpu"
) -> Check:
    """Check a model by name, built with weights and in eval mode; errors as `check` and `count_model`."""
    _device(device)
    tools = [tool.name for tool in chosen(against)]
    module = weighted(find_model(spec))
    return check(module, input_of(module, spec, batch), against=tools, device=device)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no device named {name!r}", [("fix", "choose cpu or cuda")]) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device {name!r} is not available", [("seen", "torch sees no CUDA device"), ("fix", "use cpu")]
        )
    return device


@contextmanager
def _on(module: nn.Module, device: torch.device) -> Iterator[None]:
    """The module on a device; afterwards its tensors are the old ones, where they were."""
    weights = [(parameter, parameter.data) for parameter in module.parameters()]
    with preserved(module, real=False):  # which puts back the buffers that `to` replaces
        module.to(device)
        try:
            yield
        finally:
            for parameter, data in weights:
                if parameter.device != data.device:
                    parameter.data = data


def _rows(report: Result, peers: Sequence[PeerCount], causes: Iterable[Cause]) -> tuple[CheckRow, ...]:
    """One row per module in which any counter counts."""
    by_path: dict[str, dict[tuple[str, str, Reason], Cause]] = {}
    for cause in causes:
        same = by_path.setdefault(cause.path, {})
        key = cause.tool, cause.op, cause.why
        total = same.get(key, replace(cause, amount=0, calls=0))
        same[key] = replace(total, amount=total.amount + cause.amount, calls=total.calls + cause.calls)
    rows = []
    for module in report.modules:
        counts = {peer.tool: peer.by_module.get(module.path, 0) for peer in peers if peer.failure is None}
        own = tuple(by_path.get(module.path, {}).values())
        if module.own.macs or any(counts.values()) or own:
            rows.append(CheckRow(module.path, module.own.macs, counts, own))
    return tuple(rows)
