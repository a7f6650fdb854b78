"""ptflops' default backend (`pytorch`), run for real, and why its count differs: MACs per sample, with bias.

What enters is a real module with real tensors; what leaves is ptflops' count of each module, that of the functions it
patches (charged to the module that ran), and the causes, by the formulas of ptflops/pytorch_ops.py on our module calls.
ptflops hooks modules by their exact type and also patches some functions of torch, so that a module which calls one
is counted twice; many other operations count 1 per element. It sums modules, a shared one once per place and none below
a hooked one, divides the sum by the batch and adds the functions undivided.
"""

from __future__ import annotations

import contextlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import torch
from torch import nn

from ...core.ops import CostedOp, ModuleCall
from ...core.reason import Reason
from ...tracing.torch_private import ConvNd
from ..claims import Claim, Extras, claims_of_hooks, explain, layer_products, product, unrecognised, visits, weights
from ..peer import Cause, PeerCount, Subject, quiet
from ..reasons import BIAS, FULL_LENGTH, SCALING, adds, repeats
from ..watched import FormulaCall, Journal, Watched, watch, watched_peer

__all__ = ["PEER"]


def _run(subject: Subject) -> tuple[PeerCount, Watched]:
    """What ptflops says of one forward pass in eval mode."""
    with quiet():  # it imports timm and torchvision, if they are there
        from ptflops import get_model_complexity_info, pytorch_ops

    module = subject.module
    hooks: dict[Any, Callable[..., None]] = pytorch_ops.MODULES_MAPPING
    macs: Counter[str] = Counter()
    names = subject.names

    def recording(hook: Callable[..., None]) -> Callable[..., None]:
        def recording_hook(part: Any, inputs: Any, result: Any) -> None:
            before = part.__flops__
            hook(part, inputs, result)
            macs[names[id(part)]] += part.__flops__ - before

        return recording_hook

    def call(journal: Journal) -> Any:
        macs.clear()
        with _noting_functions(pytorch_ops, journal):
            return get_model_complexity_info(
                module,
                (1,),  # which the constructor below does not need
                as_strings=False,
                print_per_layer_stat=False,
                backend="pytorch",
                input_constructor=lambda _: _input(module, subject.args, subject.kwargs),
                custom_modules_hooks={kind: recording(hook) for kind, hook in hooks.items()},
            )[0]

    printed, watched = watch(module, lambda journal: _number(call(journal), journal.output.getvalue()))
    places = visits(module, lambda part: type(part) in hooks)
    total = Counter({path: amount * places[path] for path, amount in macs.items()})
    for formula_call in watched.formula_calls:
        total[formula_call.path] += formula_call.amount
    batch = _batch(subject)
    samples = f"per sample: modules' counts divided by {batch}, the length of the first argument" if batch > 1 else ""
    return PEER.count(total, printed, remark=samples), watched  # the division is the model's own


def _batch(subject: Subject) -> int:
    """What ptflops treats as the batch: the length of a lone positional argument, for a list its number of tensors."""
    return len(subject.args[0]) if len(subject.args) == 1 and not subject.kwargs else 1


_APOLOGY = "the following exception:"


def _number(count: int | None, printed: str) -> int:
    """The count; where ptflops swallowed an exception, an error with what it printed."""
    if count is None:
        raise RuntimeError(f"it swallowed {printed.partition(_APOLOGY)[2].strip()}")
    return count


def _input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One positional argument or a dictionary of named ones: ptflops calls a module in no other way."""
    if len(args) == 1 and not kwargs:
        return args[0]
    signature = inspect.signature(module.forward)
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in signature.parameters.values()):
        raise TypeError("it passes a module one positional argument or named ones, not several without names")
    return {**signature.bind_partial(*args).arguments, **kwargs}


@contextlib.contextmanager
def _noting_functions(operators: Any, journal: Journal) -> Iterator[None]:
    """Every formula for a function, each noting its calls, in the tables that it patches torch from."""
    tables = (operators.FUNCTIONAL_MAPPING, operators.TENSOR_OPS_MAPPING)
    before = [dict(table) for table in tables]
    for table in tables:
        for function, formula in table.items():
            table[function] = journal.note_calls(function, _whole(formula))
    try:
        yield
    finally:
        for table, formulas in zip(tables, before, strict=True):
            table.update(formulas)


def _whole(formula: Callable[..., Any]) -> Callable[..., int]:
    return lambda *args, **kwargs: int(formula(*args, **kwargs))


def _causes(subject: Subject, watched: Watched) -> Iterator[Cause]:
    """One cause per formula that differs, per operator without a formula, and one for the division."""
    with quiet():
        from ptflops.pytorch_ops import MODULES_MAPPING

    def absence(module: nn.Module, op: CostedOp) -> Reason:
        return Reason(
            "{}, and patches no function that the module calls here", (unrecognised(module, MODULES_MAPPING),)
        )

    modules = claims_of_hooks(watched, MODULES_MAPPING, _formula)
    functions = [_function(call) for call in watched.formula_calls]
    places = visits(subject.module, lambda module: type(module) in MODULES_MAPPING)
    causes = list(explain(PEER.name, watched, [*modules, *functions], places, absence, _repetition))
    yield from causes
    ours = sum(op.work.macs for op in watched.ops if op.kind.contracts)
    undivided = ours + sum(cause.amount for cause in causes)
    added = sum(claim.products + sum(amount for _, amount in claim.extras) for claim in functions)
    batch = _batch(subject)
    divided = int((undivided - added) / batch + added)
    if divided != undivided:
        why = Reason("divides what modules count by the length of the first argument, {}", (batch,))
        yield Cause(PEER.name, "", type(subject.module).__name__, why, divided - undivided)


def _repetition(path: str, places: int) -> Reason:
    return repeats(places) if places else Reason("adds nothing below a hooked module")


def _formula(module: Any, call: ModuleCall) -> tuple[Extras, bool]:
    """What ptflops adds to the products of one call, and whether there are products in its formula at all."""
    kind, shape, out = type(module), call.inputs[0], call.outputs[0]
    if isinstance(module, ConvNd):
        return _convolution(module, call), True
    if isinstance(module, nn.Linear):
        return ((BIAS, prod(out) if module.bias is not None else 0),), True
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return _recurrence(module, call), True
    if isinstance(module, nn.MultiheadAttention):
        return _attention(module, call), True
    if kind.__name__ == "Attention":  # of timm's vision transformer
        samples, tokens, _ = shape
        heads = module.num_heads
        scaling, softmax = tokens * module.head_dim * heads, heads * tokens * tokens
        return ((SCALING, samples * scaling), (adds(1, "score"), samples * softmax)), True
    if kind.__name__.startswith(("MaxPool", "AvgPool", "Adaptive")):
        return ((adds(1, "input element"), prod(shape)),), False
    if isinstance(module, nn.Upsample):
        return ((adds(1, "output element of the first sample"), prod(out[1:])),), False
    if "Norm" in kind.__name__:
        count = 2 if getattr(module, "affine", False) else 1
        return ((adds(count, "element"), count * prod(shape)),), False
    return ((adds(1, "element"), prod(out)),), False


def _convolution(module: Any, call: ModuleCall) -> Extras:
    shape, out = call.inputs[0], call.outputs[0]
    spatial = shape[2:] if module.transposed else out[2:]
    claimed = weights(module) * shape[0] * prod(spatial)
    bias = shape[0] * prod(out[1:]) if module.bias is not None else 0
    return ((BIAS, bias), (_FIRST_AXIS, claimed - layer_products(module, call)))


_FIRST_AXIS = Reason("treats the first axis of unbatched input as the batch")


def _recurrence(module: Any, call: ModuleCall) -> Extras:
    """Per layer, step and sample: products of one direction, so much per hidden unit, both biases; all × directions."""
    shape, hidden = call.inputs[0], module.hidden_size
    steps = shape[0] if isinstance(module, nn.RNNCellBase) else shape[0] * shape[1]
    directions = 2 if getattr(module, "bidirectional", False) else 1
    passes = steps * directions
    forward = {name: p for name, p in module.named_parameters() if not name.endswith("_reverse")}
    matrices = sum(p.numel() for name, p in forward.items() if "weight_ih" in name or "weight_hh" in name)
    bias = sum(p.numel() for name, p in forward.items() if "bias" in name)
    count = 1 if isinstance(module, (nn.RNN, nn.RNNCell)) else 7 if isinstance(module, (nn.GRU, nn.GRUCell)) else 10
    return (
        (FULL_LENGTH, matrices * passes - layer_products(module, call)),
        (adds(count, "hidden unit"), count * hidden * getattr(module, "num_layers", 1) * passes),
        (BIAS, bias * passes),
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
        Reason("treats projections as square"): squares + sums + out,
        SCALING: queries * width,
        adds(1, "score"): heads * queries * keys,
        BIAS: bias + queries * value_width,
    }
    return tuple((why, samples * amount) for why, amount in extras.items())


def _function(call: FormulaCall) -> Claim:
    """A patched function: products of ours, or one per element of something."""
    name = call.function
    args = (*call.args, *call.kwargs.values())
    short = name.partition(".")[2]
    if short in ("matmul", "mm", "bmm"):
        claimed, extras = product(*args[:2])
        return Claim(call.path, name, extras, covers=True, at=call.at, products=claimed, shared=False)
    if short in ("addmm", "baddbmm"):
        claimed, extras = product(*args[1:3])
        summand = prod(args[0]) if call.kwargs.get("beta", 1) else 0
        extras = (*extras, (adds(1, "element of the summand"), summand))
        return Claim(call.path, name, extras, covers=True, at=call.at, products=claimed, shared=False)
    if short in ("mul", "add"):
        amount, why = _broadcast(*args[:2]), adds(1, "element")
    elif short in ("interpolate", "upsample"):
        amount, why = _interpolated(call), adds(1, "output element")
    else:
        amount, why = prod(args[0]), adds(1, "input element")
    return Claim(call.path, name, ((why, amount),), shared=False)


def _broadcast(first: Any, second: Any) -> int:
    """Elements of two operands side by side from the first axis on, which is where ptflops lines them up."""
    shapes = [shape if isinstance(shape, torch.Size) else () for shape in (first, second)]
    length = max(map(len, shapes))
    padded = [(*shape, *[1] * (length - len(shape))) for shape in shapes]
    return prod(map(max, *padded)) if length else 1


def _interpolated(call: FormulaCall) -> int:
    """Output elements: the size asked for, or the input scaled along each axis."""
    shape: tuple[int, ...] = call.args[0] if call.args else call.kwargs["input"]
    size: Any = call.args[1] if len(call.args) > 1 else call.kwargs.get("size")
    scale: Any = call.args[2] if len(call.args) > 2 else call.kwargs.get("scale_factor")
    rank = len(shape) - 2
    if size is not None:
        return prod(shape[:2]) * (prod(size) if isinstance(size, (tuple, list)) else int(size) ** rank)
    return int(prod(shape) * (prod(scale) if isinstance(scale, tuple) and len(scale) == rank else scale**rank))


PEER = watched_peer("ptflops", _run, _causes, "ptflops>=0.7.5")
