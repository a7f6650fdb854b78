"""Attention as it is computed and as it could be: all pairs of tokens, pairs with earlier tokens, a share of pairs.

Dense is what the operators compute, and the headline: S · S pairs in prefill, although the mask leaves S(S+1)/2 of
them, or at most W for each token with a window of W. In decoding the new token meets all earlier ones and itself, so
that both are the same. A vision tower has no mask of this kind. Each pair costs a layer as many MACs as its heads are
wide together, for scores and once more for their sum.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...core.ops import CostedOp, Kind

__all__ = ["Attention", "attention_of", "causal_pairs"]

_LAYER = re.compile(r"\blayers\.(\d+)\.")


def causal_pairs(tokens: int, window: int | None = None) -> int:
    """Pairs of a token and one that is not later, at most `window` of each: S(S+1)/2 without a window.

    >>> causal_pairs(4), causal_pairs(4, 2)
    (10, 7)
    """
    full = tokens if window is None else min(window, tokens)
    return full * (full + 1) // 2 + (tokens - full) * full


@dataclass(frozen=True, slots=True)
class Attention:
    """MACs of attention in a stage, and the formula of each number; `causal` is None where there is no such mask."""

    dense: int
    dense_formula: str
    causal: int | None = None
    causal_formula: str = ""

    def data(self, density: Fraction | None) -> dict[str, Any]:
        """The same as plain data, with a density also at that share of the dense pairs."""
        found: dict[str, Any] = {"dense": self.dense, "dense_formula": self.dense_formula}
        if self.causal is not None:
            found |= {"causal": self.causal, "causal_formula": self.causal_formula}
        if density is not None:
            found |= {
                "density": float(density),
                "sparse": round(self.dense * density),
                "sparse_formula": f"{density} · ({self.dense_formula})",
            }
        return found


def attention_of(
    stages: Mapping[str, Sequence[CostedOp]], tokens: int, windows: Sequence[int | None]
) -> dict[str, Attention]:
    """Attention of each stage, with so many tokens in prefill and a window for each layer."""
    found = {}
    for name, ops in stages.items():
        of_stage = [op for op in ops if op.kind is Kind.ATTENTION]
        dense = sum(op.work.macs for op in of_stage)
        if name == "prefill":
            found[name] = _prefill(of_stage, dense, tokens, windows)
        elif name == "decode":
            formula = "heads · width · 2 for each kept token and the new one, in each layer"
            found[name] = Attention(dense, formula, dense, formula)
        else:
            found[name] = Attention(dense, "as computed, within the blocks that each layer has")
    return found


def _prefill(ops: Iterable[CostedOp], dense: int, tokens: int, windows: Sequence[int | None]) -> Attention:
    layers = Counter((op.work.macs // tokens**2, _window(op, windows)) for op in ops)
    causal = sum(count * macs * causal_pairs(tokens, window) for (macs, window), count in layers.items())
    of_dense = [f"{count} · {macs:,} · {tokens:,}²" for (macs, _), count in layers.items()]
    of_causal = [f"{count} · {macs:,} · {_pairs(tokens, window)}" for (macs, window), count in layers.items()]
    return Attention(dense, " + ".join(of_dense), causal, " + ".join(of_causal))


def _pairs(tokens: int, window: int | None) -> str:
    if window is None or window >= tokens:
        return f"{tokens:,} · {tokens + 1:,} / 2"
    return f"({window:,} · {window + 1:,} / 2 + {tokens - window:,} · {window:,})"


def _window(op: CostedOp, windows: Sequence[int | None]) -> int | None:
    layer = _LAYER.search(f"{op.op.module}.")
    return windows[int(layer[1])] if layer and int(layer[1]) < len(windows) else None
