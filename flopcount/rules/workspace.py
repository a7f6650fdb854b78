"""The memory that a kernel needs beside its inputs and outputs while it runs, in bytes.

The kernels are torch's for the CPU, since their allocations can be measured on any machine:
`tests/analysis/test_memory.py` compares them with the profiler's records. Workspaces of a few hundred bytes are left
out, since they do not matter to a network's peak.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..core.ops import Dim, Signature, TensorSpec
from .charges import first
from .convolution_scratch import by_matrices, onednn_threads, weight_gradient_scratch
from .registry import Formulas, canonical_name

__all__ = [
    "attention_kernel",
    "channels_last_workspaces",
    "fused_lstm_workspace",
    "takes_flash",
    "threads_of",
    "workspaces",
]

workspaces = Formulas("workspace")
"""Canonical operator -> bytes of temporaries of one call; an operator without a formula has none."""

channels_last_workspaces = Formulas("workspace")
"""The same where the channels of the first input are innermost; the default is the formula above."""

_BLOCK = 16  # channels in one block of oneDNN on a CPU with AVX-512
_SMALL = 20_480  # ATen/native/Convolution.cpp, ConvParams::use_mkldnn: below this size the native kernel is faster
_WIDE = 3


def _blocked(spec: TensorSpec, *axes: int) -> Dim:
    """Bytes of a tensor in oneDNN's own layout, with channels padded to whole blocks."""
    sizes = [-(-n // _BLOCK) * _BLOCK if axis in axes else n for axis, n in enumerate(spec.shape)]
    return prod(sizes) * spec.itemsize


def _by_onednn(input: TensorSpec, weight: TensorSpec, groups: int) -> bool:
    """Whether torch uses oneDNN (with several threads): in float32 not for one small image, in bfloat16 always.

    Double precision, and float16 on a CPU without AVX512-FP16, are for the native kernel.
    Source: ATen/native/Convolution.cpp, ConvParams::use_mkldnn
    """
    if input.dtype != "float32":
        return input.dtype == "bfloat16"
    large = prod(input.shape[:4]) > _SMALL or input.shape[0] > 1
    return groups > 1 or large or min(weight.shape[-2:]) > _WIDE


def _columns(
    input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...], padding: tuple[int, ...] | str, out: TensorSpec
) -> Dim:
    """Bytes of the whole batch as the native kernel unfolds it (im2col); a pointwise convolution needs none."""
    if prod(weight.shape[2:]) == 1 and set(stride) == {1} and (isinstance(padding, str) or not any(padding)):
        return 0
    return prod(input.shape[:2]) * prod(weight.shape[2:]) * prod(out.shape[2:]) * input.itemsize


@workspaces("aten.convolution")
def convolution(
    input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...] = (1,),
    padding: tuple[int, ...] | str = (0,), transposed: bool = False, groups: int = 1, *, out: TensorSpec,
) -> int:  # fmt: skip
    """Copies of input, weight and output in oneDNN's layout, or the columns of the native kernel.

    oneDNN frees the first two before it creates the plain output, and reads inputs with few channels in place. A
    depthwise 3D convolution pads no channels and reorders its output twice.
    """
    if input.ndim != weight.ndim:
        return 0
    if transposed:
        return conv_transpose(input, weight, stride, groups, out=out)
    if not _by_onednn(input, weight, groups):
        return _columns(input, weight, stride, padding, out)
    if groups == input.shape[1] > 1 and input.ndim == 5:
        return max(input.nbytes + weight.nbytes, 2 * out.nbytes)
    inputs = _blocked(input, 1) if input.shape[1] >= _BLOCK else 0
    weights = _blocked(weight, 0, 1) if inputs and groups == 1 else _blocked(weight, 0)
    result = _blocked(out, 1)
    return max(inputs + weights + result - out.nbytes, result)


@channels_last_workspaces("aten.convolution")
def channels_last_convolution(
    input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...] = (1,),
    padding: tuple[int, ...] | str = (0,), groups: int = 1, *, out: TensorSpec,
) -> int:  # fmt: skip
    """A copy of the weights with their channels innermost, if needed, and one in oneDNN's layout."""
    nbytes = 0 if 1 in (weight.shape[1], prod(weight.shape[2:])) else weight.nbytes
    if not _by_onednn(input, weight, groups):
        return nbytes + _columns(input, weight, stride, padding, out)
    return nbytes + (weight.nbytes if weight.shape[1] == 1 else _blocked(weight, 0, 1))


@workspaces("aten.convolution_backward")
def convolution_backward(
    grad_output: TensorSpec, input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...] = (1,),
    padding: tuple[int, ...] = (0,), transposed: bool = False, groups: int = 1, *, output_mask: tuple[bool, ...],
    out: Any,
) -> int:  # fmt: skip
    """Copies in oneDNN's layout, first for the gradient of the input, then for that of the weights.

    The second begins when the first has its plain gradient, and has scratch of its own; each frees its other copies
    before that.
    """
    by_input, by_weight = (input.nbytes * output_mask[0], weight.nbytes * output_mask[1])
    if not _by_onednn(input, weight, groups):
        return _columns(input, weight, stride, padding, grad_output)
    if groups == input.shape[1] > 1 and input.ndim == 5:
        return max(grad_output.nbytes + weight.nbytes, 2 * input.nbytes)
    inputs = _blocked(input, 1) if input.shape[1] >= _BLOCK else 0
    weights = _blocked(weight, 0, 1) if inputs and groups == 1 else _blocked(weight, 0)
    gradient, result = _blocked(grad_output, 1), _blocked(input, 1)
    scratch = 0 if transposed else weight_gradient_scratch(grad_output, input, weight, stride, padding, groups)
    if not transposed and by_matrices(input, weight, padding):
        inputs = gradient = 0  # read in place
    return max(
        (gradient + weights + result - by_input - by_weight) if by_input else 0,
        (result - by_weight) if by_input else 0,
        (inputs + gradient + weights + scratch - by_weight) if by_weight else 0,
        weights if by_weight else 0,
    )


def threads_of(signature: Signature) -> int | None:
    """The number of threads that the workspace of a call is for; None if it does not depend on that."""
    if canonical_name(signature.op, signature.overload) != "aten.convolution_backward":
        return None
    names = ("grad_output", "input", "weight", "stride", "padding", "groups")
    arguments = signature.arguments
    scratch = not arguments["transposed"] and weight_gradient_scratch(*(arguments[name] for name in names))
    return onednn_threads() if scratch else None


@channels_last_workspaces("aten.convolution_backward")
def channels_last_convolution_backward(weight: TensorSpec, *, out: Any) -> int:
    """The weights, and their gradient, with their channels innermost and in oneDNN's layout."""
    return 2 * _blocked(weight, 0)


@workspaces("aten.conv_transpose1d")
def conv_transpose(
    input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...] = (1,), groups: int = 1, *, out: TensorSpec
) -> int:
    """Copies of all three in oneDNN's layout, and an output to add up in, before the plain output is made.

    A strided convolution of several channels adds up in place, but its output is copied once more.
    """
    copies, result = _blocked(input, 1) + weight.nbytes, _blocked(out, 1)
    if any(step > 1 for step in stride) and groups < max(input.shape[1], 2):
        return max(copies + result - out.nbytes, result + out.nbytes)
    return copies + result


@workspaces("aten.max_pool2d", "aten.max_pool3d")
def max_pool(*, out: object) -> int:
    """The indices of the maxima, as int64; the kernel always makes them, but they may be part of the output."""
    return out.numel * 8 if isinstance(out, TensorSpec) else 0


@workspaces("aten.dropout")
def dropout(p: float = 0.5, train: bool | None = True, *, out: object) -> int:
    """Its noise, which is as large as the input; where autograd keeps a mask, that is output."""
    return out.nbytes if train and 0 < p < 1 and isinstance(out, TensorSpec) else 0


@workspaces("aten.roll")
def roll(dims: tuple[int, ...] = (), *, out: TensorSpec) -> int:
    """One axis after the other."""
    return out.nbytes if len(dims) > 1 else 0


@workspaces("aten.im2col")
def im2col(self: TensorSpec, *, out: TensorSpec) -> int:
    """A contiguous copy of the image."""
    return self.nbytes


_ATTENTION = "aten.scaled_dot_product_attention"


def attention_kernel(signature: Signature) -> str | None:
    """The kernel that torch uses on a CPU for a call: "flash" works block by block, "math" keeps all scores.

    None for operators other than attention, and for other kernels, which are called by name.
    """
    arguments = signature.arguments
    by_name = "attn_mask" not in arguments or "dropout_mask" in arguments
    if by_name or canonical_name(signature.op, signature.overload) != _ATTENTION:
        return None
    query, key, value, mask = (arguments[name] for name in ("query", "key", "value", "attn_mask"))
    return "flash" if takes_flash(query, key, value, mask, arguments["dropout_p"]) else "math"


def takes_flash(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, attn_mask: TensorSpec | None, dropout_p: float
) -> bool:
    """Whether torch has a fused CPU kernel for a call of attention.

    Source: ATen/native/transformers/sdp_utils_cpp.cpp, use_flash_attention_cpp
    """
    import torch

    heads = (4,) if torch.__version__ < "2.14" else (3, 4)
    axes = query.ndim == key.ndim == value.ndim and query.ndim in heads
    masked = attn_mask is None or attn_mask.ndim in (2, query.ndim)
    alike = axes and query.shape[-1] == key.shape[-1] == value.shape[-1] and query.shape[:-2] == key.shape[:-2]
    return bool(alike and masked and dropout_p == 0 and query.numel and key.numel)


@workspaces(_ATTENTION)
def attention(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, attn_mask: TensorSpec | None = None, dropout_p: float = 0.0,
    *, out: object,
) -> int:  # fmt: skip
    """Flash: the logarithm of each row's sum. Math: scaled queries, scores before and after the softmax.

    A boolean mask becomes one of numbers. A kernel that is called by name returns the logarithm, which is then output
    and no workspace.
    """
    mask = attn_mask.numel * query.itemsize if attn_mask is not None and not attn_mask.is_floating else 0
    result = first(out)
    rows = prod(result.shape[:-1])
    if takes_flash(query, key, value, attn_mask, dropout_p):
        return mask + rows * 4 * isinstance(out, TensorSpec)
    scores = rows * key.shape[-2]
    return mask + query.nbytes + scores * query.itemsize * (2 + (dropout_p > 0)) + scores - min(result.nbytes, scores)


def _leading(size: int, itemsize: int) -> int:
    """The length of a row in oneDNN's recurrent kernels: whole cache lines, and no multiple of 256 elements.

    Source: oneDNN, src/cpu/rnn/rnn_utils.cpp, get_good_ld
    """
    line = 64 // itemsize
    rounded = -(-size // line) * line
    return rounded + line if rounded % 256 == 0 else rounded


def fused_lstm_workspace(steps: int, batch: int, features: int, hidden: int, itemsize: int) -> int:
    """What oneDNN's LSTM keeps of one layer for its backward pass: gates, states and the gradients of states."""
    gates = steps * batch * _leading(4 * hidden, itemsize) * itemsize
    own, widest = _leading(hidden, itemsize), _leading(max(features, hidden), itemsize)
    layers, states = 6 * (steps + 1) * widest * itemsize, (5 * steps + 4) * own * itemsize
    in_full = 6 * (steps + 1) * own * 2 if itemsize == 2 else 0  # gradients of states stay in float32
    return gates + batch * (layers + states + in_full)


def _scratch(input: TensorSpec, features: int, hidden: int) -> Dim:
    """The gates of all steps, and inputs that are wider than the states."""
    steps, batch = input.shape[0], prod(input.shape[:-1])
    wide = (batch + batch // steps) * _leading(features, input.itemsize) * (features > hidden)
    return (batch * _leading(4 * hidden, input.itemsize) + wide) * input.itemsize


@workspaces("aten.mkldnn_rnn_layer")
def fused_lstm(input: TensorSpec, weight0: TensorSpec, weight1: TensorSpec, *, out: object) -> Dim:
    """The weights in oneDNN's layout, and the gates of all steps."""
    return weight0.nbytes + weight1.nbytes + _scratch(input, input.shape[-1], weight1.shape[1])


@workspaces("aten.mkldnn_rnn_layer_backward")
def fused_lstm_backward(
    input: TensorSpec, weight1: TensorSpec, weight2: TensorSpec, output: TensorSpec, *, out: object
) -> Dim:
    """The same; in half precision the weights, their gradients in float32, and that of the output, but no gates."""
    if input.itemsize == 2:
        return 3 * (weight1.nbytes + weight2.nbytes) + output.numel * 4
    return fused_lstm(input, weight1, weight2, out=out)


@workspaces("aten.lstm")
def lstm(
    input: TensorSpec, params: tuple[TensorSpec, ...], has_biases: bool, num_layers: int, bidirectional: bool = False,
    batch_first: bool = False, *, out: tuple[TensorSpec, ...],
) -> Dim:  # fmt: skip
    """A contiguous input, the outputs of the layer below, the largest layer's weights in oneDNN's layout, its gates.

    Layers without biases get zeros as large as their weights. Layers with projections, or in double precision, are run
    step by step.
    """
    directions, hidden = 1 + bidirectional, params[0].shape[0] // 4
    if input.dtype == "float64" or out[0].shape[-1] != hidden * directions:
        return gru(input, params, num_layers, bidirectional, out=out)
    size = len(params) // (num_layers * directions)
    layers = [sum(spec.nbytes for spec in params[i : i + size] if spec.ndim == 2) for i in range(0, len(params), size)]
    features = max(input.shape[-1], hidden * directions * (num_layers > 1))
    below = out[0].nbytes if num_layers > 1 else 0
    return input.nbytes * batch_first + max(layers) * (2 - has_biases) + _scratch(input, features, hidden) + below


@workspaces("aten.gru", "aten.rnn_tanh")
def gru(
    input: TensorSpec, params: tuple[TensorSpec, ...], num_layers: int = 1, bidirectional: bool = False,
    *, out: tuple[TensorSpec, ...],
) -> int:  # fmt: skip
    """The gates of all steps from the inputs at once, the outputs of the single steps and of the layer below."""
    gates = prod(input.shape[:-1]) * params[0].shape[0] * input.itemsize
    return gates + out[0].nbytes * ((2 if bidirectional else 1) + (num_layers > 1))


@workspaces("aten.lstm.data", "aten.gru.data", "aten.rnn_tanh.data")
def packed_gru(
    data: TensorSpec, params: tuple[TensorSpec, ...], num_layers: int = 1, bidirectional: bool = False,
    *, out: Any,
) -> int:  # fmt: skip
    """The same; of two directions the first one's steps are freed before the second begins."""
    result = first(out)
    gates = data.shape[0] * params[0].shape[0] * data.itemsize
    return gates + (result.nbytes // 2 if bidirectional else result.nbytes) + result.nbytes * (num_layers > 1)
