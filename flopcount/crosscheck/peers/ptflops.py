"""Why ptflops says something else: the formulas of its default backend (ptflops/pytorch_ops.py) on our module calls.

ptflops hooks modules by their exact type and patches some functions of torch besides, so that a module which calls one
is counted twice. It sums modules, a shared one once per place and none below a hooked one, divides that by the batch
and adds the functions undivided.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from ...core.ops import CostedOp, ModuleCall
from ..claims import Claim, explain, positions, unrecognised, visits, weights
from ..peer import CONTRACTIONS, Cause, quiet
from ..watched import Asked, Watched

__all__ = ["broadcast", "product", "ptflops_causes"]

Extras = tuple[tuple[str, int], ...]


def ptflops_causes(root: nn.Module, watched: Watched, batch: int) -> Iterator[Cause]:
    """One cause per formula that gives something else, per operator that none is for, and one for the division."""
    with quiet():
        from ptflops.pytorch_ops import MODULES_MAPPING

    def absence(module: nn.Module, op: CostedOp) -> str:
        return f"{unrecognised(module, MODULES_MAPPING)}, and patches no function that it calls for this"

    hooked = [
        Claim(call.module, type(module).__name__, *_formula(module, call))
        for call in watched.calls
        if type(module := watched.modules[call.module]) in MODULES_MAPPING and call.inputs and call.outputs
    ]
    functions = [_function(asked) for asked in watched.asked]
    places = visits(root, lambda module: type(module) in MODULES_MAPPING)
    causes = list(explain("ptflops", watched, [*hooked, *functions], places, absence, _repetition))
    yield from causes
    ours = sum(op.work.macs for op in watched.ops if op.kind in CONTRACTIONS)
    undivided = ours + sum(cause.amount for cause in causes)
    added = sum(claim.products + sum(amount for _, amount in claim.extras) for claim in functions)
    divided = int((undivided - added) / batch + added)
    if divided != undivided:
        why = f"divides what modules count by the length of the first argument, {batch}"
        yield Cause("ptflops", "", type(root).__name__, why, divided - undivided)


def _repetition(path: str, places: int) -> str:
    return (
        f"adds a shared module once for each of its {places} places" if places else "adds nothing below a hooked module"
    )


def _formula(module: Any, call: ModuleCall) -> tuple[Extras, bool]:
    """What ptflops adds to the products of one call, and whether there are products in its formula at all."""
    kind, given, out = type(module), call.inputs[0], call.outputs[0]
    if isinstance(module, _ConvNd):
        return _convolution(module, call), True
    if isinstance(module, nn.Linear):
        return (("adds the bias", prod(out) if module.bias is not None else 0),), True
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return _recurrence(module, call), True
    if isinstance(module, nn.MultiheadAttention):
        return _attention(module, call), True
    if kind.__name__ == "Attention":  # of timm's vision transformer
        samples, tokens, _ = given
        heads = module.num_heads
        scaling, softmax = tokens * module.head_dim * heads, heads * tokens * tokens
        return (("adds the scaling", samples * scaling), ("adds 1 per score", samples * softmax)), True
    if kind.__name__.startswith(("MaxPool", "AvgPool", "Adaptive")):
        return (("adds 1 per input element", prod(given)),), False
    if isinstance(module, nn.Upsample):
        return (("adds 1 per output element of the first sample", prod(out[1:])),), False
    if "Norm" in kind.__name__:
        count = 2 if getattr(module, "affine", False) else 1
        return ((f"adds {count} per element", count * prod(given)),), False
    return (("adds 1 per element", prod(out)),), False


def _convolution(module: Any, call: ModuleCall) -> Extras:
    given, out = call.inputs[0], call.outputs[0]
    spatial = given[2:] if module.transposed else out[2:]
    claimed = weights(module) * given[0] * prod(spatial)
    bias = given[0] * prod(out[1:]) if module.bias is not None else 0
    unbatched = claimed - weights(module) * (positions(module, call) or 0)
    return (("adds the bias", bias), ("takes the first axis of unbatched input for the batch", unbatched))


def _recurrence(module: Any, call: ModuleCall) -> Extras:
    """Per layer, step and sample: products of one direction, so much per hidden unit, both biases; all × directions."""
    given, hidden = call.inputs[0], module.hidden_size
    steps = given[0] if isinstance(module, nn.RNNCellBase) else given[0] * given[1]
    directions = 2 if getattr(module, "bidirectional", False) else 1
    repeated = steps * directions
    forward = {name: p for name, p in module.named_parameters() if not name.endswith("_reverse")}
    matrices = sum(p.numel() for name, p in forward.items() if "weight_ih" in name or "weight_hh" in name)
    bias = sum(p.numel() for name, p in forward.items() if "bias" in name)
    count = 1 if isinstance(module, (nn.RNN, nn.RNNCell)) else 7 if isinstance(module, (nn.GRU, nn.GRUCell)) else 10
    true = weights(module) * (positions(module, call) or 0)
    return (
        ("assumes plain layers and sequences of full length", matrices * repeated - true),
        (f"adds {count} per hidden unit", count * hidden * getattr(module, "num_layers", 1) * repeated),
        ("adds the bias", bias * repeated),
    )


def _attention(module: Any, call: ModuleCall) -> Extras:
    """Four projections as if all were square, scores and weighted sum, and what is not a product."""
    shapes = [shape if module.batch_first else (shape[1], shape[0], shape[2]) for shape in call.inputs[:3]]
    (samples, queries, width), (_, keys, key_width), (_, values, value_width) = shapes
    heads = module.num_heads
    squares = keys * key_width * (key_width - width) + values * value_width * (value_width - width)
    sums = heads * queries * keys * (value_width // heads) - queries * keys * width
    out = queries * value_width * value_width - queries * width * width
    bias = (queries + keys + values) * width if module.in_proj_bias is not None else 0
    extras = {
        "takes projections for square": squares + sums + out,
        "adds the scaling": queries * width,
        "adds 1 per score": heads * queries * keys,
        "adds the bias": bias + queries * value_width,
    }
    return tuple((why, samples * amount) for why, amount in extras.items())


def _function(asked: Asked) -> Claim:
    """A patched function: products of ours, or one per element of something."""
    name = asked.function
    args = (*asked.args, *asked.kwargs.values())
    short = name.partition(".")[2]
    if short in ("matmul", "mm", "bmm"):
        claimed, extras = product(*args[:2])
        return Claim(asked.path, name, extras, covers=True, at=asked.at, products=claimed, shared=False)
    if short in ("addmm", "baddbmm"):
        claimed, extras = product(*args[1:3])
        summed = prod(args[0]) if asked.kwargs.get("beta", 1) else 0
        extras = (*extras, ("adds 1 per element of the summand", summed))
        return Claim(asked.path, name, extras, covers=True, at=asked.at, products=claimed, shared=False)
    if short in ("mul", "add"):
        amount, why = broadcast(*args[:2]), "adds 1 per element"
    elif short in ("interpolate", "upsample"):
        amount, why = _interpolated(asked), "adds 1 per output element"
    else:
        amount, why = prod(args[0]), "adds 1 per input element"
    return Claim(asked.path, name, ((why, amount),), shared=False)


def product(first: Any, second: Any) -> tuple[int, Extras]:
    """`prod(first) * second[-1]`, and by how much that is not the product: a vector on the right, or broadcasting."""
    claimed = prod(first) * second[-1]
    rows = first[-2] if len(first) > 1 else 1
    columns = second[-1] if len(second) > 1 else 1
    true = prod(torch.broadcast_shapes(first[:-2], second[:-2])) * rows * first[-1] * columns
    why = "counts a vector's length as columns" if len(second) == 1 else "does not repeat what is broadcast"
    return true, ((why, claimed - true),)


def broadcast(first: Any, second: Any) -> int:
    """Elements of two operands side by side from the first axis on, which is where ptflops lines them up."""
    shapes = [shape if isinstance(shape, torch.Size) else () for shape in (first, second)]
    length = max(map(len, shapes))
    padded = [(*shape, *[1] * (length - len(shape))) for shape in shapes]
    return prod(map(max, *padded)) if length else 1


def _interpolated(asked: Asked) -> int:
    """Output elements: the size asked for, or the input scaled along each axis."""
    given: tuple[int, ...] = asked.args[0] if asked.args else asked.kwargs["input"]
    size: Any = asked.args[1] if len(asked.args) > 1 else asked.kwargs.get("size")
    scale: Any = asked.args[2] if len(asked.args) > 2 else asked.kwargs.get("scale_factor")
    rank = len(given) - 2
    if size is not None:
        return prod(given[:2]) * (prod(size) if isinstance(size, (tuple, list)) else int(size) ** rank)
    return int(prod(given) * (prod(scale) if isinstance(scale, tuple) and len(scale) == rank else scale**rank))
