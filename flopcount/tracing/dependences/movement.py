"""Operators that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..intervals import broadcast, joined, padded, picked, reduced, reshaped, side_by_side, viewed
from ..jump import NOWHERE
from .call import Answer, Call, axes_of, dependence, sizes_of

__all__: list[str] = []


@dependence("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
            "replication_pad2d", "replication_pad3d")  # fmt: skip
def pad(call: Call) -> Answer:
    """Zeros count as the positions that a longer input would have there; mirrored elements see what they mirror."""
    name, x = str(call.func.overloadpacket).removeprefix("aten."), next(iter(call.given.values()))
    mode = call.given.get("mode") or ("reflect" if "reflect" in name else "replicate" if "repl" in name else "constant")
    result = call.reach()
    if result is None or mode == "circular":
        return None
    amounts = call.given.get("pad") or call.given["padding"]
    for k, (before, behind) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        axis = x.ndim - 1 - k
        n = x.shape[axis]
        if mode == "constant":
            result = padded(result, axis, n, before, behind)
        else:
            places = [min(max(i, 0), n - 1) if mode == "replicate" else n - 1 - abs(n - 1 - abs(i))
                      for i in range(-before, n + behind)]  # fmt: skip
            result = picked(result, axis, places, None, result.jumps[axis])
    return result


@dependence("cat", "stack")
def cat(call: Call) -> Answer:
    """Concatenated tensors; constants among them see nothing."""
    tensors = call["tensors"]
    seen = call.seen()[0]
    new_axis = str(call.func.overloadpacket) == "aten.stack"
    tensors = [tensor for tensor in tensors if new_axis or tuple(tensor.shape) != (0,)]
    reaches = [call.see(tensor) or seen.nothing(tensor.ndim) for tensor in tensors]
    if not new_axis:
        return side_by_side(reaches, [tensor.shape[call["dim"]] for tensor in tensors], call["dim"])
    axis = call["dim"] % len(call.out)
    opened = [r.map(lambda x: x.unsqueeze(axis), (*r.jumps[:axis], NOWHERE, *r.jumps[axis:])) for r in reaches]
    return side_by_side(opened, [1] * len(tensors), axis)


@dependence("view", "reshape", "_unsafe_view", "flatten", "_reshape_alias")
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
    return reach.map(lambda x: x.unsqueeze(axis), (*reach.jumps[:axis], NOWHERE, *reach.jumps[axis:]))


@dependence("permute", "transpose", "t", "slice", "select", "squeeze", "expand", "unfold", "diagonal", "unbind",
            "split", "split_with_sizes", "unsafe_split")  # fmt: skip
def view(call: Call) -> Answer:
    """Torch's own view, applied to the arrays."""
    reach, x = call.reach(), next(iter(call.given.values()))
    if reach is None:
        return None

    def part(index: int) -> Callable[[Tensor], Tensor]:
        def look(array: Tensor) -> Tensor:
            seen = call.func(array, *call.args[1:], **call.kwargs)
            one: Tensor = seen[index] if isinstance(seen, (list, tuple)) else seen
            return one

        return look

    return [viewed(reach, x.shape, part(index)) for index in range(len(call.results))]


@dependence("roll", "flip")
def turned(call: Call) -> Answer:
    """Elements in another order along some axes."""
    reach, dims = call.reach(), call["dims"]
    if reach is None or dims in (None, [], ()):
        return None
    axes = axes_of(dims, len(reach.shape))
    if "shifts" not in call.given:
        return reach.map(lambda x: x.flip(axes))
    return reach.map(lambda x: x.roll(sizes_of(call["shifts"], len(axes)), axes))


@dependence("repeat")
def repeat(call: Call) -> Answer:
    """Copies along axes."""
    reach = call.reach()
    if reach is None:
        return None
    ndim = len(call.out)
    times = list(call["repeats"])
    times = [1] * (ndim - len(times)) + times
    result = broadcast(reach, ndim)
    return result.map(lambda x: x.repeat([t if n > 1 else 1 for t, n in zip(times, x.shape, strict=True)]))


@dependence("repeat_interleave")
def repeat_interleave(call: Call) -> Answer:
    """Each element several times."""
    reach, x, times = call.reach(), call["self"], call["repeats"]
    if reach is None or not isinstance(times, int) or call["dim"] is None:
        return None
    axis = call["dim"] % x.ndim
    places = [i // times for i in range(x.shape[axis] * times)]
    return picked(reach, axis, places, None, reach.jumps[axis].upsampled(times))


def _has_values(tensor: Tensor) -> bool:
    return type(tensor) in (Tensor, nn.Parameter) and not tensor.is_meta


@dependence("index")
def index(call: Call) -> Answer:
    """Elements picked along one axis: certain ones, or any of them if the clip decides which.

    `index` has a list of indices and `index_select` one for an axis; the other operators here pick single elements,
    and only what `gather` picks is known.
    """
    reach, x = call.reach("self"), call["self"]
    places, indices = call.given.get("index"), call.given.get("indices")
    if isinstance(places, Tensor) and places.ndim < 2 and "dim" in call.given and len(call.out) == x.ndim > 0:
        axis = call["dim"] % x.ndim
    elif isinstance(indices, (list, tuple)):
        axes = [axis for axis, value in enumerate(indices) if value is not None]
        if len(axes) != 1 or indices[axes[0]].ndim != 1 or indices[axes[0]].dtype in (torch.bool, torch.uint8):
            return None
        axis, places = axes[0], indices[axes[0]]
    else:
        return _gathered(call) if "sparse_grad" in call.given else None
    if reach is None:
        return None
    chosen = call.see(places)
    if chosen is not None:  # the clip's values choose: any of them
        return joined([reduced(reach, [axis]), reduced(chosen, range(places.ndim))], x.ndim)
    if not _has_values(places):
        return None
    picks = [int(p) % x.shape[axis] for p in places.reshape(-1).tolist()]
    middle = len(picks) // 2
    step = picks[middle] - picks[middle - 1] if len(picks) > 1 else max(x.shape[axis], 1)
    return picked(reach, axis, picks, None, reach.jumps[axis].strided(abs(step)))


def _gathered(call: Call) -> Answer:
    """Each element sees any element along the axis, if the clip decides which, and what decides its own place.

    Places that are known before the clip are not read here: each element may have another.
    """
    reach, chosen, axis = call.reach("self"), call.reach("index"), call["dim"]
    if chosen is None:
        return None
    if reach is None:
        return chosen
    others = list(enumerate(call.out))  # fewer than the source may have, from its first on

    def begin(x: Tensor) -> Tensor:
        for d, size in others:
            x = x.narrow(d, 0, min(size, x.shape[d]))
        return x

    return joined([reduced(reach, [axis]).map(begin), chosen], len(call.out))


@dependence("grid_sampler")
def grid_sampler(call: Call) -> Answer:
    """The grid may point to any position, so each element sees all of them."""
    x, grid = call.reach("input"), call.reach("grid")
    ndim = len(call.out)
    parts = [reduced(x, range(2, ndim))] if x else []
    if grid is not None:  # (B, *S, 2) -> (B, 1, *S)
        parts.append(reduced(grid, [-1]).map(lambda g: g.movedim(-1, 1), (grid.jumps[0], NOWHERE, *grid.jumps[1:-1])))
    return joined(parts, ndim)


@dependence("glu")
def glu(call: Call) -> Answer:
    """Two halves of an axis, elementwise."""
    reach, x = call.reach(), call["self"]
    if reach is None:
        return None
    axis = call["dim"] % x.ndim
    half = x.shape[axis] // 2
    if reach.shape[axis] == 1:
        return reach
    return joined([reach.map(lambda a, at=at: a.narrow(axis, at, half)) for at in (0, half)], x.ndim)  # type: ignore[misc]
