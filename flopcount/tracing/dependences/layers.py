"""Linear layers, matrix products, attention, recurrence, normalisation and transforms."""

from __future__ import annotations

from torch import Tensor

from ..intervals import Intervals, broadcast, joined, mixed_channels, reduced, running
from .call import Answer, Call, axes_of, dependence

__all__: list[str] = []


@dependence("linear")
def linear(call: Call) -> Answer:
    """Every output feature sees all input features."""
    reach = call.reach()
    return reduced(reach, [-1]) if reach else None


@dependence("matmul", "addmm", "baddbmm", "addbmm")
def matmul(call: Call) -> Answer:
    """Element (n, m) sees row n of the first matrix and column m of the second."""
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


_LIMIT = 1 << 26  # elements; a larger matrix of scores is merged by row, as the softmax that follows does anyway


def _product(parts: list[Intervals], ndim: int) -> Intervals:
    parts = [broadcast(part, ndim) for part in parts]
    elements = 1
    for sizes in zip(*(part.shape for part in parts), strict=True):
        elements *= max(sizes)
    return joined(parts if elements <= _LIMIT else [reduced(part, [-1]) for part in parts], ndim)


@dependence("scaled_dot_product_attention")
def attention(call: Call) -> Answer:
    """Each query sees itself and all keys and values, or those up to its own position.

    Kernels that are called by name return further results, of other shapes.
    """
    if len(call.results) > 1:
        return None
    query, parts = call.reach("query"), []
    for name in ("key", "value"):
        reach = call.reach(name)
        if reach is not None:
            reach = reduced(reach, [-1])
            causal = call["is_causal"] and call["query"].shape[-2] == call[name].shape[-2]
            parts.append(running(reach, -2) if causal else reduced(reach, [-2]))
    return joined([*([reduced(query, [-1])] if query else []), *parts], len(call.out))


@dependence("batch_norm")
def batch_norm(call: Call) -> Answer:
    """In eval mode each element sees itself, in training all of its channel."""
    reach = call.reach("input")
    if reach is None:
        return None
    training = call.given.get("training", False)
    return reduced(reach, [axis for axis in range(len(reach.shape)) if axis != 1]) if training else reach


@dependence("layer_norm", "rms_norm")
def layer_norm(call: Call) -> Answer:
    """Each element sees the axes that are normalised together."""
    reach = call.reach("input")
    return reduced(reach, range(-len(call["normalized_shape"]), 0)) if reach else None


@dependence("group_norm")
def group_norm(call: Call) -> Answer:
    """Each element sees its group of channels at every position; native_group_norm has another name for the groups."""
    reach = call.reach("input")
    if reach is None:
        return None
    groups = call.given.get("num_groups") or call["group"]
    mixed = mixed_channels(reach, 1, groups, call["input"].shape[1])
    return reduced(mixed, range(2, len(reach.shape)))


@dependence("instance_norm")
def instance_norm(call: Call) -> Answer:
    """Each element sees its channel at every position."""
    reach = call.reach("input")
    return reduced(reach, range(2, len(reach.shape))) if reach else None


@dependence("lstm", "gru", "rnn_tanh")
def recurrent(call: Call) -> Answer:
    """Each step sees itself and those before it, or all steps if bidirectional; the last state sees all steps."""
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


@dependence("flopcount.selective_scan")
def scan(call: Call) -> Answer:
    """A token's channel reads its own state, which the tokens up to it wrote: their u and Δ of the channel, all of B.

    A and D are weights; where they depend on the clip, the dependence is lost.
    """
    parts = []
    for name in ("u", "delta", "B", "C"):
        reach = call.reach(name)
        if reach is not None:
            of_token = reduced(reach, [-1]) if name in ("B", "C") else reach
            parts.append(of_token if name == "C" else running(of_token, 1))
    return joined(parts, len(call.out)) if parts else None


@dependence("_fft_c2c", "_fft_r2c", "_fft_c2r")
def fourier(call: Call) -> Answer:
    """Each frequency sees every position along its axes."""
    reach = call.reach()
    return reduced(reach, axes_of(call["dim"], len(call.out))) if reach else None
