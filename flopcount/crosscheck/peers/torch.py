"""torch's FlopCounterMode, run for real, and why its count differs, operator by operator.

What enters is a real module with real tensors; what leaves is torch's count of each module and every operator of the
same pass at our granularity, each with the kernels that served it. The causes are the formulas of
torch/utils/flop_counter.py on those kernels: torch counts a kernel that it has a formula for, in real multiply-adds,
and nothing for the others. The pass is in inference mode, where composite operators arrive whole and gradients are off;
FlopCounterMode takes them apart itself and counts the same as under no_grad.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from ...core.ops import Kind, Op, Signature
from ...core.reason import Reason
from ...rules import RULES
from ...rules.charges import products
from ...rules.costing import cost
from ...tracing.attribution import ModulePath
from ...tracing.guard.preserve import preserved
from ...tracing.native import NativeMode
from ...tracing.results import drain
from ...tracing.signatures import SILENT, make_signature
from ...tracing.torch_private import TorchDispatchMode
from ..peer import Answer, Cause, Peer, PeerCount, RealOperator, Subject, in_inference_mode, quiet
from ..reasons import COMPLEX, THREE_REAL

__all__ = ["PEER", "run_torch"]

_FLOPS_PER_MAC = 2  # torch's convention, and ours


def run_torch(subject: Subject) -> tuple[PeerCount, tuple[RealOperator, ...]]:
    """What FlopCounterMode counts, module by module, and the operators of that pass, which fvcore's causes read too."""
    count, operators = _run(subject.module, subject.args, subject.kwargs)
    # where the pass failed, our own trace has to do
    return count, operators or tuple(map(RealOperator, subject.report.ops))


def _run(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[PeerCount, tuple[RealOperator, ...]]:
    """The count and the operators of one pass (none if it failed)."""
    try:
        listener, total = in_inference_mode(lambda gradients: _listen(module, args, kwargs, gradients))
    except Exception as error:  # whatever the module raises on real tensors
        return PEER.failed(error), ()
    macs: Counter[str] = Counter()
    for op, flops in zip(listener.ops, listener.flops, strict=True):
        macs[op.module] += flops // _FLOPS_PER_MAC
    macs[""] += (total - sum(listener.flops)) // _FLOPS_PER_MAC  # what no operator of ours accounts for stays visible
    operators = tuple(map(RealOperator, cost(listener.ops), listener.parts_of, listener.kernels, listener.with_formula))
    halves = sum(flops % _FLOPS_PER_MAC for flops in listener.flops)
    count = PeerCount(
        PEER.name, PEER.version, dict(macs), halves=halves, printed=total, unit="FLOPs", per_mac=_FLOPS_PER_MAC
    )
    return count, operators


def _listen(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], gradients: AbstractContextManager[Any]
) -> tuple[_Listener, int]:
    from torch.utils.flop_counter import FlopCounterMode

    counter: Any = FlopCounterMode(display=False)
    below, path = _Kernels(), ModulePath(module)
    listener = _Listener(path, below, counter.flop_registry, lambda: counter.get_total_flops())
    with preserved(module, real=True), quiet(), gradients:
        if torch.is_inference_mode_enabled():  # or torch's module tracker hooks every argument that requires a gradient
            module.requires_grad_(False)
        with below, counter, path, listener:
            drain(module(*args, **kwargs), type(module).__name__)
    listener.let_go()
    return listener, counter.get_total_flops()


class _Kernels(TorchDispatchMode):
    """Below FlopCounterMode: the kernels that it left over, in order."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.called: list[tuple[Any, Signature]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False) and getattr(func, "namespace", "") not in SILENT:
            packet = getattr(func, "overloadpacket", func)  # a higher-order operator is its own
            self.called.append((packet, make_signature(func, args, kwargs or {}, result, is_view=False)))
        return result

    def take(self) -> list[tuple[Any, Signature]]:
        """The kernels since the last call."""
        kernels, self.called = self.called, []
        return kernels


class _Listener(NativeMode):
    """Above FlopCounterMode: our operators as any trace writes them down, and what each adds to torch's total."""

    def __init__(self, path: ModulePath, below: _Kernels, registry: Any, total: Callable[[], int]) -> None:
        super().__init__(path)
        self.below = below
        self.registry = registry
        self.total = total
        self.so_far = 0
        self.within: Signature | None = None
        self.flops: list[int] = []
        self.parts_of: list[Signature | None] = []
        self.kernels: list[tuple[Signature, ...]] = []
        self.with_formula: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outer = self.within
        if outer is None and self.decomposes(func):
            self.within = make_signature(func, args, kwargs or {}, None, is_view=False)
        try:
            return super().__torch_dispatch__(func, types, args, kwargs)
        finally:
            self.within = outer

    def record(self, signature: Signature) -> None:
        self.ops.append(Op(signature, self.path.path))
        total = self.total()
        self.flops.append(total - self.so_far)
        self.so_far = total
        kernels = self.below.take()
        self.parts_of.append(self.within)
        self.kernels.append(tuple(kernel for _, kernel in kernels))
        self.with_formula.append(any(packet in self.registry for packet, _ in kernels))


def _causes(operators: Iterable[RealOperator]) -> Iterator[Cause]:
    """One cause per operator that torch counts differently."""
    for operator in operators:
        costed = operator.costed
        amount, why = _counted(operator)
        if why is not None and amount != costed.work.macs:
            yield Cause(PEER.name, costed.op.module, costed.name, why, amount - costed.work.macs)


def _counted(operator: RealOperator) -> tuple[int, Reason | None]:
    """What torch counts for an operator, and why that differs from ours."""
    costed = operator.costed
    if not costed.kind.contracts or not costed.work.macs:
        return costed.work.macs, None
    if not operator.has_formula:
        return 0, Reason("has no formula for {}", (_without_formula(operator),))
    if _is_complex(operator):
        return (costed.work.macs * 3 // 4, THREE_REAL) if costed.kind is Kind.CONV else (costed.work.macs // 4, COMPLEX)
    for kernel in operator.kernels:
        if kernel.op == _FLASH:
            return _flash(operator)
    return costed.work.macs, None


def _is_complex(operator: RealOperator) -> bool:
    """Whether one multiply-accumulate is four real ones."""
    return any(products(spec) > 1 for spec in operator.costed.op.signature.inputs[:1])


def _without_formula(operator: RealOperator) -> str:
    """The kernel that did the work: one that contracts, or one of which we know nothing."""
    names = dict.fromkeys(kernel.op for kernel in operator.kernels)
    working = [name for name in names if name not in RULES or RULES[name].kind.contracts]
    return ", ".join(working) or operator.costed.op.signature.op


_FLASH = "aten._scaled_dot_product_flash_attention"
_FLASH_MULTIPLE = 8


def _flash(operator: RealOperator) -> tuple[int, Reason]:
    """On CUDA torch pads heads for this kernel (`pad_last_dim<8>` in ATen's attention.cpp), and counts the padding."""
    query, *_, value = operator.costed.op.signature.inputs[:3]
    widths = (query.shape[-1], value.shape[-1])
    padded = sum(-(-width // _FLASH_MULTIPLE) * _FLASH_MULTIPLE for width in widths)
    why = Reason("counts heads padded to a multiple of {}", (_FLASH_MULTIPLE,))
    return operator.costed.work.macs // sum(widths) * padded, why


def _answer(subject: Subject) -> Answer:
    count, operators = subject.once(run_torch)
    return Answer(count, tuple(_causes(operators)) if count.failure is None else ())


def _version(_: str) -> str:
    """Which build it is does not matter to the formulas."""
    return torch.__version__.partition("+")[0]


PEER = Peer("torch", _answer, version_of=_version)
