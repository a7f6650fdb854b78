"""calflops' `calculate_flops`, run for real: MACs, and FLOPs that are not twice as many.

What enters is a real module with real tensors; what leaves is calflops' MACs of each module, every call of its formulas
for functions, and what ran meanwhile. Its lists of counts, which stay filled when a module raises, are emptied.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from torch import nn

from .claims import visits
from .peer import PeerCount, quiet
from .ptflops_run import name_of
from .watched import Journal, Watched, watch

__all__ = ["run_calflops"]


def run_calflops(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[PeerCount, Watched]:
    """What calflops says of one forward pass in eval mode."""
    with quiet():  # it imports transformers
        from calflops import calculate_flops, calculate_pipline, flops_counter, pytorch_ops

    macs: Counter[str] = Counter()
    names = {id(part): name for name, part in module.named_modules()}

    class Pipeline(calculate_pipline.CalFlopsPipline):  # type: ignore[misc]  # which is untyped
        """calflops' own, read before it takes its counts off the modules."""

        def end_flops_calculate(self) -> None:
            parts: Any = module.modules()
            macs.update({names[id(part)]: int(part.__macs__) for part in parts})
            super().end_flops_calculate()

    def call(journal: Journal) -> Any:
        macs.clear()
        wrap = _noting(pytorch_ops.wrapFunc, journal)
        with _replaced(pytorch_ops, "wrapFunc", wrap), _replaced(flops_counter, "CalFlopsPipline", Pipeline):
            given = {"args": list(args), "kwargs": dict(kwargs)}
            return calculate_flops(module, **given, output_as_string=False, print_results=False, print_detailed=False)

    try:
        (flops, printed, _), watched = watch(module, call)
    finally:
        calculate_pipline.module_flop_count.clear()
        calculate_pipline.module_mac_count.clear()
    places = visits(module)
    total = Counter({path: amount * places[path] for path, amount in macs.items()})
    total[""] += int(printed) - sum(total.values())
    remark = f"and {int(flops):,} FLOPs" + (", which are not twice that" if flops != 2 * printed else "")
    return PeerCount("calflops", version("calflops"), dict(total), printed=int(printed), remark=remark), watched


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _noting(wrap: Callable[..., Any], journal: Journal) -> Callable[..., Any]:
    """The patch of one function, its formula noting every call."""

    def noting(function: Any, formula: Callable[..., tuple[Any, Any]], *lists: Any) -> Any:
        name = name_of(function)

        def noted(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
            flops, macs = formula(*args, **kwargs)
            journal.note(name, args, kwargs, int(macs))
            return flops, macs

        return wrap(function, noted, *lists)

    return noting
