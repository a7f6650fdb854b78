"""Attention: QKᵀ and PV, whichever kernel the device would choose."""

from __future__ import annotations

from math import prod

from ..core.ops import Dim, Kind, TensorSpec, Work
from .charges import first, products
from .norm import LAYER_NORM_PER_ELEMENT
from .registry import rule

__all__ = ["SOFTMAX_PER_ELEMENT"]

SOFTMAX_PER_ELEMENT = 5  # maximum, subtract, exp, accumulate, divide
GELU_PER_ELEMENT = 5


@rule(
    "aten.scaled_dot_product_attention",
    "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_fused_attention_overrideable",
    "higher_order.flex_attention",
    kind=Kind.ATTENTION,
)
def scaled_dot_product_attention(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    attn_mask: TensorSpec | None = None,
    attn_bias: TensorSpec | None = None,
    *,
    out: object,
) -> Work:
    """Softmax(QKᵀ · scale + mask) V.

    Shapes: query (*B, Nq, D), key (*B', Nk, D), value (*B', Nk, Dv), out (*B'', Nq, Dv) of the broadcast batches;
    grouped queries: *B' holds fewer heads.

    Counts: Nq·Nk·(D + Dv) MACs per head; per score one scaling, one add where masked, and a softmax of 5.
    Ignores: sparsity. A causal mask counts as dense, as in the formula; kernels may skip half of the scores.
    Source: https://arxiv.org/abs/1706.03762, equation 1
    """
    scores = prod(first(out).shape[:-1]) * key.shape[-2]
    masked = attn_mask is not None or attn_bias is not None
    return Work(
        macs=products(query) * scores * (query.shape[-1] + value.shape[-1]),
        other_flops=scores * (1 + masked + SOFTMAX_PER_ELEMENT),
    )


@rule("aten._native_multi_head_attention", kind=Kind.ATTENTION)
def native_multi_head_attention(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, embed_dim: int, num_head: int,
    mask: TensorSpec | None = None, *, out: object,
) -> Work:  # fmt: skip
    """Torch's fused multi-head attention: three projections, attention, one projection.

    Shapes: query (B, Nq, D), key and value (B, Nk, D).

    Counts: D² MACs per projected token, four times, and 2·Nq·Nk·D for QKᵀ and PV; one add per projected element, per
        score one scaling, one add where masked, and a softmax of 5.
    Source: https://arxiv.org/abs/1706.03762, section 3.2
    """
    elements = query.numel * 2 + key.numel + value.numel
    pairs = query.shape[0] * query.shape[1] * key.shape[1]
    return Work(
        macs=elements * embed_dim + pairs * embed_dim * 2,
        other_flops=elements + pairs * (num_head * (1 + (mask is not None) + SOFTMAX_PER_ELEMENT)),
    )


@rule("aten._transformer_encoder_layer_fwd", kind=Kind.ATTENTION)
def transformer_encoder_layer(
    src: TensorSpec, embed_dim: int, num_heads: int, ffn_weight_1: TensorSpec, use_gelu: bool = False,
    mask: TensorSpec | None = None, *, out: object,
) -> Work:  # fmt: skip
    """Torch's fused encoder layer: self-attention, two residual adds, two layer norms, a two-layer MLP.

    Shapes: src (B, N, D), ffn_weight_1 (Dff, D).

    Counts: self-attention as above and 2·D·Dff MACs per token; bias adds, activation, residuals and layer norms.
    Source: PyTorch documentation of torch.nn.TransformerEncoderLayer
    """
    attended = native_multi_head_attention(src, src, src, embed_dim, num_heads, mask, out=out)
    hidden: Dim = prod(src.shape[:-1]) * ffn_weight_1.shape[0]
    activation = GELU_PER_ELEMENT if use_gelu else 1
    beside = hidden * (1 + activation) + src.numel * (3 + 2 * (LAYER_NORM_PER_ELEMENT + 2))
    return Work(macs=attended.macs + hidden * embed_dim * 2, other_flops=attended.other_flops + beside)


@rule("aten.softmax", "aten._softmax", "aten.log_softmax", "aten._log_softmax", "aten._safe_softmax", kind=Kind.SOFTMAX)
def softmax(self: TensorSpec, *, out: object) -> Work:
    """Softmax and its logarithm along one axis.

    Counts: 5 per element (maximum, subtract, exp, accumulate, divide; the logarithm subtracts instead of dividing).
    Source: the textbook formula, with the maximum subtracted as every kernel does
    """
    return Work(other_flops=first(out).numel * SOFTMAX_PER_ELEMENT)
