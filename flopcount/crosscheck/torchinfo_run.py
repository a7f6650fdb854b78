"""torchinfo's `summary`, run for real: mult-adds, which are parameters times a size of the output.

What enters is a real module with real tensors; what leaves is torchinfo's count of each leaf and what ran meanwhile.
Its cache of passes, which keeps modules alive, is as before.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from .peer import PeerCount, quiet
from .watched import Journal, Watched, watch

__all__ = ["run_torchinfo"]


def run_torchinfo(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[PeerCount, Watched]:
    """What torchinfo says of one forward pass in eval mode."""
    with quiet():
        from torchinfo import summary, torchinfo

    tensors = (leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor))
    device = next((tensor.device for tensor in tensors), torch.device("cpu"))

    def call(journal: Journal) -> Any:
        return summary(module, input_data=list(args), device=device, verbose=0, **kwargs)

    names = {id(part): name for name, part in module.named_modules()}
    cache = dict(torchinfo._cached_forward_pass)
    try:
        answer, watched = watch(module, call)
    finally:
        torchinfo._cached_forward_pass = cache
    macs: Counter[str] = Counter()
    for layer in answer.summary_list:
        if layer.is_leaf_layer:
            macs[names[id(layer.module)]] += layer.macs
    total = int(answer.total_mult_adds)
    macs[""] += total - sum(macs.values())
    return PeerCount("torchinfo", version("torchinfo"), dict(macs), printed=total, unit="mult-adds"), watched
