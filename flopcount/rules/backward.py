"""What autograd runs in the backward pass: the gradients of convolutions, norms, activations, losses and the rest.

Matrix products have no rules here, since their gradients are matrix products too. The rules of pooling and resizing are
beside their forward rules. `output_mask` says which gradients a call computes; it leaves out the frozen ones.
"""

from __future__ import annotations

from math import prod

from ..core.ops import Dim, Kind, TensorSpec, Work
from .attention import scaled_dot_product_attention
from .charges import Charge, products, register_charges
from .conv import convolution
from .registry import rule

__all__: list[str] = []

Mask = tuple[bool, ...]

_CHAIN = "the chain rule on the forward's textbook formula; PyTorch tools/autograd/derivatives.yaml"
# ---- convolutions


@rule("aten.convolution_backward", "aten.convolution_backward_overrideable", kind=Kind.CONV)
def convolution_backward(
    grad_output: TensorSpec, input: TensorSpec, weight: TensorSpec, transposed: bool, output_mask: Mask, *, out: object
) -> Work:
    """Gradients of a convolution by input, weight and bias, as `output_mask` asks.

    Shapes: grad_output (B, Cout, *S'), input (B, Cin, *S), weight (Cout, Cin/groups, *K).

    Counts: the forward's MACs for each gradient that is computed, by input and by weight; for the bias a sum over every
        channel. Example: 3 inputs and a kernel of 2 make 2 outputs with 4 MACs; each is a product of one input and one
        weight, whose gradient by either is one more multiply-accumulate, 4 by input and 4 by weight.
    Source: https://arxiv.org/abs/1603.07285, section 4; PyTorch tools/autograd/derivatives.yaml, `convolution`
    """
    forward = convolution(input, weight, None, transposed, out=grad_output)
    by_input, by_weight, by_bias = output_mask
    channels = weight.shape[1] if transposed else weight.shape[0]
    sums = grad_output.numel - channels if by_bias else 0
    return Work(macs=forward.macs * (bool(by_input) + bool(by_weight)), other_flops=sums)


@rule("aten.conv_tbc_backward", kind=Kind.CONV)
def conv_tbc_backward(self: TensorSpec, weight: TensorSpec, *, out: object) -> Work:
    """Gradients of a time-batch-channel convolution; self is the output's, (T, B, Cout), weight (K, Cin, Cout).

    Counts: K · Cin MACs per element of the output's gradient, once by input and once by weight; a sum per channel for
        the bias.
    Source: PyTorch tools/autograd/derivatives.yaml, `conv_tbc`
    """
    return Work(macs=2 * self.numel * prod(weight.shape[:2]), other_flops=self.numel - weight.shape[2])


# ---- contractions that stay one operator


@rule("aten._trilinear", kind=Kind.MATMUL)
def trilinear(
    i1: TensorSpec, i2: TensorSpec, i3: TensorSpec, expand1: tuple[int, ...], expand2: tuple[int, ...],
    expand3: tuple[int, ...], sumdim: tuple[int, ...], *, out: TensorSpec,
) -> Work:  # fmt: skip
    """Product of three tensors, summed along axes: a bilinear layer with gradients, and its gradients.

    Shapes: each tensor lacks the axes it is expanded along.

    Counts: the product of the first two over all their axes, summed along those that the third lacks, then the product
        of the result with the third; each time one MAC per pair of elements that meet.
    Source: PyTorch ATen native/Linear.cpp, `_trilinear`
    """
    sizes: dict[int, Dim] = {}
    for spec, missing in ((i1, expand1), (i2, expand2), (i3, expand3)):
        axes = [axis for axis in range(spec.ndim + len(missing)) if axis not in missing]
        sizes.update(zip(axes, spec.shape, strict=True))
    pair = [axis for axis in sizes if axis not in expand1 or axis not in expand2]
    rest = [axis for axis in sizes if axis not in sumdim or axis not in expand3]
    return Work(macs=products(i1) * (prod(sizes[axis] for axis in pair) + prod(sizes[axis] for axis in rest)))


@rule(
    "aten._scaled_dot_product_flash_attention_backward",
    "aten._scaled_dot_product_flash_attention_for_cpu_backward",
    "aten._scaled_dot_product_efficient_attention_backward",
    "aten._scaled_dot_product_cudnn_attention_backward",
    "aten._scaled_dot_product_fused_attention_overrideable_backward",
    kind=Kind.ATTENTION,
)
def scaled_dot_product_attention_backward(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, *, out: object
) -> Work:
    """Gradients of a fused attention that is called by name; autograd turns other attention into four products.

    Shapes: query (*B, Nq, D), key (*B, Nk, D), value (*B, Nk, Dv).

    Counts: twice the forward's Nq·Nk·(D + Dv) MACs per head (by Q and K, by P and V), and Nq·Nk·D for the scores that
        the kernel recomputes; per score 6 to recompute it (scale, softmax of 5), 4 for the softmax's gradient and one
        scaling.
    Source: https://arxiv.org/abs/2205.14135, algorithm 4
    """
    forward = scaled_dot_product_attention(query, key, value, out=query)
    scores = prod(query.shape[:-1]) * key.shape[-2]
    again = products(query) * scores * query.shape[-1]
    return Work(macs=2 * forward.macs + again, other_flops=scores * (6 + 4 + 1))


# ---- norms; shared parts count once


@rule("aten.native_batch_norm_backward", "aten.batch_norm_backward", kind=Kind.NORM)
def batch_norm_backward(
    input: TensorSpec, output_mask: Mask, train: bool = True, update: bool = True, *, out: object
) -> Work:
    """Gradients of batch normalisation.

    Counts: per element for the input 9 in training (normalise 2, the sums that are the gradients of weight and bias 3,
        subtract the mean gradient, scale and subtract the normalised input, scale: 4), 1 with running statistics; for
        the weight 4 (normalise 2, multiply, accumulate) and for the bias 1, unless the input's gradient includes them.
    Source: https://arxiv.org/abs/1502.03167, section 3
    """
    by_input, by_weight, by_bias = output_mask
    training = train and update
    sums = 4 * (by_weight or (by_input and training)) + (by_bias or (by_input and training))
    return Work(other_flops=input.numel * (sums + by_input * (4 if training else 1)))


@rule("aten.native_layer_norm_backward", "aten.native_group_norm_backward", kind=Kind.NORM)
def layer_norm_backward(input: TensorSpec, weight: TensorSpec | None, output_mask: Mask, *, out: object) -> Work:
    """Gradients of layer and group normalisation.

    Counts: per element for the input 9 (normalise 2, two sums 3, subtract, scale, subtract, scale), one more for a
        weight; for the weight 2 (multiply, accumulate), plus 2 to normalise if the input's does not; for the bias 1.
    Source: https://arxiv.org/abs/1607.06450, equation 4, and the chain rule
    """
    by_input, by_weight, by_bias = output_mask
    normalise = 2 * (by_input or by_weight)
    per_element = normalise + by_input * (7 + (weight is not None)) + by_weight * 2 + by_bias
    return Work(other_flops=input.numel * per_element)


@rule("aten._fused_rms_norm_backward", kind=Kind.NORM)
def rms_norm_backward(input: TensorSpec, weight: TensorSpec | None, output_mask: Mask, *, out: object) -> Work:
    """Gradients of root-mean-square normalisation.

    Counts: per element for the input 6 (scale 1, a sum 2, scale, subtract, scale), one more for a weight; for the
        weight 2 (multiply, accumulate), plus 1 to scale unless the input's gradient does it.
    Source: https://arxiv.org/abs/1910.07467, equation 4, and the chain rule
    """
    by_input, by_weight = output_mask
    per_element = (by_input or by_weight) + by_input * (5 + (weight is not None)) + by_weight * 2
    return Work(other_flops=input.numel * per_element)


@rule("aten._weight_norm_interface_backward", kind=Kind.NORM)
def weight_norm_backward(saved_v: TensorSpec, *, out: object) -> Work:
    """Gradients of weight normalisation.

    Counts: 5 per weight (multiply, accumulate; scale, subtract, scale).
    Source: https://arxiv.org/abs/1602.07868, equation 3
    """
    return Work(other_flops=saved_v.numel * 5)


# ---- activations


register_charges(
    Kind.ACTIVATION,
    [
        Charge("threshold_backward", 1, "one comparison"),
        Charge("hardtanh_backward leaky_relu_backward", 2, "two comparisons, or compare and multiply"),
        Charge("hardshrink_backward softshrink_backward", 2, "two comparisons"),
        Charge("elu_backward", 4, "compare, exp, two multiplies"),
        Charge("sigmoid_backward tanh_backward", 3, "derivative from the output 2, multiply"),
        Charge("log_sigmoid_backward", 4, "exp, add, divide, multiply"),
        Charge("softplus_backward", 5, "compare, exp, add, divide, multiply"),
        Charge("hardsigmoid_backward", 3, "two comparisons, multiply"),
        Charge("hardswish_backward", 5, "two comparisons, divide, add, multiply"),
        Charge("silu_backward", 9, "sigmoid of 4, subtract, multiply, add, two multiplies"),
        Charge("mish_backward", 14, "exp, add, log, tanh, sigmoid of 4, derivative 5, multiply"),
        Charge("rrelu_with_noise_backward", 1, "multiply"),
        Charge("_prelu_kernel_backward", 3, "compare, a multiply by input and one by weight"),
        Charge("logit_backward", 3, "subtract, multiply, divide"),
    ],
    source=_CHAIN,
)


@rule("aten.gelu_backward", kind=Kind.ACTIVATION)
def gelu_backward(self: TensorSpec, approximate: str = "none", *, out: TensorSpec) -> Work:
    """Gradient of the Gaussian error linear unit.

    Counts: 11 per element (distribution 4: scale, erf, add, scale; density 4: square, scale, exp, scale; multiply, add,
        multiply); 18 with the tanh approximation (its tanh 6, the two factors 2 and 2, the inner derivative 3, their
        product 3, add, multiply).
    Source: https://arxiv.org/abs/1606.08415 and the chain rule
    """
    return Work(other_flops=out.numel * (18 if approximate == "tanh" else 11))


@rule("aten.glu_backward", kind=Kind.ACTIVATION)
def glu_backward(grad_output: TensorSpec, *, out: TensorSpec) -> Work:
    """Gradient of a gated linear unit.

    Counts: 9 per element of the output's gradient (sigmoid of 4, multiply; subtract, three multiplies).
    Source: https://arxiv.org/abs/1612.08083 and the chain rule
    """
    return Work(other_flops=grad_output.numel * 9)


register_charges(
    Kind.SOFTMAX,
    [
        Charge("_softmax_backward_data", 4, "multiply, accumulate, subtract, multiply"),
        Charge("_log_softmax_backward_data", 4, "accumulate, exp, multiply, subtract"),
    ],
    source=_CHAIN,
)


# ---- losses, and operators that move gradients


register_charges(
    Kind.REDUCE,
    [
        Charge("mse_loss_backward", 3, "subtract, scale, multiply"),
        Charge("smooth_l1_loss_backward huber_loss_backward", 4, "subtract, compare, scale, multiply"),
        Charge("binary_cross_entropy_backward", 5, "two subtracts, multiply, divide, multiply"),
        Charge("nll_loss_backward nll_loss2d_backward", 0, "writes one element per sample"),
    ],
    source=_CHAIN,
)


register_charges(
    Kind.MOVEMENT,
    [
        Charge("slice_backward select_backward diagonal_backward", 0, "zeros, and the gradient in its place"),
        Charge("native_dropout_backward", 2, "mask and scale"),
    ],
    source=_CHAIN,
)


@rule("aten.unfold_backward", kind=Kind.MOVEMENT)
def unfold_backward(grad_in: TensorSpec, *, out: TensorSpec) -> Work:
    """Overlapping windows added back.

    Counts: one add per element of the windows.
    Source: PyTorch tools/autograd/derivatives.yaml, `unfold`
    """
    return Work(other_flops=grad_in.numel)


@rule(
    *(f"aten.{mode}_pad{axes}d_backward" for mode in ("reflection", "replication") for axes in (1, 2, 3)),
    kind=Kind.MOVEMENT,
)
def pad_backward(grad_output: TensorSpec, *, out: TensorSpec) -> Work:
    """Gradients of padding with the image's own border, added back to the image.

    Counts: one add per padded element.
    Source: PyTorch tools/autograd/derivatives.yaml, `reflection_pad2d`
    """
    return Work(other_flops=grad_output.numel - out.numel)


@rule("aten.embedding_dense_backward", kind=Kind.EMBEDDING)
def embedding_dense_backward(grad_output: TensorSpec, *, out: TensorSpec) -> Work:
    """Gradients of the picked rows, added up in a table.

    Counts: one add per element picked.
    Source: PyTorch tools/autograd/derivatives.yaml, `embedding`
    """
    return Work(other_flops=grad_output.numel)


@rule("flex_lib.zeros_and_scatter", kind=Kind.EMBEDDING)
def zeros_and_scatter(vals: TensorSpec, *, out: TensorSpec) -> Work:
    """Gradients of a learned bias of flex attention, added up where the scores picked it.

    Counts: one add per value.
    Source: PyTorch torch/_dynamo/_trace_wrapped_higher_order_op.py, `zeros_and_scatter`
    """
    return Work(other_flops=vals.numel)


@rule("aten._embedding_bag_backward", kind=Kind.EMBEDDING)
def embedding_bag_backward(
    grad: TensorSpec, indices: TensorSpec, per_sample_weights: TensorSpec | None = None, *, out: object
) -> Work:
    """Gradients of rows that the forward adds up in bags.

    Counts: one add per element picked, one multiply where weighted.
    Source: PyTorch tools/autograd/derivatives.yaml, `_embedding_bag`
    """
    return Work(other_flops=indices.numel * grad.shape[-1] * (1 + (per_sample_weights is not None)))


@rule("aten._cdist_backward", kind=Kind.REDUCE)
def cdist_backward(x1: TensorSpec, x2: TensorSpec, *, out: TensorSpec) -> Work:
    """Gradient of the distances between all pairs of rows, by one side.

    Counts: 4 per compared coordinate (subtract, scale by the distance, multiply, accumulate).
    Source: PyTorch documentation of torch.cdist and the chain rule
    """
    return Work(other_flops=x1.numel * x2.shape[-2] * 4)
