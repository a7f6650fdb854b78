"""Why FlopCounterMode says something else, operator by operator.

Formulas of torch/utils/flop_counter.py on the kernels that served our operator: torch counts a kernel that it has a
formula for, in real multiply-adds, and nothing for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..core.ops import Kind
from ..rules import RULES
from ..rules.matmul import products
from .peer import COMPLEX, CONTRACTIONS, THREE_REAL, Cause, Observed

__all__ = ["torch_causes"]


def torch_causes(operators: Iterable[Observed]) -> Iterator[Cause]:
    """One cause per operator that torch counts otherwise."""
    for observed in operators:
        costed = observed.costed
        amount, why = _counted(observed)
        if amount != costed.work.macs:
            yield Cause("torch", costed.op.module, costed.name, why, amount - costed.work.macs)


def _counted(observed: Observed) -> tuple[int, str]:
    """What torch makes of an operator, and why that is not ours."""
    costed = observed.costed
    if costed.kind not in CONTRACTIONS or not costed.work.macs:
        return costed.work.macs, ""
    if not observed.has_formula:
        return 0, f"has no formula for {_without_formula(observed)}"
    if _is_complex(observed):
        return (costed.work.macs * 3 // 4, THREE_REAL) if costed.kind is Kind.CONV else (costed.work.macs // 4, COMPLEX)
    for kernel in observed.kernels:
        if kernel.op == _FLASH:
            return _flash(observed)
    return costed.work.macs, ""


def _is_complex(observed: Observed) -> bool:
    """Whether one multiply-accumulate is four real ones."""
    return any(products(spec) > 1 for spec in observed.costed.op.signature.inputs[:1])


def _without_formula(observed: Observed) -> str:
    """The kernel that did the work: one that contracts, or one of which we know nothing."""
    names = dict.fromkeys(kernel.op for kernel in observed.kernels)
    working = [name for name in names if name not in RULES or RULES[name].kind in CONTRACTIONS]
    return ", ".join(working) or observed.costed.op.signature.op


_FLASH = "aten._scaled_dot_product_flash_attention"
_FLASH_MULTIPLE = 8


def _flash(observed: Observed) -> tuple[int, str]:
    """On CUDA torch pads heads for this kernel (`pad_last_dim<8>` in ATen's attention.cpp), and counts the padding."""
    query, *_, value = observed.costed.op.signature.inputs[:3]
    widths = (query.shape[-1], value.shape[-1])
    padded = sum(-(-width // _FLASH_MULTIPLE) * _FLASH_MULTIPLE for width in widths)
    why = f"counts heads padded to a multiple of {_FLASH_MULTIPLE}"
    return observed.costed.work.macs // sum(widths) * padded, why
