"""The depth of an operator's arithmetic: the number of steps that cannot run at once on any number of processors.

An elementwise operation has depth 1. A reduction of length K has depth 1 + ceil(log2 K): a tree of adds over K
products, as in a contraction, or over K elements. A composite operator has the sum of the depths of its successive
parts, so a fused operator is as deep as the same code in separate operators. Moving data is no arithmetic. No call is
deeper than its number of operations.
"""

from __future__ import annotations

from math import prod

from ..core.ops import CostedOp, Dim, Kind, TensorSpec, tensors_in
from .charges import first
from .pooling import taps
from .registry import Formulas

__all__ = ["depth_of", "depths", "reduction", "steps"]

depths = Formulas("depth")
"""Canonical operator -> depth of one call, where its kind does not determine it."""

steps = Formulas("steps")
"""Canonical operator -> sequential steps of one call; 1 for all but the fused recurrences."""


def reduction(length: Dim) -> int:
    """Depth of a reduction: 1 + ceil(log2 K)."""
    return 1 + max(int(length) - 1, 0).bit_length()


def depth_of(costed: CostedOp) -> int:
    """Arithmetic depth of one call; 0 for an operator that does no floating-point arithmetic, or has no rule."""
    work = costed.work.macs * 2 + costed.work.other_flops
    if not work:
        return 0
    depth = depths.of(costed.op.signature)
    return min(_by_kind(costed) if depth is None else depth, work)


def _by_kind(costed: CostedOp) -> int:
    """A contraction's length is its MACs per output element, a reduction's its inputs per output element."""
    outputs = max(first(costed.op.signature.outputs).numel, 1)
    work, kind = costed.work, costed.kind
    if kind in _SUMS_OF_PRODUCTS:
        return reduction(-(-work.macs // outputs)) + bool(work.other_flops)
    if kind in _REDUCTIONS:
        return reduction(-(-costed.elements_read // outputs))
    if kind in _WEIGHTED:
        return reduction(-(-work.other_flops // outputs))
    return 1


_SUMS_OF_PRODUCTS = (Kind.CONV, Kind.LINEAR, Kind.MATMUL)  # and the bias, if there is one
_REDUCTIONS = (Kind.REDUCE,)
_WEIGHTED = (Kind.POOL, Kind.INTERPOLATE, Kind.ATTENTION, Kind.RECURRENT, Kind.CUSTOM)  # a tree over all operations


def _normalised(elements: Dim, *affine: object) -> int:
    """Mean, subtract, square, mean, scale, and weight and bias if there are any."""
    return 2 * reduction(elements) + 3 + sum(part is not None for part in affine)


@depths("aten.batch_norm")
def batch_norm(
    input: TensorSpec, weight: object = None, bias: object = None, training: bool = False, *, out: object
) -> int:
    """With running statistics a scale and a shift."""
    return _normalised(input.numel // input.shape[1], weight, bias) if training else 2


@depths("aten._batch_norm_with_update")
def batch_norm_with_update(input: TensorSpec, weight: object = None, bias: object = None, *, out: object) -> int:
    """The same as batch_norm in training."""
    return batch_norm(input, weight, bias, True, out=out)


@depths("aten.instance_norm")
def instance_norm(input: TensorSpec, weight: object, bias: object, use_input_stats: bool, *, out: object) -> int:
    """Over the positions of each sample and channel."""
    return _normalised(prod(input.shape[2:]), weight, bias) if use_input_stats else 2


@depths("aten.layer_norm")
def layer_norm(normalized_shape: tuple[int, ...], weight: object = None, bias: object = None, *, out: object) -> int:
    """Over the last axes."""
    return _normalised(prod(normalized_shape), weight, bias)


@depths("aten.group_norm")
def group_norm(
    input: TensorSpec, num_groups: int = 0, group: int = 0, weight: object = None, bias: object = None, *, out: object
) -> int:
    """Over the positions and channels of each group; native_group_norm has another name for the groups."""
    return _normalised(prod(input.shape[1:]) // (num_groups or group), weight, bias)


@depths("aten.rms_norm")
def rms_norm(normalized_shape: tuple[int, ...], weight: object = None, *, out: object) -> int:
    """Square, mean, scale, and a weight."""
    return reduction(prod(normalized_shape)) + 2 + (weight is not None)


@depths("aten._weight_norm_interface")
def weight_norm(v: TensorSpec, dim: int = 0, *, out: object) -> int:
    """Square, sum, scale."""
    return reduction(v.numel // v.shape[dim]) + 2


def _softmaxed(length: Dim) -> int:
    """Maximum, subtract, exp, sum, divide."""
    return 2 * reduction(length) + 3


@depths("aten.softmax")
def softmax(self: TensorSpec, dim: int, *, out: object) -> int:
    """The logarithm subtracts once, which is as deep as dividing."""
    return _softmaxed(self.shape[dim] if self.ndim else 1)


@depths("aten.scaled_dot_product_attention")
def attention(
    query: TensorSpec, key: TensorSpec, attn_mask: object = None, attn_bias: object = None, *, out: object
) -> int:
    """QKᵀ, scale, mask, softmax, PV; kernels that work block by block compute the same."""
    masked = attn_mask is not None or attn_bias is not None
    keys = key.shape[-2]
    return reduction(query.shape[-1]) + 1 + masked + _softmaxed(keys) + reduction(keys)


@depths("aten._flash_attention_forward")
def flash_attention(query: TensorSpec, key: TensorSpec, *, out: object) -> int:
    """Layout (B, N, H, D), or (N, H, D) of packed sequences, of which the longest has at most all tokens."""
    return reduction(query.shape[-1]) + 1 + _softmaxed(key.shape[-3]) + reduction(key.shape[-3])


@depths("aten.bilinear")
def bilinear(weight: TensorSpec, bias: object = None, *, out: object) -> int:
    """One contraction after the other."""
    return reduction(weight.shape[1]) + reduction(weight.shape[2]) + (bias is not None)


@depths("aten.linalg_solve_triangular")
def solve_triangular(self: TensorSpec, *, out: object) -> int:
    """Every unknown waits for the one before it: divide, multiply, subtract."""
    return 3 * self.shape[-1]


def _register_pool(axes: int) -> None:
    @depths(f"aten.max_pool{axes}d", f"aten.avg_pool{axes}d")
    def pool(kernel_size: tuple[int, ...] | int, *, out: object) -> int:
        return reduction(taps(kernel_size, axes))

    @depths(f"aten.adaptive_max_pool{axes}d")
    def adaptive_max_pool(self: TensorSpec, *, out: object) -> int:
        return reduction(-(-self.numel // max(first(out).numel, 1)))


for _axes in (1, 2, 3):
    _register_pool(_axes)


@depths("aten.var", "aten.var_mean", "aten.std", "aten.std_mean")
def var(self: TensorSpec, *, out: object) -> int:
    """Mean, subtract, square, mean."""
    return 2 * reduction(self.numel // max(first(out).numel, 1)) + 2


@depths("aten.logsumexp")
def logsumexp(self: TensorSpec, *, out: TensorSpec) -> int:
    """Maximum, subtract, exp, sum, log, add."""
    return 2 * reduction(self.numel // max(out.numel, 1)) + 4


@depths("aten.norm", "aten.linalg_vector_norm", "aten.frobenius_norm")
def norm(self: TensorSpec, *, out: TensorSpec) -> int:
    """Square, sum, root."""
    return reduction(self.numel // max(out.numel, 1)) + 2


@depths("aten.sum")
def fold(self: TensorSpec, other: TensorSpec | None = None, *, out: object) -> int:
    """The largest of two tensors elementwise, else over an axis."""
    return 1 if other is not None else reduction(self.numel // max(first(out).numel, 1))


@depths("aten.cumsum", "aten.cumprod", "aten.cummax", "aten.cummin", "aten.logcumsumexp")
def scan(self: TensorSpec, dim: int, *, out: object) -> int:
    """A parallel prefix (Ladner and Fischer 1980, https://doi.org/10.1145/322217.322232)."""
    return reduction(self.shape[dim] if self.ndim else 1)


@depths("aten.sort", "aten.topk", "aten.median")
def sort(self: TensorSpec, dim: int | None = None, *, out: object) -> int:
    """Bitonic sorting network, log2 n · (log2 n + 1) / 2 (Batcher 1968, https://doi.org/10.1145/1468075.1468121)."""
    length = self.numel if dim is None or not self.ndim else self.shape[dim]
    levels = reduction(length) - 1
    return max(levels * (levels + 1) // 2, 1)


@depths("aten.searchsorted")
def bucketize(boundaries: TensorSpec | None = None, sorted_sequence: TensorSpec | None = None, *, out: object) -> int:
    """One comparison after the other."""
    among = first((boundaries, sorted_sequence))
    return reduction(among.shape[-1] + 1) - 1


@depths("aten._fft_c2c", "aten._fft_r2c")
def fft(self: TensorSpec, dim: tuple[int, ...], *, out: TensorSpec) -> int:
    """Per stage a complex multiply (2) and an add."""
    return 3 * sum(reduction(self.shape[axis]) - 1 for axis in dim)


@depths("aten._fft_c2r")
def fft_c2r(dim: tuple[int, ...], *, out: TensorSpec) -> int:
    """The same, with the lengths of the output."""
    return 3 * sum(reduction(out.shape[axis]) - 1 for axis in dim)


# Recurrences. After the two products of a step, on the path from one hidden state to the next:
_LSTM_STEP = 6  # add (ih + hh), sigmoid, f·c, + i·g, tanh, o·
_GRU_STEP = 8  # add, sigmoid, r·n, add, tanh, subtract, z·, add
_RNN_STEP = 2  # add, tanh or relu

Params = tuple[TensorSpec, ...]


def _recurrence(steps: int, params: Params, layers: int, directions: int, step: int) -> int:
    """Layers of one direction overlap like a wave; with two directions, a layer waits for both of the one below."""
    per_layer = len(params) // (layers * directions)
    biased = any(spec.ndim == 1 for spec in params)
    projections = [spec for spec in params[:per_layer] if spec.ndim == 2][2:]
    behind = step + biased + sum(reduction(spec.shape[-1]) for spec in projections)
    hidden = reduction(params[1].shape[-1])
    reductions = [reduction(weight.shape[-1]) for weight in params[:: per_layer * directions]]  # of inputs
    firsts = [max(products, hidden) + behind for products in reductions]
    waits = layers if directions > 1 else 1
    return sum(firsts) + waits * (steps - 1) * (hidden + behind)


_FUSED = {"lstm": _LSTM_STEP, "gru": _GRU_STEP, "rnn_tanh": _RNN_STEP}


@steps(*(f"aten.{name}{packed}" for name in _FUSED for packed in ("", ".data")))
def fused_steps(
    input: TensorSpec | None = None, batch_first: bool = False, batch_sizes: TensorSpec | None = None, *, out: object
) -> int:
    """The steps of the longest sequence; a packed sequence has a batch size for each step."""
    if batch_sizes is not None:
        return int(batch_sizes.numel)
    shape = first(input).shape
    return int(shape[1 if batch_first and len(shape) == 3 else 0])


def _register_recurrent(name: str, step: int) -> None:
    @depths(f"aten.{name}", f"aten.{name}.data")
    def fused(
        params: Params, num_layers: int, bidirectional: bool, input: TensorSpec | None = None,
        batch_first: bool = False, batch_sizes: TensorSpec | None = None, *, out: object,
    ) -> int:  # fmt: skip
        length = fused_steps(input, batch_first, batch_sizes, out=out)
        return _recurrence(length, params, num_layers, 1 + bidirectional, step)

    @depths(f"aten.{name}_cell")
    def cell(w_ih: TensorSpec, w_hh: TensorSpec, b_ih: TensorSpec | None = None, *, out: object) -> int:
        return _recurrence(1, (w_ih, w_hh, *tensors_in(b_ih)), 1, 1, step)


for _name, _step in _FUSED.items():
    _register_recurrent(_name, _step)


@depths("flopcount.selective_scan")
def selective_scan_depth(u: TensorSpec, A: TensorSpec, *, out: object) -> int:
    """Δ·A, exp; a scan of pairs, which is associative, in a tree over tokens up and down; C·h, and the sum with D·u."""
    tree = 2 * (reduction(u.shape[1]) - 1)
    return 2 + 2 * tree + reduction(A.shape[1]) + 1
