"""Normalisation layers: none of their operations is a contraction, so all are `other_flops`."""

from __future__ import annotations

from ..core.ops import Dim, Kind, TensorSpec, Work
from .charges import first
from .registry import rule

__all__ = ["LAYER_NORM_PER_ELEMENT"]

LAYER_NORM_PER_ELEMENT = 5  # accumulate the mean, subtract it, square, accumulate the variance, scale
RMS_NORM_PER_ELEMENT = 3  # square, accumulate, scale
WEIGHT_NORM_PER_ELEMENT = 3  # square, accumulate, scale
FOLDED_PER_ELEMENT = 2  # running statistics fold into one scale and one shift per channel


def _affine(*parameters: TensorSpec | None) -> int:
    """One multiply for a weight, one add for a bias."""
    return sum(parameter is not None for parameter in parameters)


def _normalised(x: TensorSpec, per_element: Dim) -> Work:
    return Work(other_flops=x.numel * per_element)


@rule(
    "aten.batch_norm",
    "aten.native_batch_norm",
    "aten._native_batch_norm_legit",
    "aten._native_batch_norm_legit_no_training",
    "aten.cudnn_batch_norm",
    "aten.miopen_batch_norm",
    "aten._batch_norm_no_update",
    kind=Kind.NORM,
)
def batch_norm(
    input: TensorSpec, weight: TensorSpec | None, bias: TensorSpec | None, training: bool = False, *, out: object
) -> Work:
    """Batch normalisation over (B, C, *S).

    Counts: 2 per element with running statistics (one scale, one shift, folded per channel); in training 5 per
        element (mean 1, subtract 1, square 1, variance 1, scale 1), one more for a weight, one more for a bias.
    Source: https://arxiv.org/abs/1502.03167, algorithms 1 and 2
    """
    per_element = LAYER_NORM_PER_ELEMENT + _affine(weight, bias) if training else FOLDED_PER_ELEMENT
    return _normalised(input, per_element)


@rule("aten._batch_norm_with_update", kind=Kind.NORM)
def batch_norm_with_update(
    input: TensorSpec, weight: TensorSpec | None, bias: TensorSpec | None, *, out: object
) -> Work:
    """Batch normalisation in training, under the name of newer kernels.

    Counts: as aten.batch_norm in training.
    Source: https://arxiv.org/abs/1502.03167, algorithm 1
    """
    return batch_norm(input, weight, bias, True, out=out)


@rule("aten.layer_norm", "aten.native_layer_norm", kind=Kind.NORM)
def layer_norm(
    input: TensorSpec, weight: TensorSpec | None = None, bias: TensorSpec | None = None, *, out: object
) -> Work:
    """Layer normalisation.

    Counts: 5 per element (mean 1, subtract 1, square 1, variance 1, scale 1), one more for a weight, one more for a
        bias.
    Source: https://arxiv.org/abs/1607.06450, equation 4
    """
    return _normalised(input, LAYER_NORM_PER_ELEMENT + _affine(weight, bias))


@rule("aten.group_norm", "aten.native_group_norm", kind=Kind.NORM)
def group_norm(
    input: TensorSpec, weight: TensorSpec | None = None, bias: TensorSpec | None = None, *, out: object
) -> Work:
    """Group normalisation.

    Counts: 5 per element (mean 1, subtract 1, square 1, variance 1, scale 1), one more for a weight, one more for a
        bias.
    Source: https://arxiv.org/abs/1803.08494, equations 1-7
    """
    return layer_norm(input, weight, bias, out=out)


@rule("aten.instance_norm", kind=Kind.NORM)
def instance_norm(
    input: TensorSpec, weight: TensorSpec | None, bias: TensorSpec | None, use_input_stats: bool, *, out: object
) -> Work:
    """Instance normalisation.

    Counts: 5 per element, one more for a weight, one more for a bias; 2 per element with running statistics.
    Source: https://arxiv.org/abs/1607.08022
    """
    return batch_norm(input, weight, bias, use_input_stats, out=out)


@rule("aten.rms_norm", "aten._fused_rms_norm", kind=Kind.NORM)
def rms_norm(input: TensorSpec, weight: TensorSpec | None = None, *, out: object) -> Work:
    """Root-mean-square normalisation.

    Counts: 3 per element (square 1, accumulate 1, scale 1), one more for a weight.
    Source: https://arxiv.org/abs/1910.07467, equation 4
    """
    return _normalised(input, RMS_NORM_PER_ELEMENT + _affine(weight))


@rule("aten._weight_norm_interface", kind=Kind.NORM)
def weight_norm(v: TensorSpec, *, out: object) -> Work:
    """Weight normalisation g·v / |v|, the norm over all axes but one.

    Counts: 3 per weight (square 1, accumulate 1, scale 1).
    Source: https://arxiv.org/abs/1602.07868, equation 2
    """
    return _normalised(v, WEIGHT_NORM_PER_ELEMENT)


@rule(
    "aten.dropout",
    "aten.feature_dropout",
    "aten.alpha_dropout",
    "aten.feature_alpha_dropout",
    "aten.native_dropout",
    kind=Kind.MOVEMENT,
)
def dropout(p: float, train: bool | None, *, out: object) -> Work:
    """Dropout; in eval mode the input itself.

    Counts: 2 per element in training (mask and scale; the random mask is not the network's arithmetic), else nothing.
    Source: https://arxiv.org/abs/1207.0580
    """
    if train is False or p == 0:  # of aten.native_dropout, None means training
        return Work(bytes_read=0, bytes_written=0)
    return Work(other_flops=first(out).numel * 2)
