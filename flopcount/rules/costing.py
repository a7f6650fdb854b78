"""op -> costed op. An op without a rule stays and is marked; it is never dropped, and never a zero in a sum."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.memo import works
from ..core.ops import CostedOp, Kind, Op, Signature, Work, Workload, tensors_in
from .registry import find_rule
from .torch_formulas import torch_work

__all__ = ["cost", "costed_anew"]


def cost(ops: Sequence[Op]) -> tuple[CostedOp, ...]:
    """The cost of every op, in order; each distinct signature is computed once, and the memo keeps it."""
    answers = works()
    costs: dict[Signature, tuple[str, Kind, Workload]] = {}  # by identity: a trace shares its signatures
    for op in ops:
        if op.signature not in costs:
            costs[op.signature] = _work_of(op.signature, answers)
    return tuple([CostedOp(op, *costs[op.signature]) for op in ops])


def _work_of(signature: Signature, answers: dict[Signature, tuple[object, Workload]]) -> tuple[str, Kind, Workload]:
    """Canonical name, kind and work of one call."""
    if signature.is_view:
        return signature.op, Kind.VIEW, Workload()
    rule = find_rule(signature.op, signature.overload)
    if rule is not None:
        answer = answers.get(signature)
        if answer is None or answer[0] is not rule:
            answer = answers[signature] = rule, _with_traffic(rule.work(signature), signature)
        return rule.name, rule.kind, answer[1]
    by_torch = torch_work(signature)
    if by_torch is not None:
        return signature.op, Kind.CUSTOM, _with_traffic(by_torch, signature)
    return signature.op, Kind.UNCOSTED, _with_traffic(Work(), signature)


def costed_anew(signature: Signature) -> CostedOp:
    """The cost of one call, without the memo; sizes that know their arithmetic lead to amounts that know theirs."""
    return CostedOp(Op(signature, ""), *_work_of(signature, {}))


def _with_traffic(work: Work, signature: Signature) -> Workload:
    """Fill in the bytes that a rule leaves to the default: inputs once, outputs once."""
    read, written = work.bytes_read, work.bytes_written
    if read is None:
        read = sum(spec.nbytes for spec in signature.inputs)
    if written is None:
        written = sum(spec.nbytes for spec in tensors_in(signature.outputs))
    return Workload(work.macs, work.other_flops, read, written)
