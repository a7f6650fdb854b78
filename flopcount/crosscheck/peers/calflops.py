"""calflops' `calculate_flops`, run for real, and why its count differs: MACs, and FLOPs not twice as many.

What enters is a real module with real tensors; what leaves is calflops' MACs of each module and the causes, by the MACs
of its formulas (calflops/pytorch_ops.py) on the shapes of each call. calflops patches functions and hooks no modules
but recurrent ones, to which it gives FLOPs and no MACs. It does not count what no patched function computes, and
adds a shared module once per place. Its lists of counts, which stay filled when a module raises, are emptied.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from torch import nn

from ...core.ops import CostedOp, Kind
from ...core.reason import Reason
from ..claims import Claim, Extras, explain, product, visits
from ..peer import Cause, PeerCount, Subject, quiet
from ..reasons import repeats
from ..watched import FormulaCall, Journal, Watched, watch, watched_peer

__all__ = ["PEER"]

_EINSUM = "torch.einsum"
_NO_MACS = "gives {} FLOPs and no MACs"
_UNPATCHED = Reason("patches no function that computes this")
_DIVIDED_TWICE = Reason("divides by the groups twice")
_LOST = Reason("loses a position of padding='same' where the padding is odd")


def _run(subject: Subject) -> tuple[PeerCount, Watched]:
    """What calflops says of one forward pass in eval mode."""
    with quiet():  # it imports transformers
        from calflops import calculate_flops, calculate_pipline, flops_counter, pytorch_ops

    module = subject.module
    macs: Counter[str] = Counter()
    names = subject.names

    class Pipeline(calculate_pipline.CalFlopsPipline):  # type: ignore[misc]  # which is untyped
        """calflops' own pipeline, read before it removes its counts from the modules."""

        def end_flops_calculate(self) -> None:
            parts: Any = module.modules()
            macs.update({names[id(part)]: int(part.__macs__) for part in parts})
            super().end_flops_calculate()

    def call(journal: Journal) -> Any:
        macs.clear()
        wrap = _noting(pytorch_ops.wrapFunc, journal)
        with _replaced(pytorch_ops, "wrapFunc", wrap), _replaced(flops_counter, "CalFlopsPipline", Pipeline):
            arguments = {"args": list(subject.args), "kwargs": dict(subject.kwargs)}
            return calculate_flops(
                module, **arguments, output_as_string=False, print_results=False, print_detailed=False
            )

    try:
        (flops, printed, _), watched = watch(module, call)
    finally:
        calculate_pipline.module_flop_count.clear()
        calculate_pipline.module_mac_count.clear()
    places = visits(module)
    total = Counter({path: amount * places[path] for path, amount in macs.items()})
    remark = f"and {int(flops):,} FLOPs" + (", which are not twice that" if flops != 2 * printed else "")
    return PEER.count(total, int(printed), remark=remark), watched


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

    def noting_wrap(function: Any, formula: Callable[..., tuple[Any, Any]], *lists: Any) -> Any:
        return wrap(function, journal.note_calls(function, formula, lambda result: int(result[1])), *lists)

    return noting_wrap


def _causes(subject: Subject, watched: Watched) -> Iterator[Cause]:
    """One cause per formula that differs, per operator without one, per shared module."""
    einsum = {
        place for call in watched.formula_calls if call.function == _EINSUM for place in _parts(call, watched.ops)
    }
    without_macs = {id(watched.ops[place]) for place in einsum}

    def absence(module: nn.Module, op: CostedOp) -> Reason:
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            return Reason(_NO_MACS, (type(module).__name__,))
        return Reason(_NO_MACS, (_EINSUM,)) if id(op) in without_macs else _UNPATCHED

    claims = [claim for call in watched.formula_calls if (claim := _claim(call))]
    yield from explain(PEER.name, watched, claims, visits(subject.module), absence, lambda path, times: repeats(times))


def _parts(call: FormulaCall, ops: Sequence[CostedOp]) -> Iterator[int]:
    """The products that a sum came apart into: one fewer than its operands, with nothing but moves between them."""
    expected = len(call.args) - 2
    for place in range(call.at, len(ops)):
        if not expected or not (ops[place].kind.contracts or ops[place].kind in (Kind.VIEW, Kind.MOVEMENT)):
            return
        if ops[place].work.macs:
            expected -= 1
            yield place


def _claim(call: FormulaCall) -> Claim | None:
    """The products of one patched function, and how its formula counts them differently."""
    name = call.function.partition(".")[2]
    if name == "linear":
        extras: Extras = ()
    elif name.startswith("conv_transpose"):
        extras = _transposed(call)
    elif name.startswith("conv"):
        extras = _convolution(call)
    elif name == "matmul":
        extras = product(*_named(call, "input", "other"))[1]
    elif name in ("addmm", "baddbmm"):
        extras = product(*_named(call, "input", "mat1", "mat2")[1:])[1]
    else:
        return None
    return Claim(call.path, call.function, extras, covers=True, at=call.at)


def _named(call: FormulaCall, *names: str) -> list[Any]:
    return [_argument(call, name, place, None) for place, name in enumerate(names)]


def _argument(call: FormulaCall, name: str, place: int, default: Any) -> Any:
    return call.args[place] if len(call.args) > place else call.kwargs.get(name, default)


def _transposed(call: FormulaCall) -> Extras:
    """Its weight has output channels per group already, and calflops divides by the groups once more."""
    shape, weight = _named(call, "input", "weight")
    groups = _argument(call, "groups", 6, 1)
    per_position = prod(weight[2:]) * shape[1]
    positions = shape[0] * prod(shape[2:])
    claimed = per_position * (weight[1] // groups) * positions
    return ((_DIVIDED_TWICE, claimed - per_position * weight[1] * positions),)


def _convolution(call: FormulaCall) -> Extras:
    """For padding='same' it uses the smaller half on both sides, and loses a position where the sum is odd."""
    shape, weight = _named(call, "input", "weight")
    if _argument(call, "padding", 4, 0) != "same":
        return ()
    dilation = _argument(call, "dilation", 5, 1)
    dilations = dilation if isinstance(dilation, tuple) else (dilation,) * len(shape[2:])
    sizes = zip(shape[2:], weight[2:], dilations, strict=True)
    claimed = prod(size + 2 * (step * (kernel - 1) // 2) - step * (kernel - 1) for size, kernel, step in sizes)
    return ((_LOST, prod(weight) * shape[0] * (claimed - prod(shape[2:]))),)


PEER = watched_peer("calflops", _run, _causes, "calflops>=0.3.2", "transformers>=4.57")  # which it imports
