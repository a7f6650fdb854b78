"""Matrix products whose weights are stored in 4 or 8 bits; where they are packed, sizes come from what is not."""

from __future__ import annotations

from math import prod

from ..core.ops import Kind, TensorSpec, Work
from .charges import bias_adds
from .matmul import grouped_mm
from .registry import rule

__all__ = ["DYNAMIC_LINEAR"]


@rule("aten._weight_int8pack_mm", kind=Kind.MATMUL)
def int8_weight(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Product with a weight in int8 that has a scale per row.

    Shapes: self (m, k), mat2 (n, k), out (m, n).

    Counts: k MACs and one scaling per output element.
    Source: PyTorch ATen native_functions.yaml, `_weight_int8pack_mm`
    """
    return Work(macs=out.numel * self.shape[-1], other_flops=out.numel)


@rule(
    "aten._weight_int4pack_mm",
    "aten._weight_int4pack_mm_for_cpu",
    "aten._weight_int4pack_mm_with_scales_and_zeros",
    kind=Kind.MATMUL,
)
def int4_weight(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Product with a packed weight in int4 that has a scale and a shift per group.

    Shapes: self (m, k), out (m, n).

    Counts: k MACs per output element; 2 per weight (scale, shift).
    Source: PyTorch ATen native_functions.yaml, `_weight_int4pack_mm`
    """
    k, n = self.shape[-1], out.shape[-1]
    return Work(macs=out.numel * k, other_flops=n * k * 2)


@rule("aten._dyn_quant_matmul_4bit", kind=Kind.MATMUL)
def dynamic_int4_weight(inp: TensorSpec, block_size: int, in_features: int, *, out: TensorSpec) -> Work:
    """Product of an activation, quantized on the way, with a packed weight in int4.

    Shapes: inp (m, k), out (m, n).

    Counts: k MACs per output element, one scaling per output element and block of k; 7 per activation to quantize it
        (observed minimum and maximum 2, divide, shift, round, two comparisons).
    Source: PyTorch ATen native_functions.yaml, `_dyn_quant_matmul_4bit`
    """
    blocks = in_features // block_size
    return Work(macs=out.numel * in_features, other_flops=out.numel * blocks + inp.numel * 7)


@rule("aten._scaled_grouped_mm", "aten._scaled_grouped_mm_v2", kind=Kind.MATMUL)
def scaled_grouped_mm(self: TensorSpec, mat2: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Float8 matrix products of a mixture of experts, with scales.

    Counts: as aten._grouped_mm, and one scaling per output element.
    Source: PyTorch ATen native_functions.yaml, `_scaled_grouped_mm`
    """
    return Work(macs=grouped_mm(self, mat2, out=out).macs, other_flops=prod(out.shape) + bias_adds(out, bias))


@rule("quantized.linear_dynamic", kind=Kind.LINEAR)
def linear_dynamic(X: TensorSpec, W_prepack: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Fully connected layer in int8, whose activations are quantized on the way.

    Shapes: X (*S, Nin), W_prepack (Nout, Nin), out (*S, Nout).

    Counts: Nin MACs and one scaling per output element, one add per biased output; 7 per activation to quantize it
        (observed minimum and maximum 2, divide, shift, round, two comparisons).
    Source: the lecture's 2·Nin·Nout; PyTorch ATen quantized/library.cpp, `linear_dynamic`
    """
    return Work(macs=out.numel * X.shape[-1], other_flops=out.numel + bias_adds(out, bias) + X.numel * 7)


@rule("quantized.linear_dynamic_fp16", kind=Kind.LINEAR)
def linear_dynamic_fp16(
    X: TensorSpec, W_prepack: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec
) -> Work:
    """Fully connected layer whose weight is stored in float16.

    Counts: Nin MACs per output element, one add per biased output.
    Source: the lecture's 2·Nin·Nout; PyTorch ATen quantized/library.cpp, `linear_dynamic_fp16`
    """
    return Work(macs=out.numel * X.shape[-1], other_flops=bias_adds(out, bias))


@rule("quantized.linear_relu_dynamic", kind=Kind.LINEAR)
def linear_relu_dynamic(
    X: TensorSpec, W_prepack: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec
) -> Work:
    """The same in int8, and a ReLU.

    Counts: as quantized.linear_dynamic, and one comparison per output element.
    Source: PyTorch ATen quantized/library.cpp, `linear_relu_dynamic`
    """
    linear = linear_dynamic(X, W_prepack, bias, out=out)
    return Work(macs=linear.macs, other_flops=linear.other_flops + out.numel)


@rule("quantized.linear_relu_dynamic_fp16", kind=Kind.LINEAR)
def linear_relu_dynamic_fp16(
    X: TensorSpec, W_prepack: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec
) -> Work:
    """The same with a weight in float16, and a ReLU.

    Counts: as quantized.linear_dynamic_fp16, and one comparison per output element.
    Source: PyTorch ATen quantized/library.cpp, `linear_relu_dynamic_fp16`
    """
    return Work(macs=out.numel * X.shape[-1], other_flops=bias_adds(out, bias) + out.numel)


DYNAMIC_LINEAR = frozenset(
    f"quantized.linear_{kind}dynamic{suffix}" for kind in ("", "relu_") for suffix in ("", "_fp16")
)
"""Linear layers with a packed weight, which `tracing` unpacks: the rules get it as a tensor."""
