"""torch's FlopCounterMode, run for real, and beside it every operator of the same pass at our granularity.

What enters is a real module with real tensors; what leaves is torch's count of each module and the operators, each with
the kernels that served it. The pass is in inference mode, where composite operators arrive whole and gradients are off;
FlopCounterMode takes them apart itself and counts the same as under no_grad.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ...core.ops import Op, Signature
from ...rules.costing import cost
from ...tracing.attribution import ModulePath
from ...tracing.guard.preserve import preserved
from ...tracing.mode import SILENT, NativeMode, make_signature
from ...tracing.results import drain
from ..peer import Observed, PeerCount, failure_of, quiet

__all__ = ["FLOPS_PER_MAC", "run_torch"]

FLOPS_PER_MAC = 2  # torch's convention, and ours


def run_torch(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[PeerCount, tuple[Observed, ...]]:
    """What FlopCounterMode counts, module by module, and the operators of that pass (none if it failed)."""
    version = torch.__version__.partition("+")[0]  # which build it is does not matter to the formulas
    try:
        listener, total = _listen(module, args, kwargs, inference=True)
    except Exception:  # a module that differentiates inside cannot run in inference mode
        try:
            listener, total = _listen(module, args, kwargs, inference=False)
        except Exception as error:  # whatever the module raises on real tensors
            return PeerCount("torch", version, failure=failure_of(error)), ()
    macs: Counter[str] = Counter()
    for op, flops in zip(listener.ops, listener.flops, strict=True):
        macs[op.module] += flops // FLOPS_PER_MAC
    macs[""] += (total - sum(listener.flops)) // FLOPS_PER_MAC  # what no operator of ours accounts for stays visible
    observed = tuple(map(Observed, cost(listener.ops), listener.parts_of, listener.kernels, listener.with_formula))
    halves = sum(flops % FLOPS_PER_MAC for flops in listener.flops)
    count = PeerCount("torch", version, dict(macs), halves=halves, printed=total, unit="FLOPs", per_mac=FLOPS_PER_MAC)
    return count, observed


def _listen(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, inference: bool
) -> tuple[_Listener, int]:
    from torch.utils.flop_counter import FlopCounterMode

    counter: Any = FlopCounterMode(display=False)
    below, path = _Kernels(), ModulePath(module)
    listener = _Listener(path, below, counter.flop_registry, lambda: counter.get_total_flops())
    gradients = torch.inference_mode() if inference else torch.enable_grad()
    with preserved(module, real=True), quiet(), gradients:
        if inference:  # torch's module tracker hooks every argument that wants a gradient, and here there is none
            module.requires_grad_(False)
        with below, counter, path, listener:
            drain(module(*args, **kwargs), type(module).__name__)
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
        """Those since the last time."""
        taken, self.called = self.called, []
        return taken


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
