"""Any counter that hooks layers: what no layer computes is invisible to it.

No source here is cited to have counted so; that the digits fit is all that can be said.
"""

from __future__ import annotations

from ...core.result import Result
from ..counter import Counter, products_of_activations

__all__ = ["COUNTERS"]


def _unseen(report: Result) -> int:
    return -products_of_activations(report)


COUNTERS = (
    Counter(
        "hooks",
        "hooks",
        "products of two activations left out, as by counters that hook layers",
        _unseen,
        "https://github.com/Lyken17/pytorch-OpCounter/blob/43c064afb71383501e41eaef9e8c8407265cf77f/thop/profile.py",
        "register_hooks, which has layers alone",
        everywhere=True,
    ),
)
