"""thop's `profile`, run for real: MACs, to which it adds arithmetic of norms, pooling and gates.

What enters is a real module with real tensors; what leaves is thop's count of each module and what ran meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from torch import nn

from .peer import PeerCount, quiet
from .watched import Journal, Watched, watch

__all__ = ["run_thop"]


def run_thop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[PeerCount, Watched]:
    """What thop says of one forward pass in eval mode, which it takes positional arguments for."""
    if kwargs:
        raise TypeError(f"it takes no keyword arguments ({', '.join(kwargs)})")
    with quiet():  # it imports distutils
        from thop import profile

    def call(journal: Journal) -> Any:
        return profile(module, inputs=args, verbose=False, ret_layer_info=True)

    names = {id(part): name for name, part in module.named_modules()}
    (total, _, layers), watched = watch(module, call)
    macs: Counter[str] = Counter()
    for part, amount in _own(module, layers):
        macs[names[id(part)]] += int(amount)
    macs[""] += int(total) - sum(macs.values())  # the root's own, which the layers do not show
    return PeerCount("thop", version("thop"), dict(macs), printed=int(total), unit="MACs"), watched


def _own(module: nn.Module, layers: dict[str, Any]) -> Iterator[tuple[nn.Module, float]]:
    """What each module below this one adds itself: its entry less those of its own layers."""
    for name, child in module.named_children():
        amount, _, inner = layers[name]
        yield child, amount - sum(entry[0] for entry in inner.values())
        if inner:
            yield from _own(child, inner)
