"""Reductions, running sums and sorting."""

from __future__ import annotations

from ..core.ops import Dim, Kind, TensorSpec, Work
from .charges import Charge, first, is_floating, parts, register_charges
from .registry import rule

__all__: list[str] = []

_ARITHMETIC = "scalar operations of the textbook formula; PyTorch ATen native_functions.yaml for the operator"


@rule(
    *("aten.sum", "aten.nansum", "aten.prod"),
    *("aten.amax", "aten.amin", "aten.max", "aten.min", "aten.argmax", "aten.argmin"),
    kind=Kind.REDUCE,
)
def fold(self: TensorSpec, other: TensorSpec | None = None, *, out: object) -> Work:
    """Fold an axis with one binary operation; `max(a, b)` of two tensors is elementwise.

    Counts: elements in − elements out (n numbers need n − 1 operations); with two tensors, one per output element.
    Source: scalar operations of the textbook formula
    """
    result = first(out)
    if not is_floating(self, other, result):
        return Work()
    operations = result.numel if other is not None else self.numel - result.numel
    return Work(other_flops=operations * parts(result))


@rule("aten.aminmax", kind=Kind.REDUCE)
def aminmax(self: TensorSpec, *, out: object) -> Work:
    """Smallest and largest at once.

    Counts: two comparisons per element, except the first of each output.
    Source: scalar operations of the textbook formula
    """
    return Work(other_flops=(self.numel - first(out).numel) * 2 if self.is_floating else 0)


@rule("aten.mean", "aten.nanmean", kind=Kind.REDUCE)
def mean(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Mean along axes.

    Counts: one per element in (n − 1 adds and one division).
    Source: scalar operations of the textbook formula
    """
    return Work(other_flops=self.numel * parts(out) if is_floating(self, out) else 0)


register_charges(
    Kind.REDUCE,
    [
        Charge("var var_mean", 4, "mean, subtract, square, accumulate"),
        Charge("std std_mean", 4, "mean, subtract, square, accumulate"),
        Charge("logsumexp", 4, "maximum, subtract, exp, accumulate"),
        Charge("norm linalg_vector_norm frobenius_norm", 2, "square or magnitude, accumulate"),
        Charge("count_nonzero any all _is_all_true _is_any_true equal", 0, "boolean"),
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
    ],
    per="input",
    source=_ARITHMETIC,
)


def _log2(n: Dim) -> int:
    """ceil(log2 n), in integers."""
    return max(int(n) - 1, 0).bit_length()


def _sorted(self: TensorSpec, length: Dim) -> Work:
    return Work(other_flops=self.numel * _log2(length) if self.is_floating else 0)


@rule("aten.sort", "aten.kthvalue", kind=Kind.SORT)
def sort(self: TensorSpec, dim: int, *, out: object) -> Work:
    """Sorting along one axis.

    Counts: n·ceil(log2 n) comparisons per row of n floating-point numbers.
    Source: merge sort's bound; Knuth, The Art of Computer Programming, volume 3, section 5.3.1
    """
    return _sorted(self, self.shape[dim] if self.ndim else 1)


@rule("aten.median", "aten.nanmedian", kind=Kind.SORT)
def median(self: TensorSpec, dim: int | None = None, *, out: object) -> Work:
    """Median along one axis, or of all elements, by sorting.

    Counts: n·ceil(log2 n) comparisons per n floating-point numbers.
    Source: as aten.sort
    """
    return _sorted(self, self.numel if dim is None or not self.ndim else self.shape[dim])


@rule("aten.topk", kind=Kind.SORT)
def topk(self: TensorSpec, k: int, *, out: object) -> Work:
    """The k largest along one axis.

    Counts: ceil(log2 2k) comparisons per element read (a heap of k, whose top is compared first).
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


@rule("aten.unique_dim", "aten._unique2", kind=Kind.SORT)
def unique(self: TensorSpec, dim: int | None = None, *, out: object) -> Work:
    """Distinct values, or slices along an axis, by sorting.

    Counts: n·ceil(log2 n) comparisons of n floating-point numbers, or of n slices, each comparison over a whole slice.
    Source: as aten.sort
    """
    return _sorted(self, self.numel if dim is None else self.shape[dim])


register_charges(
    Kind.SORT, [Charge("unique_consecutive", 1, "one comparison with the neighbour")], per="input", source=_ARITHMETIC
)


@rule("aten.cdist", "aten._cdist_forward", "aten._pdist_forward", kind=Kind.REDUCE)
def cdist(x1: TensorSpec | None = None, self: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Distances between all pairs of rows; some devices use a matrix product, which does not change the count.

    Counts: 3 per compared coordinate (subtract, square or magnitude, accumulate).
    Source: PyTorch documentation of torch.cdist
    """
    return Work(other_flops=out.numel * first((x1, self)).shape[-1] * 3)
