"""op -> costed op. The op without a rule is kept and marked, never dropped and never a zero in a sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .ops import CostedOp, Kind, Op, Signature, Work, tensors_in
from .rules import find_rule
from .rules.torch_formulas import torch_work

__all__ = ["cost", "work_of"]

_VIEW = Work(bytes_read=0, bytes_written=0)


def cost(ops: Iterable[Op]) -> tuple[CostedOp, ...]:
    """The cost of every op, in order; each distinct signature is computed once."""
    known: dict[int, tuple[str, Kind, Work]] = {}  # by identity: a trace shares its signatures
    costed = []
    for op in ops:
        found = known.get(id(op.signature))
        if found is None:
            found = known[id(op.signature)] = work_of(op.signature)
        costed.append(CostedOp(op, *found))
    return tuple(costed)


def work_of(signature: Signature) -> tuple[str, Kind, Work]:
    """Canonical name, kind and work of one call."""
    if signature.is_view:
        return signature.op, Kind.VIEW, _VIEW
    rule = find_rule(signature)
    if rule is not None:
        return rule.name, rule.kind, _with_traffic(rule.work(signature), signature)
    work = torch_work(signature)
    if work is not None:
        return signature.op, Kind.CUSTOM, _with_traffic(work, signature)
    return signature.op, Kind.UNCOSTED, _with_traffic(Work(), signature)


def _with_traffic(work: Work, signature: Signature) -> Work:
    """Fill in the bytes a rule leaves to the default: inputs once, outputs once."""
    read, written = work.bytes_read, work.bytes_written
    if read is None:
        read = sum(spec.nbytes for spec in signature.inputs)
    if written is None:
        written = sum(spec.nbytes for spec in tensors_in(signature.outputs))
    return replace(work, bytes_read=read, bytes_written=written)
