"""Attention kernels called by name: tokens in front of the heads, and sequences of unlike lengths in one row of tokens.

A trace adds the argument `pairs` to a call on packed sequences: the pairs of a query and a key of the same sequence.
"""

from __future__ import annotations

from ..core.ops import Dim, Kind, TensorSpec, Work
from .attention import SOFTMAX_PER_ELEMENT
from .registry import rule

__all__ = ["LENGTHS"]

LENGTHS = {
    "aten._flash_attention_forward": ("query", "key", "cum_seq_q", "cum_seq_k", "max_q", "max_k", "seqused_k"),
    "aten._flash_attention_backward": ("query", "key", "cum_seq_q", "cum_seq_k", "max_q", "max_k", ""),
    "aten._efficient_attention_forward": (
        *("query", "key", "cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k", "seqlen_k"),
    ),
    "aten._efficient_attention_backward": (
        *("query", "key", "cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k", ""),
    ),
    "torch_attn._varlen_attn": ("query", "key", "cu_seq_q", "cu_seq_k", "max_q", "max_k", "seqused_k"),
    "torch_attn._varlen_attn_backward": ("query", "key", "cu_seq_q", "cu_seq_k", "max_q", "max_k", ""),
    "flash_attn._flash_attn_varlen_forward": (
        *("q", "k", "cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k", "seqused_k"),
    ),
    "flash_attn._flash_attn_varlen_backward": (
        *("q", "k", "cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k", ""),
    ),
}
"""The arguments of operators on packed sequences: tensors, where each sequence begins, the longest, and used keys."""


@rule(
    "aten._flash_attention_forward",
    "aten._efficient_attention_forward",
    "torch_attn._varlen_attn",
    kind=Kind.ATTENTION,
)
def flash_attention_forward(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    bias: TensorSpec | None = None,
    pairs: Dim | None = None,
    *,
    out: object,
) -> Work:
    """Attention in the layout of its kernels, or over packed sequences.

    Shapes: query (B, Nq, H, D), key (B, Nk, H, D); packed: query (Nq, H, D), key (Nk, H, D).

    Counts: Nq·Nk·(D + Dv) MACs per head, and the sum over the sequences where they are packed; per score one scaling,
        one add where biased, and a softmax of 5. Lengths that are not known count as the longest.
    Ignores: sparsity. A causal mask or a window counts as dense.
    Source: https://arxiv.org/abs/2205.14135
    """
    scores = _scores(query, key, pairs)
    return Work(
        macs=scores * (query.shape[-1] + value.shape[-1]),
        other_flops=scores * (1 + (bias is not None) + SOFTMAX_PER_ELEMENT),
    )


@rule(
    "aten._flash_attention_backward",
    "aten._efficient_attention_backward",
    "torch_attn._varlen_attn_backward",
    kind=Kind.ATTENTION,
)
def flash_attention_backward(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, pairs: Dim | None = None, *, out: object
) -> Work:
    """Gradients of attention in the layout of its kernels, or over packed sequences.

    Counts: twice the forward's MACs, and Nq·Nk·D per head for the scores that the kernel recomputes; per score 6 to
        recompute it (scale, softmax of 5), 4 for the softmax's gradient and one scaling.
    Source: https://arxiv.org/abs/2205.14135, algorithm 4
    """
    scores = _scores(query, key, pairs)
    d, dv = query.shape[-1], value.shape[-1]
    return Work(macs=scores * (2 * (d + dv) + d), other_flops=scores * (6 + 4 + 1))


@rule("flash_attn._flash_attn_forward", "flash_attn._flash_attn_varlen_forward", kind=Kind.ATTENTION)
def library_forward(q: TensorSpec, k: TensorSpec, v: TensorSpec, pairs: Dim | None = None, *, out: object) -> Work:
    """Attention of the library flash-attn.

    Counts: as aten._flash_attention_forward.
    Source: https://arxiv.org/abs/2205.14135
    """
    return flash_attention_forward(q, k, v, None, pairs, out=out)


@rule("flash_attn._flash_attn_backward", "flash_attn._flash_attn_varlen_backward", kind=Kind.ATTENTION)
def library_backward(q: TensorSpec, k: TensorSpec, v: TensorSpec, pairs: Dim | None = None, *, out: object) -> Work:
    """Gradients of attention of the library flash-attn.

    Counts: as aten._flash_attention_backward.
    Source: https://arxiv.org/abs/2205.14135, algorithm 4
    """
    return flash_attention_backward(q, k, v, pairs, out=out)


def _scores(query: TensorSpec, key: TensorSpec, pairs: Dim | None) -> Dim:
    """Scores of all heads."""
    if pairs is not None:
        return query.shape[-2] * pairs
    batch = query.shape[0] if query.ndim == 4 else 1
    return batch * query.shape[-2] * query.shape[-3] * key.shape[-3]
