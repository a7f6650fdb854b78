"""A function as a module, and a module under torch's counter: what most tests of rules and counters need."""

import copy

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


class Apply(nn.Module):
    """Calls `function` with the inputs, then with the parts it was given."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, *args, **kwargs):
        return self.function(*args, *self.parts, **kwargs)


def flops_by_torch(module, shapes):
    """FLOPs of a copy on meta tensors by torch's own counter, attention in its decomposed form."""
    bare = copy.deepcopy(module).to("meta")
    for part in bare.modules():
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                setattr(part, name, value.to("meta"))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        bare(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops()
