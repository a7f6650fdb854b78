"""Why calflops says something else: the MACs of its formulas (calflops/pytorch_ops.py) on the shapes of each call.

calflops patches functions and hooks no modules but recurrent ones, to which it gives FLOPs and no MACs. What no patched
function computes it does not count; a shared module it adds once per place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from torch import nn

from ...core.ops import CostedOp, Kind
from ..claims import Claim, explain, visits
from ..peer import CONTRACTIONS, Cause
from ..watched import Asked, Watched
from .ptflops import product

__all__ = ["calflops_causes"]

_EINSUM = "torch.einsum"
Extras = tuple[tuple[str, int], ...]


def calflops_causes(root: nn.Module, watched: Watched) -> Iterator[Cause]:
    """One cause per formula that gives something else, per operator without one, per shared module."""
    einsum = {place for asked in watched.asked if asked.function == _EINSUM for place in _parts(asked, watched.ops)}
    without_macs = {id(watched.ops[place]) for place in einsum}

    def absence(module: nn.Module, op: CostedOp) -> str:
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            return f"gives {type(module).__name__} FLOPs and no MACs"
        return (
            f"gives {_EINSUM} FLOPs and no MACs" if id(op) in without_macs else "patches no function that computes this"
        )

    claims = [claim for asked in watched.asked if (claim := _claim(asked))]
    yield from explain("calflops", watched, claims, visits(root), absence, _repetition)


def _parts(asked: Asked, ops: Sequence[CostedOp]) -> Iterator[int]:
    """The products that a sum came apart into: one fewer than its operands, with nothing but moves between them."""
    expected = len(asked.args) - 2
    for place in range(asked.at, len(ops)):
        if not expected or ops[place].kind not in (*CONTRACTIONS, Kind.VIEW, Kind.MOVEMENT):
            return
        if ops[place].work.macs:
            expected -= 1
            yield place


def _repetition(path: str, places: int) -> str:
    return f"adds a shared module once for each of its {places} places"


def _claim(asked: Asked) -> Claim | None:
    """The products of one patched function, and what its formula makes of them otherwise."""
    name = asked.function.partition(".")[2]
    if name == "linear":
        extras: Extras = ()
    elif name.startswith("conv_transpose"):
        extras = _transposed(asked)
    elif name.startswith("conv"):
        extras = _convolution(asked)
    elif name == "matmul":
        extras = product(*_named(asked, "input", "other"))[1]
    elif name in ("addmm", "baddbmm"):
        extras = product(*_named(asked, "input", "mat1", "mat2")[1:])[1]
    else:
        return None
    return Claim(asked.path, asked.function, extras, covers=True, at=asked.at)


def _named(asked: Asked, *names: str) -> list[Any]:
    return [_argument(asked, name, place, None) for place, name in enumerate(names)]


def _argument(asked: Asked, name: str, place: int, default: Any) -> Any:
    return asked.args[place] if len(asked.args) > place else asked.kwargs.get(name, default)


def _transposed(asked: Asked) -> Extras:
    """Its weight has output channels per group already, and calflops divides by the groups once more."""
    given, weight = _named(asked, "input", "weight")
    groups = _argument(asked, "groups", 6, 1)
    per_position = prod(weight[2:]) * given[1]
    positions = given[0] * prod(given[2:])
    claimed = per_position * (weight[1] // groups) * positions
    return (("divides by the groups twice", claimed - per_position * weight[1] * positions),)


def _convolution(asked: Asked) -> Extras:
    """Of padding='same' it takes the smaller half for both sides, and loses a position where the sum is odd."""
    given, weight = _named(asked, "input", "weight")
    if _argument(asked, "padding", 4, 0) != "same":
        return ()
    dilation = _argument(asked, "dilation", 5, 1)
    dilations = dilation if isinstance(dilation, tuple) else (dilation,) * len(given[2:])
    sizes = zip(given[2:], weight[2:], dilations, strict=True)
    claimed = prod(size + 2 * (step * (kernel - 1) // 2) - step * (kernel - 1) for size, kernel, step in sizes)
    why = "loses a position of padding='same' where the padding is odd"
    return ((why, prod(weight) * given[0] * (claimed - prod(given[2:]))),)
