"""Attention as it is computed and as it could be: all pairs of tokens, pairs with earlier tokens, a share of pairs.

Dense is what the operators compute, and the headline: S · S pairs in prefill, although the mask leaves S(S+1)/2 of
them, or at most W for each token with a window of W. In decoding the new token meets all earlier ones and itself, so
that both are the same. A vision tower has no mask of this kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...core.ops import CostedOp, Kind

__all__ = ["attention_of", "causal_pairs"]

_LAYER = re.compile(r"\blayers\.(\d+)\.")


def causal_pairs(tokens: int, window: int | None = None) -> int:
    """Pairs of a token and one that is not later, at most `window` of each: S(S+1)/2 without a window.

    >>> causal_pairs(4), causal_pairs(4, 2)
    (10, 7)
    """
    full = tokens if window is None else min(window, tokens)
    return full * (full + 1) // 2 + (tokens - full) * full


def attention_of(
    stages: Mapping[str, Sequence[CostedOp]], tokens: int, windows: Sequence[int | None], density: Fraction | None
) -> dict[str, Any]:
    """MACs of attention in each stage as plain data, for `tokens` in prefill; with a density also "sparse"."""
    rows: dict[str, Any] = {}
    for name, ops in stages.items():
        dense = sum(op.work.macs for op in _attention(ops))
        row = {"dense": dense, "dense_formula": "as computed"}
        if name == "prefill":
            per_pair = [(op.work.macs // tokens**2, _window(op, windows)) for op in _attention(ops)]
            row["causal"] = sum(macs * causal_pairs(tokens, window) for macs, window in per_pair)
            row["dense_formula"] = "S * S pairs"
            row["causal_formula"] = _causal_formula({window for _, window in per_pair})
        elif name == "decode":
            row |= {"causal": dense, "dense_formula": "S pairs a token", "causal_formula": "S pairs a token"}
        if density is not None:
            row["sparse"] = int(dense * density)
            row["sparse_formula"] = f"dense * {density}"
        rows[name] = row
    return rows


def _attention(ops: Iterable[CostedOp]) -> Iterator[CostedOp]:
    return (op for op in ops if op.kind is Kind.ATTENTION)


def _window(op: CostedOp, windows: Sequence[int | None]) -> int | None:
    layer = _LAYER.search(op.op.module + ".")
    return windows[int(layer[1])] if layer and int(layer[1]) < len(windows) else None


def _causal_formula(windows: set[int | None]) -> str:
    widths = sorted(window for window in windows if window is not None)
    parts = ["S * (S + 1) / 2 pairs"] if None in windows or not windows else []
    parts += [f"at most {window} pairs a token" for window in widths]
    return ", or ".join(parts)
