"""The table of the cost of one element in activations and elementwise arithmetic."""

from __future__ import annotations

from ..core.ops import Kind, TensorSpec, Work
from .charges import Charge, is_floating, parts, register_charges
from .registry import rule

__all__: list[str] = []

_FORMULA = "scalar operations of the textbook formula; PyTorch documentation of the activation"
_SCALAR = "one scalar operation per element; PyTorch ATen native_functions.yaml for the operator"

register_charges(
    Kind.ACTIVATION,
    [
        Charge("relu threshold", 1, "one comparison"),
        Charge("relu6 hardtanh", 2, "two comparisons"),
        Charge("leaky_relu prelu _prelu_kernel rrelu rrelu_with_noise", 2, "compare, multiply"),
        Charge("hardshrink softshrink", 2, "compare, add"),
        Charge("elu", 4, "compare, exp, subtract, multiply"),
        Charge("celu selu", 5, "compare, exp, subtract, two multiplies"),
        Charge("sigmoid", 4, "negate, exp, add, divide"),
        Charge("log_sigmoid log_sigmoid_forward", 4, "negate, exp, add, log"),
        Charge("silu", 5, "sigmoid of 4, multiply"),
        Charge("mish", 5, "exp, add, log, tanh, multiply"),
        Charge("softplus", 4, "compare, exp, add, log"),
        Charge("hardswish", 5, "add, two comparisons, multiply, divide"),
        Charge("hardsigmoid", 4, "add, two comparisons, divide"),
        Charge("tanh", 1, "tanh"),
        Charge("glu", 5, "sigmoid of 4, multiply"),
    ],
    source=_FORMULA,
)


@rule("aten.gelu", kind=Kind.ACTIVATION)
def gelu(self: TensorSpec, approximate: str = "none", *, out: TensorSpec) -> Work:
    """Gaussian error linear unit.

    Counts: 5 per element (scale, erf, add, two multiplies); 9 with the tanh approximation (cube 2, scale, add, scale,
        tanh, add, two multiplies).
    Source: https://arxiv.org/abs/1606.08415
    """
    return Work(other_flops=out.numel * (9 if approximate == "tanh" else 5))


register_charges(
    Kind.ELEMENTWISE,
    [
        Charge("mul div floor_divide", 1, "multiply or divide"),
        Charge("fmod remainder", 3, "divide, round, subtract"),
        Charge("neg abs sign sgn square reciprocal", 1, "one operation"),
        Charge("sqrt exp exp2 expm1 log log2 log10 log1p pow float_power", 1, "one function value"),
        Charge("rsqrt", 2, "square root, divide"),
        Charge("sin cos tan asin acos atan atan2 sinh cosh asinh acosh atanh sinc", 1, "one function value"),
        Charge("erf erfc erfinv lgamma digamma i0", 1, "one function value"),
        Charge("floor ceil round trunc frac", 1, "one rounding"),
        Charge("eq ne lt le gt ge", 1, "one comparison"),
        Charge(
            "maximum minimum fmax fmin isnan isinf isneginf isposinf isfinite isclose signbit heaviside",
            1,
            "one comparison",
        ),
        Charge("clamp_min clamp_max", 1, "one comparison"),
        Charge("clamp", 2, "two comparisons"),
        Charge("nan_to_num", 3, "three comparisons"),
        Charge("lerp", 3, "subtract, multiply, add"),
        Charge("addr", 2, "multiply, add"),
        Charge("addcmul addcdiv", 3, "multiply or divide, scale, add"),
        Charge("hypot", 4, "two squares, add, square root"),
        Charge("xlogy special_xlog1py", 2, "log, multiply"),
        Charge("logaddexp logaddexp2", 5, "maximum, subtract, exp, add, log"),
        Charge("logit", 3, "subtract, divide, log"),
        Charge("deg2rad rad2deg", 1, "one multiply"),
        Charge("copysign ldexp", 1, "one operation"),
        Charge("kron", 1, "one multiply"),
        Charge("linalg_cross", 3, "two multiplies, subtract"),
        Charge("polar", 4, "cosine, sine, two multiplies"),
        Charge("angle", 1, "one function value"),
        Charge("bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift", 0, "integer"),
        Charge("logical_and logical_or logical_xor logical_not", 0, "boolean"),
        Charge("__lshift__ __rshift__ __ilshift__ __irshift__ gcd lcm isin", 0, "integer"),
    ],
    source=_SCALAR,
)


@rule("aten.add", "aten.sub", "aten.rsub", "prims.add", "prims.sub", kind=Kind.ELEMENTWISE)
def add(self: object, other: object, alpha: float = 1, *, out: TensorSpec) -> Work:
    """Sum or difference, broadcast.

    Counts: one per output element (a complex one two), one more where the second operand is scaled by alpha ≠ 1.
    Source: one scalar operation per element; PyTorch ATen native_functions.yaml, `add`
    """
    if not is_floating(self, other, out):
        return Work()
    return Work(other_flops=out.numel * (parts(out) * (1 + (alpha != 1))))


@rule(
    "aten.fake_quantize_per_tensor_affine",
    "aten.fake_quantize_per_tensor_affine_cachemask",
    "aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
    "aten._fake_quantize_learnable_per_tensor_affine",
    "aten.fake_quantize_per_channel_affine",
    "aten.fake_quantize_per_channel_affine_cachemask",
    "aten._fake_quantize_learnable_per_channel_affine",
    kind=Kind.ELEMENTWISE,
)
def fake_quantize(self: TensorSpec, *, out: object) -> Work:
    """Rounding to quantized values and back, as in quantization-aware training.

    Counts: 7 per element (divide, shift, round, two comparisons, shift back, multiply).
    Source: PyTorch documentation of torch.fake_quantize_per_tensor_affine
    """
    return Work(other_flops=self.numel * 7)


@rule("aten._fused_moving_avg_obs_fq_helper", kind=Kind.ELEMENTWISE)
def fused_observer(self: TensorSpec, *, out: object) -> Work:
    """Fake quantization that also observes the range of its input.

    Counts: 9 per element (observed minimum and maximum 2, fake quantization 7).
    Source: PyTorch documentation of torch.ao.quantization.fake_quantize.FusedMovingAvgObsFakeQuantize
    """
    return Work(other_flops=self.numel * 9)
