"""What a tool's formulas count, matched with our operators: the causes of its difference.

A claim is one call of one of the tool's formulas. It covers operators of ours (then both count the same products), and
has extras: what the formula gives beyond those products, computed from shapes. The tool does
not count what no claim covers, and adds a module once per parent through which it reaches it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from ..core.one_line import OneLine
from ..core.ops import CostedOp, ModuleCall
from ..core.reason import Reason
from ..tracing.torch_private import ConvNd, ConvTransposeNd
from .peer import Cause
from .watched import Watched

__all__ = [
    "Claim",
    "Extras",
    "claims_of_hooks",
    "explain",
    "layer_products",
    "positions",
    "product",
    "unrecognised",
    "visits",
    "weights",
]

Extras = tuple[tuple[Reason, int], ...]
"""What a formula gives beyond our products: why, and how much."""


@dataclass(frozen=True, slots=True)
class Claim(OneLine):
    """One call of a formula: `covers` our products or not, of the whole module or of the operator `at` an index.

    `products` is their number by the formula of a function; it counts twice where the module has a claim too.
    `shared` claims are added once per place of the module.
    """

    path: str
    op: str
    extras: Extras = ()
    covers: bool = False
    at: int | None = None
    products: int = 0
    shared: bool = True


_TWICE = Reason("counts the same products a second time")


def explain(
    tool: str,
    watched: Watched,
    claims: Iterable[Claim],
    places: Counter[str],
    absence: Callable[[nn.Module, CostedOp], Reason],
    repetition: Callable[[str, int], Reason],
) -> Iterator[Cause]:
    """Every cause of one tool: what its formulas add, what it does not count, what it adds several times."""
    claims = list(claims)
    whole = {claim.path for claim in claims if claim.covers and claim.at is None}
    products = {i: op for i, op in enumerate(watched.ops) if op.kind.contracts and op.work.macs}
    left = {i for i, op in products.items() if op.op.module not in whole}
    single = Counter(dict.fromkeys(places, 0))
    for i in products.keys() - left:
        single[products[i].op.module] += products[i].work.macs
    for claim in claims:
        extras = list(claim.extras)
        if claim.covers and claim.at is not None:
            if claim.path in whole:
                extras = [(_TWICE, claim.products), *extras]
            elif claim.at in left:
                left.remove(claim.at)
                single[claim.path] += products[claim.at].work.macs * claim.shared
        for why, amount in extras:
            single[claim.path] += amount * claim.shared
            if amount:
                yield Cause(tool, claim.path, claim.op, why, amount)
    for i in sorted(left):
        op = products[i]
        why = absence(watched.modules[op.op.module], op)
        yield Cause(tool, op.op.module, op.name, why, -op.work.macs)
    for path, amount in single.items():
        times = places[path]
        if times != 1 and amount:
            yield Cause(tool, path, _type(watched.modules[path]), repetition(path, times), amount * (times - 1))


def _type(module: nn.Module) -> str:
    return type(module).__name__


def claims_of_hooks(
    watched: Watched, hooks: Container[Any], formula: Callable[[Any, ModuleCall], tuple[Extras, bool]]
) -> list[Claim]:
    """The claims of a tool that goes by exact types; `formula` gives a call's extras, and whether it covers ours."""
    return [
        Claim(call.module, _type(module), *formula(module, call))
        for call in watched.calls
        if type(module := watched.modules[call.module]) in hooks and call.inputs and call.outputs
    ]


def unrecognised(module: nn.Module, hooks: Container[Any]) -> Reason:
    """Why such a tool does not count what a module does."""
    base = next((kind for kind in type(module).__mro__ if kind in hooks), None)
    if base is type(module):
        return Reason("counts no products in a {}", (base.__name__,))
    if base is not None:
        return Reason("does not recognise {}, a subclass of {}", (_type(module), base.__name__))
    return Reason("has no hook for {}", (_type(module),))


def visits(root: nn.Module, stops: Callable[[nn.Module], bool] = lambda module: False) -> Counter[str]:
    """How often a walk through `children()` reaches each module: once per parent that holds it, never below a stop."""
    names = {id(module): name for name, module in root.named_modules()}
    places: Counter[str] = Counter(dict.fromkeys(names.values(), 0))

    def walk(module: nn.Module) -> None:
        places[names[id(module)]] += 1
        if not stops(module):
            for child in module.children():
                walk(child)

    walk(root)
    return places


def weights(module: nn.Module) -> int:
    """Elements of a layer's weights, without biases."""
    return sum(p.numel() for name, p in module.named_parameters(recurse=False) if "bias" not in name)


def layer_products(module: nn.Module, call: ModuleCall) -> int:
    """The products of a call of a known layer; 0 for any other module."""
    return weights(module) * (positions(module, call) or 0)


def positions(module: nn.Module, call: ModuleCall) -> int | None:
    """How often a call of a known layer multiplies each of its weights; None for any other module."""
    first = call.inputs[0] if call.inputs else ()
    if isinstance(module, ConvNd):
        rank = len(module.kernel_size)
        shape = first if isinstance(module, ConvTransposeNd) else call.outputs[0]
        return prod(shape[: len(shape) - rank - 1]) * prod(shape[len(shape) - rank :])
    if isinstance(module, (nn.Linear, nn.RNNBase, nn.RNNCellBase)):
        return prod(first[:-1])
    return None


def product(first: Any, second: Any) -> tuple[int, Extras]:
    """The products of a matmul, and what `prod(first) * second[-1]` adds for a vector or leaves out of a broadcast."""
    claimed = prod(first) * second[-1]
    rows = first[-2] if len(first) > 1 else 1
    columns = second[-1] if len(second) > 1 else 1
    true = prod(torch.broadcast_shapes(first[:-2], second[:-2])) * rows * first[-1] * columns
    return true, ((_COLUMNS if len(second) == 1 else _NOT_REPEATED, claimed - true),)


_COLUMNS = Reason("counts a vector's length as columns")
_NOT_REPEATED = Reason("does not repeat what is broadcast")
