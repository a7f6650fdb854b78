"""Why torchinfo says something else: its formula (`LayerInfo.calculate_macs` of 1.8.0) on our module calls.

torchinfo knows no operators. Every leaf module's weights and biases are multiplied by a size of its output, which by
the layer's name is one of three; modules with children, and whatever has no parameters, count nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from torch import nn

from ...core.ops import CostedOp, ModuleCall
from ..claims import Claim, explain, positions
from ..peer import Cause
from ..watched import Watched

__all__ = ["torchinfo_causes"]


def torchinfo_causes(watched: Watched) -> Iterator[Cause]:
    """One cause per parameter that is not multiplied as often as its layer does, and per operator outside of leaves."""
    claims = [_claim(watched.modules[call.module], call) for call in watched.calls]
    once = Counter(dict.fromkeys(watched.modules, 1))
    leaves = [claim for claim in claims if not any(watched.modules[claim.path].children())]
    yield from explain("torchinfo", watched, leaves, once, _absence, lambda path, times: "")


def _absence(module: nn.Module, op: CostedOp) -> str:
    if any(module.children()):
        return f"counts only modules without children, not {type(module).__name__}'s own code"
    return f"counts parameters, not the products in {type(module).__name__}"


def _claim(module: nn.Module, call: ModuleCall) -> Claim:
    """Weights as often as torchinfo says, less as often as the layer multiplies them; and the biases."""
    name = type(module).__name__
    used = positions(module, call)
    extras, biases = [], 0
    for parameter, tensor in module.named_parameters(recurse=False):
        size, why = _size(name, parameter, call.outputs[0] if call.outputs else ())
        if "bias" in parameter:
            biases += size * tensor.numel()
        elif used is None:
            extras.append((f"adds {parameter} × {why}", size * tensor.numel()))
        else:
            extras.append((f"multiplies {parameter} by {why}", (size - used) * tensor.numel()))
    return Claim(call.module, name, (*extras, ("adds the bias", biases)), covers=used is not None)


def _size(layer: str, parameter: str, out: tuple[int, ...]) -> tuple[int, str]:
    """What one parameter is multiplied by: torchinfo goes by the names of layer and parameter."""
    if parameter in ("weight", "bias"):
        if "Conv" in layer:
            return prod(out[:1] + out[2:]), "output positions"
        return prod(out[:1]), "samples"
    if "weight" in parameter or "bias" in parameter:
        return prod(out[:2]), "the first two output sizes"
    return 0, "nothing"
