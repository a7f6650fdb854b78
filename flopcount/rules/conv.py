"""Convolutions of any rank, grouped, dilated, strided and transposed."""

from __future__ import annotations

from math import prod

from ..core.ops import Dim, Kind, TensorSpec, Work
from .charges import bias_adds, products
from .registry import rule

__all__: list[str] = []


@rule(
    "aten.convolution",
    "aten.conv1d",
    "aten.conv2d",
    "aten.conv3d",
    "aten._convolution",
    "aten._convolution_mode",
    kind=Kind.CONV,
)
def convolution(
    input: TensorSpec, weight: TensorSpec, bias: TensorSpec | None = None, transposed: bool = False, *, out: TensorSpec
) -> Work:
    """N-d convolution, grouped and transposed included.

    Shapes: input (B, Cin, *S) or (Cin, *S), weight (Cout, Cin/groups, *K), out (B, Cout, *S'); transposed: weight
    (Cin, Cout/groups, *K).

    Counts: prod(K) · Cin/groups MACs per output element (transposed: prod(K) · Cout/groups per input element), one
        add per biased output (a complex one two). Padding taps are multiplied like data.
    Source: https://arxiv.org/abs/1412.0767 and PyTorch ATen native_functions.yaml, `convolution`;
        https://arxiv.org/abs/1603.07285 for the transposed case
    """
    swept = input if transposed else out
    return Work(macs=products(input) * swept.numel * prod(weight.shape[1:]), other_flops=bias_adds(out, bias))


@rule("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d", kind=Kind.CONV)
def conv_transpose(input: TensorSpec, weight: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Transposed convolution: every input element is spread over prod(K) outputs.

    Counts: prod(K) · Cout/groups MACs per input element, one add per biased output (a complex one two).
    Source: https://arxiv.org/abs/1603.07285, section 4
    """
    return convolution(input, weight, bias, transposed=True, out=out)


@rule("aten.conv_tbc", kind=Kind.CONV)
def conv_tbc(self: TensorSpec, weight: TensorSpec, bias: TensorSpec, pad: int = 0, *, out: TensorSpec) -> Work:
    """Time-batch-channel convolution, weight (K, Cin, Cout).

    Counts: K · Cin MACs per output element, one add per output.
    Source: PyTorch ATen native_functions.yaml, `conv_tbc`
    """
    return Work(macs=out.numel * weight.shape[0] * weight.shape[1], other_flops=out.numel)


_SAMPLE: Dim = 7  # bilinear: four taps weighted and added


@rule("torchvision.deform_conv2d", kind=Kind.CONV)
def deform_conv2d(input: TensorSpec, weight: TensorSpec, use_mask: bool = False, *, out: TensorSpec) -> Work:
    """Deformable convolution: a bilinear sample per tap, then the convolution.

    Counts: prod(K) · Cin/groups MACs per output element; 7 per sampled value, one more where modulated, one add per
        output.
    Source: https://arxiv.org/abs/1811.11168
    """
    samples = out.shape[0] * input.shape[1] * prod(weight.shape[2:]) * prod(out.shape[2:])
    return Work(macs=out.numel * prod(weight.shape[1:]), other_flops=samples * (_SAMPLE + bool(use_mask)) + out.numel)
