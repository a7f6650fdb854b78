"""A function as a module: what most tests of rules and counters need."""

from torch import nn


class Apply(nn.Module):
    """Calls `function` with the inputs, then with the parts it was given."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, *args, **kwargs):
        return self.function(*args, *self.parts, **kwargs)
