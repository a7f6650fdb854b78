"""The two linear layers that follow attention in the transformers of the zoo."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["mlp"]


def mlp(channels: int, hidden: int, out: int) -> nn.Sequential:
    """(..., channels) -> (..., out), with a GELU between; numbered as in torchvision, which has dropouts of rate 0."""
    return nn.Sequential(OrderedDict({"0": nn.Linear(channels, hidden), "1": nn.GELU(), "3": nn.Linear(hidden, out)}))
