"""Reductions, running sums and sorting."""

from __future__ import annotations

from ..ops import Dim, Kind, TensorSpec, Work
from .charges import Charge, first, is_floating, register_charges
from .registry import rule

__all__: list[str] = []

_ARITHMETIC = "scalar operations of the textbook formula; PyTorch ATen native_functions.yaml for the operator"


@rule(
    *("aten.sum", "aten.nansum", "aten.prod"),
    *("aten.amax", "aten.amin", "aten.max", "aten.min", "aten.argmax", "aten.argmin", "aten.aminmax"),
    kind=Kind.REDUCE,
)
def fold(self: TensorSpec, other: TensorSpec | None = None, *, out: object) -> Work:
    """Fold an axis with one binary operation; `max(a, b)` of two tensors is elementwise.

    Counts: elements in − elements out (n numbers need n − 1 operations); of two tensors one per output element.
    Source: scalar operations of the textbook formula
    """
    if not self.is_floating:
        return Work()
    result = first(out).numel
    return Work(other_flops=result if other is not None else self.numel - result)


@rule("aten.mean", "aten.nanmean", kind=Kind.REDUCE)
def mean(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Mean along axes.

    Counts: one per element in (n − 1 adds and one division).
    Source: scalar operations of the textbook formula
    """
    return Work(other_flops=self.numel if is_floating(self, out) else 0)


register_charges(
    Kind.REDUCE,
    [
        Charge("var var_mean", 4, "mean, subtract, square, accumulate"),
        Charge("std std_mean", 4, "mean, subtract, square, accumulate"),
        Charge("logsumexp", 4, "maximum, subtract, exp, accumulate"),
        Charge("norm linalg_vector_norm frobenius_norm", 2, "square or magnitude, accumulate"),
        Charge("count_nonzero any all _is_all_true _is_any_true is_nonzero equal", 0, "boolean"),
        Charge("histc bincount", 0, "counting in integers"),
        Charge("mse_loss", 3, "subtract, square, accumulate"),
        Charge("l1_loss smooth_l1_loss huber_loss", 3, "subtract, magnitude, accumulate"),
        Charge("nll_loss nll_loss_nd nll_loss2d nll_loss_forward", 0, "picks one element"),
        Charge("cross_entropy_loss", 5, "maximum, subtract, exp, accumulate, subtract"),
        Charge("binary_cross_entropy", 6, "two logs, two products, two adds"),
        Charge("binary_cross_entropy_with_logits", 8, "maximum, product, subtract, exp, add, log, two adds"),
        Charge("kl_div", 4, "log, subtract, product, accumulate"),
    ],
    per="input",
    source=_ARITHMETIC,
)

register_charges(
    Kind.CUMULATIVE,
    [
        Charge("cumsum cumprod", 1, "one operation per element"),
        Charge("cummax cummin", 1, "one comparison per element"),
        Charge("logcumsumexp", 4, "maximum, subtract, exp, accumulate"),
        Charge("diff", 1, "one subtraction"),
    ],
    per="input",
    source=_ARITHMETIC,
)


def _log2(n: Dim) -> int:
    """ceil(log2 n), in integers."""
    return max(int(n) - 1, 0).bit_length()


def _axis_length(self: TensorSpec, dim: int | None) -> Dim:
    return self.shape[-1 if dim is None else dim] if self.ndim else 1


@rule("aten.sort", "aten.argsort", "aten.msort", "aten.median", "aten.nanmedian", "aten.kthvalue", kind=Kind.SORT)
def sort(self: TensorSpec, dim: int | None = -1, *, out: object) -> Work:
    """Sorting along one axis.

    Counts: n·ceil(log2 n) comparisons per row of n floating-point numbers.
    Source: merge sort's bound; Knuth, The Art of Computer Programming, volume 3, section 5.3.1
    """
    return Work(other_flops=self.numel * _log2(_axis_length(self, dim)) if self.is_floating else 0)


@rule("aten.topk", kind=Kind.SORT)
def topk(self: TensorSpec, k: int, *, out: object) -> Work:
    """The k largest along one axis.

    Counts: ceil(log2 2k) comparisons per element read (a heap of k, its top looked at first).
    Source: Knuth, The Art of Computer Programming, volume 3, section 5.3.3
    """
    return Work(other_flops=self.numel * _log2(2 * k) if self.is_floating else 0)


@rule("aten.searchsorted", "aten.bucketize", kind=Kind.SORT)
def bucketize(boundaries: TensorSpec | None = None, sorted_sequence: TensorSpec | None = None, *, out: object) -> Work:
    """Binary search of every value among n boundaries.

    Counts: ceil(log2 (n + 1)) comparisons per value, floating-point boundaries only.
    Source: Knuth, The Art of Computer Programming, volume 3, section 6.2.1
    """
    among = boundaries if boundaries is not None else sorted_sequence
    if among is None or not among.is_floating:
        return Work()
    return Work(other_flops=first(out).numel * _log2(among.shape[-1] + 1))


@rule("aten.unique_dim", "aten._unique2", "aten.unique_consecutive", kind=Kind.SORT)
def unique(self: TensorSpec, *, out: object) -> Work:
    """Distinct values, found by sorting.

    Counts: n·ceil(log2 n) comparisons of floating-point numbers.
    Source: as aten.sort
    """
    return Work(other_flops=self.numel * _log2(self.numel) if self.is_floating else 0)


@rule("aten.cdist", "aten._cdist_forward", kind=Kind.REDUCE)
def cdist(x1: TensorSpec, *, out: TensorSpec) -> Work:
    """Distances between all pairs of rows; the matrix-product form is a device's choice, the arithmetic is not.

    Counts: 3 per compared coordinate (subtract, square or magnitude, accumulate).
    Source: PyTorch documentation of torch.cdist
    """
    return Work(other_flops=out.numel * x1.shape[-1] * 3)
