"""Formulas that users register with torch's own counter work here too, unchanged.

`torch.utils.flop_counter.register_flop_formula` maps an operator to a function of shapes that returns FLOPs at two per
multiply-accumulate. It serves only operators without a rule of flopcount.
"""

from __future__ import annotations

import sys
from typing import Any

from ..core.ops import Signature, TensorSpec, Work

__all__ = ["torch_work"]


def torch_work(signature: Signature) -> Work | None:
    """Work by a formula in torch's registry, or None. An odd FLOP count leaves one in `other_flops`."""
    flop_counter = sys.modules.get("torch.utils.flop_counter")  # not imported, so no formula is registered
    if flop_counter is None:
        return None
    import torch

    namespace, _, name = signature.op.partition(".")
    packet = getattr(getattr(torch.ops, namespace, None), name, None)
    formula = flop_counter.flop_registry.get(packet) if packet is not None else None
    if formula is None or packet is None:
        return None
    schema = getattr(packet, signature.overload)._schema
    arguments = {name: _meta(value) for name, value in signature.arguments.items()}
    positional = [arguments[a.name] for a in schema.arguments if not a.kwarg_only]
    keywords = {a.name: arguments[a.name] for a in schema.arguments if a.kwarg_only}
    results = _meta(signature.outputs)
    flops = formula(*positional, **keywords, out_val=results[0] if len(results) == 1 else tuple(results))
    macs, odd = divmod(int(flops), 2)
    return Work(macs=macs, other_flops=odd)


def _meta(value: Any) -> Any:
    """Tensors as the formula expects them: real objects without data."""
    if isinstance(value, TensorSpec):
        import torch

        return torch.empty(value.shape, dtype=getattr(torch, value.dtype), device="meta")
    if isinstance(value, tuple):
        return [_meta(item) for item in value]
    return value
