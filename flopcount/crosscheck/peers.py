"""The other counters, run for real: what fvcore and torch's FlopCounterMode say of each module.

What enters is a real module with real tensors; what leaves is, per module path, how much each operator added by that
tool's own account (fvcore: MACs; torch: FLOPs at two per MAC). Both run under torch.no_grad, on whatever device the
module is on, and leave nothing behind.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ..tracing.attribution import ModulePath

__all__ = ["PeerCount", "count_with_fvcore", "count_with_torch"]

_WRAPPED = "module"


@dataclass(frozen=True, slots=True)
class PeerCount:
    """One tool's account: path -> operator -> amount, what it saw without a formula, and why it failed, if it did."""

    tool: str
    version: str
    by_module: dict[str, Counter[str]] = field(default_factory=dict)
    without_formula: dict[str, Counter[str]] = field(default_factory=dict)
    failure: str | None = None


class _Positional(nn.Module):
    """The module as the tools want it: positional tensors in, a tuple of tensors out."""

    def __init__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.module = module
        leaves, self.structure = pytree.tree_flatten((args, kwargs))
        self.constants = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = list(self.constants)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        result = self.module(*args, **kwargs)
        found = result.values() if hasattr(result, "values") and not isinstance(result, torch.Tensor) else result
        return tuple(leaf for leaf in pytree.tree_leaves(list(found) if found is not result else result)
                     if isinstance(leaf, torch.Tensor))  # fmt: skip


def count_with_fvcore(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PeerCount:
    """FvCore's trace of the real forward pass: MACs, which it calls flops."""
    from importlib.metadata import version

    with _quiet():  # importing it warns too
        from fvcore.nn import FlopCountAnalysis

    wrapped = _Positional(module, args, kwargs)
    wrapped.train(module.training)
    analysis = FlopCountAnalysis(wrapped, wrapped.tensors)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    try:
        with _quiet(), torch.no_grad():
            inclusive = analysis.by_module_and_operator()
            unsupported = {path: analysis.unsupported_ops(path) for path, _ in wrapped.named_modules()}
    except Exception as error:  # fvcore's handles assert, and its tracer raises whatever the module does
        return PeerCount("fvcore", version("fvcore"), failure=f"{type(error).__name__}: {error}".splitlines()[0])
    return PeerCount(
        "fvcore", version("fvcore"), _own(module, _unwrapped(inclusive)), _own(module, _unwrapped(unsupported))
    )


def _unwrapped(by_module: Any) -> dict[str, Counter[str]]:
    """Paths below the wrapper, and exact integers (fvcore computes some in floats)."""
    found = {}
    for path, ops in by_module.items():
        if path == _WRAPPED or path.startswith(f"{_WRAPPED}."):
            found[path[len(_WRAPPED) + 1 :]] = Counter({op: int(amount) for op, amount in ops.items()})
    return found


def _own(module: nn.Module, inclusive: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """What a module adds itself: its inclusive count less that of its children."""
    own = {path: Counter(inclusive.get(path, Counter())) for path, _ in module.named_modules()}
    for path, _ in module.named_modules():
        parent = path.rpartition(".")[0]
        if path and parent in own:
            own[parent].subtract(inclusive.get(path, Counter()))
    return {path: Counter({op: n for op, n in ops.items() if n}) for path, ops in own.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Fvcore warns and logs of every operator it does not know; here they are causes, told in our own words."""
    logger = logging.getLogger("fvcore.nn.jit_analysis")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled


class _Listener(TorchDispatchMode):
    """Above FlopCounterMode: writes down what each operator adds to its total, and in which module."""

    def __init__(self, counter: Any, path: ModulePath) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counter = counter
        self.path = path
        self.total = 0
        self.by_module: dict[str, Counter[str]] = {}
        self.silent: dict[str, Counter[str]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        total = sum(self.counter.flop_counts["Global"].values())
        added, self.total = total - self.total, total
        name, path = str(getattr(func, "overloadpacket", func)), self.path.path
        if added:
            self.by_module.setdefault(path, Counter())[name] += added
        else:
            self.silent.setdefault(path, Counter())[name] += 1
        return result


def count_with_torch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PeerCount:
    """FlopCounterMode on the real forward pass: FLOPs at two per MAC, zero for what it has no formula for."""
    from torch.utils.flop_counter import FlopCounterMode

    version = torch.__version__.partition("+")[0]  # which build it is does not matter to the formulas
    counter = FlopCounterMode(display=False)
    path = ModulePath(module)
    listener = _Listener(counter, path)
    try:
        with torch.no_grad(), counter, path, listener:
            module(*args, **kwargs)
    except Exception as error:  # whatever the module raises on real tensors
        return PeerCount("torch", version, failure=f"{type(error).__name__}: {error}".splitlines()[0])
    return PeerCount("torch", version, listener.by_module, listener.silent)
