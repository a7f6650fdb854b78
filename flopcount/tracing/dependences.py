"""What each operator's result can see of what its arguments can see: one function per family of operators.

A function here takes a Call (arguments by schema name, tensors with their lineage) and one of its Reaches at a time;
an operator that is not in the table, and is neither elementwise nor a reduction by its cost rule, loses the lineage
and is named as the one that did. What an attention mask hides is not known here: masked attention counts as seeing
everything it could attend to, except where the operator itself says that it is causal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..ops import Kind, Signature
from ..rules import find_rule
from .reach import (
    Reach,
    broadcast,
    joined,
    mixed_channels,
    padded,
    picked,
    reduced,
    reshaped,
    running,
    side_by_side,
    viewed,
    windowed,
)

__all__ = ["Call", "rule_of"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator along one axis of the input: what each tensor argument sees, and the shapes.

    `given` are the arguments by schema name, defaults filled in; `see` gives a tensor's Reach, or None for a constant.
    """

    func: Any
    given: dict[str, Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    see: Callable[[Tensor], Reach | None]
    results: tuple[Tensor, ...]

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the (first) result."""
        return tuple(self.results[0].shape)

    def reach(self, name: str = "") -> Reach | None:
        """Of the named argument, or of the first."""
        value = self.given[name] if name else next(iter(self.given.values()))
        return self.see(value) if isinstance(value, Tensor) else None

    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments."""
        found: list[Tensor] = []
        for value in self.given.values():
            found += [v for v in (value if isinstance(value, (list, tuple)) else (value,)) if isinstance(v, Tensor)]
        return found

    def seen(self) -> list[Reach]:
        """The reaches of all arguments that have one."""
        return [reach for tensor in self.tensors() if (reach := self.see(tensor)) is not None]


Answer: TypeAlias = "Reach | Sequence[Reach | None] | None"
Rule: TypeAlias = Callable[[Call], Answer]
"""Returns the reach of the result (or of each result); None where this call is beyond it."""

_RULES: dict[str, Rule] = {}


def dependence(*names: str) -> Callable[[Rule], Rule]:
    """Register a function for operators of aten."""

    def register(function: Rule) -> Rule:
        _RULES.update({f"aten.{name}": function for name in names})
        return function

    return register


def rule_of(func: Any) -> Rule | None:
    """The dependence of an operator: by name, else by the kind of its cost rule."""
    name = str(func.overloadpacket)
    found = _RULES.get(name) or _RULES.get(name[:-1] if name.endswith("_") else name)
    if found is not None:
        return found
    cost = find_rule(Signature(name, func._overloadname, {}, ()))
    if cost is not None and cost.kind in (Kind.ACTIVATION, Kind.ELEMENTWISE):
        return elementwise
    if cost is not None and cost.kind is Kind.REDUCE and any(a.name in ("dim", "self") for a in func._schema.arguments):
        return reduction
    return None


def _sizes(value: Any, axes: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values if len(values) == axes else values * axes


def _axes(value: Any, ndim: int) -> list[int]:
    if value is None or value == []:
        return list(range(ndim))
    return [axis % max(ndim, 1) for axis in ([value] if isinstance(value, int) else value)]


@dependence("masked_fill", "where", "addcmul", "addcdiv", "lerp", "_to_copy", "clone", "contiguous", "to", "type_as",
            "copy", "detach", "alias", "lift_fresh", "dropout", "feature_dropout", "alpha_dropout", "native_dropout", "bernoulli",
            "feature_alpha_dropout", "resolve_conj", "resolve_neg", "positive",
            )  # fmt: skip
def elementwise(call: Call) -> Answer:
    """Each element of the result sees what the elements at its place see."""
    shapes = [tuple(tensor.shape) for tensor in call.tensors()]
    if torch.broadcast_shapes(*shapes) != call.out:
        return None
    return joined(call.seen(), len(call.out))


@dependence("softmax", "_softmax", "log_softmax", "_log_softmax", "sort")
def along_one_axis(call: Call) -> Answer:
    """Each element sees all along one axis."""
    reach = call.reach()
    return [reduced(reach, [call["dim"]])] * len(call.results) if reach else None


@dependence("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
def cumulative(call: Call) -> Answer:
    """Each element sees those before it."""
    reach = call.reach()
    return [running(reach, call["dim"])] * len(call.results) if reach else None


@dependence("topk", "kthvalue", "median", "mode")
def reduction(call: Call) -> Answer:
    """Axes folded away, or kept with fewer elements."""
    reach, tensors = call.reach(), call.tensors()
    if reach is None or len(tensors) > 1:
        return elementwise(call)
    ndim = len(reach.shape)
    axes = _axes(call.given.get("dim"), ndim)
    found = reduced(reach, axes)
    if len(call.out) == ndim:
        return [found] * len(call.results)
    kept = [axis for axis in range(ndim) if axis not in axes]
    gone = found.map(lambda x: x.squeeze(axes), [found.jumps[axis] for axis in kept])
    return [gone] * len(call.results)


# Layers


@dependence("linear")
def linear(call: Call) -> Answer:
    """Every output feature sees all input features."""
    reach = call.reach()
    return reduced(reach, [-1]) if reach else None


@dependence("matmul", "mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addbmm", "__matmul__")
def matmul(call: Call) -> Answer:
    """Element (n, m) sees row n of the one and column m of the other."""
    pair = [value for name, value in call.given.items() if name not in ("self", "input") and isinstance(value, Tensor)]
    names = ("batch1", "batch2") if "batch1" in call.given else ("mat1", "mat2") if "mat1" in call.given else ()
    if str(call.func.overloadpacket) == "aten.addbmm":
        return None
    left, right = (call[name] for name in names) if names else (next(iter(call.given.values())), pair[0])
    if left.ndim < 2 or right.ndim < 2:
        return None
    rows, columns = call.see(left), call.see(right)
    parts = [reduced(rows, [-1])] if rows else []
    parts += [reduced(columns, [-2])] if columns else []
    if names and (bias := call.reach("self")) is not None:
        parts.append(bias)
    return _product(parts, len(call.out))


_LIMIT = 1 << 26  # elements; a larger matrix of scores is summed up by row: the softmax that follows does no less


def _product(parts: list[Reach], ndim: int) -> Reach:
    parts = [broadcast(part, ndim) for part in parts]
    elements = 1
    for sizes in zip(*(part.shape for part in parts), strict=True):
        elements *= max(sizes)
    return joined(parts if elements <= _LIMIT else [reduced(part, [-1]) for part in parts], ndim)


@dependence("scaled_dot_product_attention")
def attention(call: Call) -> Answer:
    """Each query sees itself and all keys and values, or those up to its own place."""
    query, parts = call.reach("query"), []
    for name in ("key", "value"):
        reach = call.reach(name)
        if reach is not None:
            reach = reduced(reach, [-1])
            causal = call["is_causal"] and call["query"].shape[-2] == call[name].shape[-2]
            parts.append(running(reach, -2) if causal else reduced(reach, [-2]))
    return joined([*([reduced(query, [-1])] if query else []), *parts], len(call.out))


@dependence("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training")
def batch_norm(call: Call) -> Answer:
    """In evaluation each element sees itself, in training all of its channel."""
    reach = call.reach("input")
    if reach is None:
        return None
    training = call.given.get("training", False)
    return reduced(reach, [axis for axis in range(len(reach.shape)) if axis != 1]) if training else reach


@dependence("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")
def layer_norm(call: Call) -> Answer:
    """Each element sees the axes that are normalised together."""
    reach = call.reach("input")
    return reduced(reach, range(-len(call["normalized_shape"]), 0)) if reach else None


@dependence("group_norm")
def group_norm(call: Call) -> Answer:
    """Each element sees its group of channels at every position."""
    reach = call.reach("input")
    if reach is None:
        return None
    mixed = mixed_channels(reach, 1, call["num_groups"], call["input"].shape[1])
    return reduced(mixed, range(2, len(reach.shape)))


@dependence("instance_norm")
def instance_norm(call: Call) -> Answer:
    """Each element sees its channel at every position."""
    reach = call.reach("input")
    return reduced(reach, range(2, len(reach.shape))) if reach else None


@dependence("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> Answer:
    """Each step sees itself and those before it, in two directions all; the last state sees all."""
    if call.func._overloadname != "input":
        return None
    reach = call.reach("input")
    if reach is None:
        return None
    time = 1 if call["batch_first"] and len(reach.shape) == 3 else 0
    steps = reduced(reach, [-1])
    steps = reduced(steps, [time]) if call["bidirectional"] else running(steps, time)
    for state in call["hx"] if isinstance(call["hx"], (list, tuple)) else [call["hx"]]:
        before = call.see(state)
        if before is not None:
            steps = joined([steps, reduced(before, range(len(before.shape)))], len(steps.shape))
    last = reduced(steps, range(len(steps.shape)))
    return [steps, *[last] * (len(call.results) - 1)]


# Windows


@dependence("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
def convolution(call: Call) -> Answer:
    """Each output sees the taps of its window, padding included, in all channels of its group."""
    reach, weight = call.reach("input"), call["weight"]
    if reach is None:
        return None
    if call.given.get("transposed"):
        return transposed(call)
    axes = weight.ndim - 2
    stride, dilation = (_sizes(call[name], axes) for name in ("stride", "dilation"))
    padding = call["padding"]
    channel = len(reach.shape) - axes - 1
    found = mixed_channels(reach, channel, call["groups"], weight.shape[0])
    for k in range(axes):
        axis, kernel = channel + 1 + k, weight.shape[2 + k]
        if isinstance(padding, str):  # of an even kernel's padding, torch puts the odd one behind
            before = (kernel - 1) * dilation[k] // 2 if padding == "same" else 0
        else:
            before = _sizes(padding, axes)[k]
        size, out = call["input"].shape[axis], call.out[axis]
        found = windowed(found, axis, size, out, kernel, stride[k], before, dilation[k])
    return found


@dependence("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed(call: Call) -> Answer:
    """Output o sees the inputs i with a tap at o + padding − i · stride."""
    reach, weight = call.reach("input"), call["weight"]
    if reach is None:
        return None
    axes = weight.ndim - 2
    channel = len(reach.shape) - axes - 1
    found = mixed_channels(reach, channel, call["groups"], weight.shape[1] * call["groups"])
    sizes = zip(*(_sizes(call[name], axes) for name in ("stride", "padding", "dilation")), strict=True)
    for k, (stride, padding, dilation) in enumerate(sizes):
        axis, span = channel + 1 + k, (weight.shape[2 + k] - 1) * dilation
        last_input = call["input"].shape[axis] - 1
        places = [o + padding for o in range(call.out[axis])]
        first = [max(-((span - p) // stride), 0) for p in places]
        last = [min(p // stride, last_input) for p in places]
        found = picked(found, axis, first, last, Fraction(found.jumps[axis]) / stride)
    return found


def _pool(axes: int, *, mean: bool) -> Rule:
    def pool(call: Call) -> Answer:
        """Each output sees its window; one mean over all there is along an axis is global pooling."""
        reach, x = call.reach("self"), call["self"]
        if reach is None:
            return None
        kernel = _sizes(call["kernel_size"], axes)
        stride = _sizes(call["stride"] or kernel, axes)
        padding, dilation = _sizes(call["padding"], axes), _sizes(call.given.get("dilation", 1), axes)
        found = reach
        for k in range(axes):
            axis = x.ndim - axes + k
            size, out = x.shape[axis], call.out[axis]
            if mean and out == 1 and kernel[k] >= size and not padding[k]:
                found = reduced(found, [axis]) if kernel[k] > 1 else found
            else:
                found = windowed(found, axis, size, out, kernel[k], stride[k], padding[k], dilation[k])
        return [found] * len(call.results)

    return pool


def _adaptive(axes: int) -> Rule:
    def adaptive(call: Call) -> Answer:
        """Output i of m sees floor(i·n/m) up to ceil((i+1)·n/m)."""
        reach, x = call.reach("self"), call["self"]
        if reach is None:
            return None
        found = reach
        for axis in range(x.ndim - axes, x.ndim):
            n, m = x.shape[axis], call.out[axis]
            if m == 1:
                found = reduced(found, [axis])
            elif m != n:
                first, last = [i * n // m for i in range(m)], [-(-(i + 1) * n // m) - 1 for i in range(m)]
                found = picked(found, axis, first, last, found.jumps[axis] * Fraction(n, m))
        return [found] * len(call.results)

    return adaptive


for _n in (1, 2, 3):
    dependence(f"max_pool{_n}d", f"max_pool{_n}d_with_indices")(_pool(_n, mean=False))
    dependence(f"avg_pool{_n}d")(_pool(_n, mean=True))
    dependence(f"adaptive_avg_pool{_n}d", f"_adaptive_avg_pool{_n}d", f"adaptive_max_pool{_n}d")(_adaptive(_n))


def _upsample(taps: Sequence[int], axes: int, *, half: bool) -> Rule:
    """`taps` are the first and last neighbour that are weighed, from the one below the sampled place."""

    def upsample(call: Call) -> Answer:
        """Each output sees the neighbours of the place it is sampled at."""
        x = call.reach()
        given = next(iter(call.given.values()))
        if x is None:
            return None
        found = x
        for k in range(axes):
            axis = given.ndim - axes + k
            n, m = given.shape[axis], call.out[axis]
            if n != m:
                places = _places(call, k, n, m, half=half)
                first = [min(max(floor(p) + taps[0], 0), n - 1) for p in places]
                last = [min(max((floor(p) if p == floor(p) and taps == (0, 1) else floor(p) + taps[1]), 0), n - 1)
                        for p in places]  # fmt: skip
                found = picked(found, axis, first, last, found.jumps[axis] * Fraction(n, m))
        return found

    return upsample


def _places(call: Call, k: int, n: int, m: int, *, half: bool) -> list[Fraction]:
    """Where each of m outputs is sampled on an axis of n."""
    if half and call.given.get("align_corners"):
        return [Fraction(i * (n - 1), max(m - 1, 1)) for i in range(m)]
    factors = call.given.get("scale_factors") or [call.given.get(name) for name in _SCALES if name in call.given]
    factor = factors[k] if factors and k < len(factors) else None
    scale = 1 / Fraction(factor).limit_denominator(1 << 16) if factor else Fraction(n, m)
    return [max((i + Fraction(1, 2)) * scale - Fraction(1, 2), Fraction(0)) if half else i * scale for i in range(m)]


_SCALES = ("scales", "scales_d", "scales_h", "scales_w")

for _name, _n, _taps, _half in (
    *((f"upsample_nearest{n}d", n, (0, 0), False) for n in (1, 2, 3)),
    ("upsample_linear1d", 1, (0, 1), True),
    ("upsample_bilinear2d", 2, (0, 1), True),
    ("upsample_trilinear3d", 3, (0, 1), True),
):
    dependence(_name)(_upsample(_taps, _n, half=_half))


# Movement


@dependence("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
            "replication_pad2d", "replication_pad3d")  # fmt: skip
def pad(call: Call) -> Answer:
    """Zeros count as the positions that a longer input would have there; mirrored ones are what they mirror."""
    name, x = str(call.func.overloadpacket).removeprefix("aten."), next(iter(call.given.values()))
    mode = call.given.get("mode") or ("reflect" if "reflect" in name else "replicate" if "repl" in name else "constant")
    found = call.reach()
    if found is None or mode == "circular":
        return None
    amounts = call.given.get("pad") or call.given["padding"]
    for k, (before, behind) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        axis = x.ndim - 1 - k
        n = x.shape[axis]
        if mode == "constant":
            found = padded(found, axis, n, before, behind)
        else:
            places = [min(max(i, 0), n - 1) if mode == "replicate" else n - 1 - abs(n - 1 - abs(i))
                      for i in range(-before, n + behind)]  # fmt: skip
            found = picked(found, axis, places, None, found.jumps[axis])
    return found


@dependence("cat", "concat", "concatenate", "stack")
def cat(call: Call) -> Answer:
    """Tensors side by side; constants among them see nothing."""
    tensors = call["tensors"]
    known = call.seen()[0]
    new_axis = str(call.func.overloadpacket) == "aten.stack"
    tensors = [tensor for tensor in tensors if new_axis or tuple(tensor.shape) != (0,)]
    reaches = [call.see(tensor) or known.nothing(tensor.ndim) for tensor in tensors]
    if not new_axis:
        return side_by_side(reaches, [tensor.shape[call["dim"]] for tensor in tensors], call["dim"])
    axis = call["dim"] % len(call.out)
    opened = [r.map(lambda x: x.unsqueeze(axis), (*r.jumps[:axis], 0, *r.jumps[axis:])) for r in reaches]
    return side_by_side(opened, [1] * len(tensors), axis)


@dependence("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "_reshape_alias")
def reshape(call: Call) -> Answer:
    """The same elements in another shape."""
    reach, x = call.reach(), next(iter(call.given.values()))
    if reach is None or call.results[0].numel() != x.numel() or call.given.get("dtype") is not None:
        return None
    return reshaped(reach, x.shape, call.out)


@dependence("unsqueeze")
def unsqueeze(call: Call) -> Answer:
    """One more axis."""
    reach = call.reach()
    if reach is None:
        return None
    axis = call["dim"] % len(call.out)
    return reach.map(lambda x: x.unsqueeze(axis), (*reach.jumps[:axis], 0, *reach.jumps[axis:]))


_VIEWS = (
    *("permute", "transpose", "t", "numpy_T", "mT", "movedim", "moveaxis", "swapaxes", "swapdims"),
    *("slice", "select", "narrow", "squeeze", "expand", "expand_as", "unfold", "diagonal"),
    *("unbind", "chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit", "unsafe_chunk"),
    *("unsafe_split", "adjoint", "broadcast_to"),
)


@dependence(*_VIEWS)
def view(call: Call) -> Answer:
    """Torch's own view, of the arrays."""
    reach, x = call.reach(), next(iter(call.given.values()))
    if reach is None:
        return None

    def part(index: int) -> Callable[[Tensor], Tensor]:
        def look(array: Tensor) -> Tensor:
            seen = call.func(array, *call.args[1:], **call.kwargs)
            return seen[index] if isinstance(seen, (list, tuple)) else seen

        return look

    return [viewed(reach, x.shape, part(index)) for index in range(len(call.results))]


@dependence("roll", "flip")
def turned(call: Call) -> Answer:
    """Elements in another order along some axes."""
    reach, dims = call.reach(), call["dims"]
    if reach is None or dims in (None, [], ()):
        return None
    shifts = call.given.get("shifts", [0])
    found = reach
    for shift, dim in zip(_sizes(shifts, len(_axes(dims, 9))), _axes(dims, len(reach.shape)), strict=True):
        if found.shape[dim] > 1:
            turn = (lambda x, d=dim: x.flip(d)) if "shifts" not in call.given else (
                lambda x, d=dim, s=shift: x.roll(s, d)
            )  # fmt: skip
            found = found.map(turn)
    return found


@dependence("repeat", "tile")
def repeat(call: Call) -> Answer:
    """Copies along axes."""
    reach = call.reach()
    if reach is None:
        return None
    ndim = len(call.out)
    times = list(call.given.get("repeats") or call.given["dims"])
    times = [1] * (ndim - len(times)) + times
    found = broadcast(reach, ndim)
    return found.map(lambda x: x.repeat([t if n > 1 else 1 for t, n in zip(times, x.shape, strict=True)]))


@dependence("repeat_interleave")
def repeat_interleave(call: Call) -> Answer:
    """Each element several times."""
    reach, x, times = call.reach(), call["self"], call["repeats"]
    if reach is None or not isinstance(times, int) or call["dim"] is None:
        return None
    axis = call["dim"] % x.ndim
    places = [i // times for i in range(x.shape[axis] * times)]
    return picked(reach, axis, places, None, Fraction(reach.jumps[axis]) / times)


def _has_values(tensor: Tensor) -> bool:
    return type(tensor) in (Tensor, nn.Parameter) and not tensor.is_meta


@dependence("index_select", "index", "_unsafe_index")
def index(call: Call) -> Answer:
    """Elements picked along one axis: those named where the index is known, any of them where it is not."""
    reach, x = call.reach("self"), call["self"]
    places = call.given.get("index") if "dim" in call.given else None
    if places is None:
        given = call["indices"]
        axes = [axis for axis, value in enumerate(given) if value is not None]
        if len(axes) != 1 or given[axes[0]].ndim != 1 or given[axes[0]].dtype in (torch.bool, torch.uint8):
            return None
        axis, places = axes[0], given[axes[0]]
    else:
        axis = call["dim"] % x.ndim
    if reach is None:
        return None
    if not _has_values(places) or call.see(places) is not None:
        found = reduced(reach, [axis])
        chosen = call.see(places)
        return found if chosen is None else joined([found, reduced(chosen, range(places.ndim))], x.ndim)
    picks = [int(p) % x.shape[axis] for p in places.reshape(-1).tolist()]
    middle = len(picks) // 2
    step = picks[middle] - picks[middle - 1] if len(picks) > 1 else max(x.shape[axis], 1)
    return picked(reach, axis, picks, None, reach.jumps[axis] * abs(step))


@dependence("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(call: Call) -> Answer:
    """Sampled wherever the grid points to: anywhere."""
    x, grid = call.reach("input"), call.reach("grid")
    ndim = len(call.out)
    parts = [reduced(x, range(2, ndim))] if x else []
    if grid is not None:  # (B, *S, 2) -> (B, 1, *S)
        parts.append(reduced(grid, [-1]).map(lambda g: g.movedim(-1, 1), (grid.jumps[0], 0, *grid.jumps[1:-1])))
    return joined(parts, ndim)


@dependence("glu")
def glu(call: Call) -> Answer:
    """Two halves of an axis, elementwise."""
    reach, x = call.reach(), call["self"]
    if reach is None:
        return None
    axis = call["dim"] % x.ndim
    half = x.shape[axis] // 2
    halves = [reach.map(lambda a, s=s: a if a.shape[axis] == 1 else a.narrow(axis, s, half)) for s in (0, half)]
    return joined(halves, x.ndim)


@dependence("fft_fftn", "fft_rfftn", "fft_irfftn", "fft_ifftn", "fft_fft2", "fft_rfft2", "fft_irfft2", "fft_ifft2",
            "fft_fft", "fft_ifft", "fft_rfft", "fft_irfft")  # fmt: skip
def fourier(call: Call) -> Answer:
    """Each frequency sees every position along its axes."""
    reach, ndim = call.reach(), len(call.out)
    if reach is None:
        return None
    two = "2" in str(call.func.overloadpacket)
    dims = call.given.get("dim")
    axes = _axes(dims, ndim) if dims is not None else [-2, -1] if two else list(range(ndim))
    return reduced(reach, axes)
