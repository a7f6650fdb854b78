"""Attention of a denoiser's pass: among the video's tokens, and across to text or image; dense, and with a density.

Two products of L queries, M keys and C channels of all heads take 2·L·M·C MACs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from ...core.ops import CostedOp, Kind, TensorSpec
from ...core.result import Result

__all__ = ["Attention", "attention_of"]

_CROSS = "attn2"
"""What diffusers calls the attention across to text or image, where a block has both."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Attention of one kind in one pass: its MACs, and how they come about."""

    macs: int
    formula: str

    def with_density(self, density: Fraction) -> int:
        """MACs where this share of the pairs is computed, to the nearest whole number."""
        return round(self.macs * density)


def attention_of(result: Result, video_tokens: int = 0) -> dict[str, Attention]:
    """Attention by kind, those that a pass has.

    "self" is among tokens that are queries and keys, the video's among them; "cross" is across to text or image; "text"
    is of fewer tokens than the video has, as in layers that refine or pool the text.
    """
    kinds: dict[str, list[CostedOp]] = {"self": [], "cross": [], "text": []}
    for op in result.ops:
        if op.kind is Kind.ATTENTION:
            kinds[_kind(op, video_tokens)].append(op)
    return {kind: _attention(ops) for kind, ops in kinds.items() if ops}


def _sizes(op: CostedOp) -> tuple[int, int, int]:
    """Queries, keys, and channels of all heads and samples."""
    arguments: Any = op.op.signature.arguments
    query, key = arguments["query"], arguments["key"]
    assert isinstance(query, TensorSpec)
    assert isinstance(key, TensorSpec)
    return query.shape[-2], key.shape[-2], prod((*query.shape[:-2], query.shape[-1]))


def _kind(op: CostedOp, video_tokens: int) -> str:
    queries, keys, _ = _sizes(op)
    if queries < video_tokens:
        return "text"
    return "cross" if queries != keys or _CROSS in op.op.module.split(".") else "self"


def _attention(ops: list[CostedOp]) -> Attention:
    macs = sum(op.work.macs for op in ops)
    terms = [f"{count}·2·{q}·{k}·{c}" for (q, k, c), count in Counter(map(_sizes, ops)).items()]
    return Attention(macs, " + ".join(terms))
