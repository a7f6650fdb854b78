"""torchinfo's `summary`, run for real, and why its count differs: parameters times a size of the output.

What enters is a real module with real tensors; what leaves is torchinfo's count of each leaf and the causes, by its
formula (`LayerInfo.calculate_macs` of 1.8.0) on our module calls. torchinfo knows no operators. Every leaf module's
weights and biases are multiplied by a size of its output, which by the layer's name is one of three; modules with
children, and whatever has no parameters, count nothing. Its cache of passes, which keeps modules alive, is as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import nn

from ...core.ops import CostedOp, ModuleCall
from ...core.reason import Reason
from ...tracing.torch_private import pytree
from ..claims import Claim, explain, positions
from ..peer import Cause, PeerCount, Subject, quiet
from ..reasons import BIAS, repeats
from ..watched import Journal, Watched, watch, watched_peer

__all__ = ["PEER"]


def _run(subject: Subject) -> tuple[PeerCount, Watched]:
    """What torchinfo says of one forward pass in eval mode."""
    with quiet():
        from torchinfo import summary, torchinfo

    tensors = (leaf for leaf in pytree.tree_leaves((subject.args, subject.kwargs)) if isinstance(leaf, torch.Tensor))
    device = next((tensor.device for tensor in tensors), torch.device("cpu"))

    def call(journal: Journal) -> Any:
        return summary(subject.module, input_data=list(subject.args), device=device, verbose=0, **subject.kwargs)

    names = subject.names
    cache = dict(torchinfo._cached_forward_pass)
    try:
        answer, watched = watch(subject.module, call)
    finally:
        torchinfo._cached_forward_pass = cache
    macs: Counter[str] = Counter()
    for layer in answer.summary_list:
        if layer.is_leaf_layer:
            macs[names[id(layer.module)]] += layer.macs
    return PEER.count(macs, int(answer.total_mult_adds), "mult-adds"), watched


def _causes(subject: Subject, watched: Watched) -> Iterator[Cause]:
    """One cause per parameter that is not multiplied as often as its layer does, and per operator outside of leaves."""
    claims = [_claim(watched.modules[call.module], call) for call in watched.calls]
    once = Counter(dict.fromkeys(watched.modules, 1))
    leaves = [claim for claim in claims if not any(watched.modules[claim.path].children())]
    yield from explain(PEER.name, watched, leaves, once, _absence, lambda path, times: repeats(times))


def _absence(module: nn.Module, op: CostedOp) -> Reason:
    if any(module.children()):
        return Reason("counts only modules without children, not {}'s own code", (type(module).__name__,))
    return Reason("counts parameters, not the products in {}", (type(module).__name__,))


def _claim(module: nn.Module, call: ModuleCall) -> Claim:
    """How often torchinfo multiplies the weights, less how often the layer does; and the biases."""
    name = type(module).__name__
    times = positions(module, call)
    extras, biases = [], 0
    for parameter, tensor in module.named_parameters(recurse=False):
        size, why = _size(name, parameter, call.outputs[0] if call.outputs else ())
        if "bias" in parameter:
            biases += size * tensor.numel()
        elif times is None:
            extras.append((Reason("adds {} × {}", (parameter, why)), size * tensor.numel()))
        else:
            extras.append((Reason("multiplies {} by {}", (parameter, why)), (size - times) * tensor.numel()))
    return Claim(call.module, name, (*extras, (BIAS, biases)), covers=times is not None)


def _size(layer: str, parameter: str, out: tuple[int, ...]) -> tuple[int, str]:
    """What one parameter is multiplied by: torchinfo goes by the names of layer and parameter."""
    if parameter in ("weight", "bias"):
        if "Conv" in layer:
            return prod(out[:1] + out[2:]), "output positions"
        return prod(out[:1]), "samples"
    if "weight" in parameter or "bias" in parameter:
        return prod(out[:2]), "the first two output sizes"
    return 0, "nothing"


PEER = watched_peer("torchinfo", _run, _causes, "torchinfo>=1.8.0")
