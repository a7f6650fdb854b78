"""A function of its inputs or parameters as a module, and a module under torch's counter, for many tests."""

import copy

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from flopcount import Work

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))


class Apply(nn.Module):
    """Calls `function` with the inputs, then with its parts."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, *args, **kwargs):
        return self.function(*args, *self.parts, **kwargs)


class OfParameters(nn.Module):
    """Calls a function of its parameters, so that all of them get a gradient."""

    def __init__(self, function, shapes):
        super().__init__()
        self.function = function
        self.given = nn.ParameterList(torch.ones(shape) for shape in shapes)

    def forward(self, x):
        result = self.function(*self.given)
        return (result[0] if isinstance(result, tuple) else result).sum() + x.sum()


def flops_by_torch(module, shapes):
    """FLOPs of a copy on meta tensors by torch's own counter, attention in its decomposed form."""
    bare = copy.deepcopy(module).to("meta").requires_grad_(False)  # torch's counter hooks views of a weight, and fails
    for part in bare.modules():
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                setattr(part, name, value.to("meta"))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        bare(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops()


def changes_of(modules, call):
    """What a call gives, and the names of parameters and buffers that it changed: values, version, gradient, object."""

    def state():
        tensors = {f"{i}.{n}": t for i, m in enumerate(modules) for n, t in (*m.named_parameters(), *m.named_buffers())}
        return {n: (t, t._version, t.grad, t.requires_grad) for n, t in tensors.items()}

    before, random = state(), torch.get_rng_state()
    values = {name: entry[0].detach().clone() for name, entry in before.items()}
    result, after = call(), state()
    same = {name for name in after if name in before and all(map(lambda a, b: a is b, after[name], before[name]))}
    same = {name for name in same if torch.equal(after[name][0], values[name])}
    changed = sorted({*before, *after} - same)
    return result, changed + ([] if torch.equal(random, torch.get_rng_state()) else ["the random state"])


def one_per_pair(a, b, *, out):
    """A rule of a product.

    Counts: one MAC per pair.
    """
    return Work(macs=out.numel * a.shape[-1])
