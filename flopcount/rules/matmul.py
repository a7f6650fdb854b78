"""Fully connected layers and every form of matrix product, matrix-vector and dot included."""

from __future__ import annotations

from math import prod

from ..core.ops import Kind, TensorSpec, Work
from .charges import bias_adds, products
from .registry import rule

__all__: list[str] = []


@rule("aten.linear", kind=Kind.LINEAR)
def linear(input: TensorSpec, weight: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Fully connected layer over the last axis.

    Shapes: input (*S, Nin), weight (Nout, Nin), out (*S, Nout).

    Counts: Nin MACs per output element, one add per biased output (a complex one two).
    Source: the lecture's 2·Nin·Nout; PyTorch ATen native_functions.yaml, `linear`
    """
    return Work(macs=products(input) * out.numel * input.shape[-1], other_flops=bias_adds(out, bias))


@rule("aten.bilinear", kind=Kind.LINEAR)
def bilinear(
    input1: TensorSpec, input2: TensorSpec, weight: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec
) -> Work:
    """Bilinear layer x1ᵀ W x2; torch's own counter says 0.

    Shapes: input1 (*S, I), input2 (*S, J), weight (O, I, J), out (*S, O).

    Counts: I·J MACs (x1ᵀ W) and J more (times x2) per output element, one add per biased output (a complex one two).
    Source: PyTorch documentation of torch.nn.Bilinear
    """
    i, j = weight.shape[1:]
    return Work(macs=products(weight) * out.numel * (i * j + j), other_flops=bias_adds(out, bias))


@rule("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot", "aten.vdot", "aten._int_mm", kind=Kind.MATMUL)
def matmul(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Matrix product of any rank, broadcast batches, matrix-vector and dot included.

    Shapes: self (*B, m, k) or (k,), the other (*B, k, n) or (k,).

    Counts: k MACs per output element.
    Source: PyTorch ATen native_functions.yaml, `matmul`
    """
    return Work(macs=products(self) * out.numel * self.shape[-1])


@rule("aten.addmm", kind=Kind.MATMUL)
def addmm(mat1: TensorSpec, *, out: TensorSpec) -> Work:
    """Matrix product plus a matrix.

    Counts: k MACs and one add (a complex one two) per output element.
    Source: PyTorch ATen native_functions.yaml, `addmm`
    """
    return Work(macs=products(mat1) * out.numel * mat1.shape[-1], other_flops=bias_adds(out, True))


@rule("aten.addmv", kind=Kind.MATMUL)
def addmv(mat: TensorSpec, *, out: TensorSpec) -> Work:
    """Matrix-vector product plus a vector.

    Counts: k MACs and one add (a complex one two) per output element.
    Source: PyTorch ATen native_functions.yaml, `addmv`
    """
    return addmm(mat, out=out)


@rule("aten.baddbmm", kind=Kind.MATMUL)
def baddbmm(batch1: TensorSpec, *, out: TensorSpec) -> Work:
    """Batched matrix product plus a batch of matrices.

    Counts: k MACs and one add (a complex one two) per output element.
    Source: PyTorch ATen native_functions.yaml, `baddbmm`
    """
    return addmm(batch1, out=out)


@rule("aten.addbmm", kind=Kind.MATMUL)
def addbmm(batch1: TensorSpec, *, out: TensorSpec) -> Work:
    """Batched matrix product summed over the batch, plus a matrix.

    Shapes: batch1 (B, m, k), batch2 (B, k, n), out (m, n).

    Counts: B·k MACs and one add (a complex one two) per output element.
    Source: PyTorch ATen native_functions.yaml, `addbmm`
    """
    b, _, k = batch1.shape
    return Work(macs=products(batch1) * out.numel * b * k, other_flops=bias_adds(out, True))


@rule("aten._scaled_mm", "aten._scaled_mm_v2", kind=Kind.MATMUL)
def scaled_mm(self: TensorSpec, bias: TensorSpec | None = None, *, out: tuple[TensorSpec, ...] | TensorSpec) -> Work:
    """Float8 matrix product with scales.

    Counts: k MACs and one scaling per output element, one add per biased output (a complex one two).
    Source: PyTorch ATen native_functions.yaml, `_scaled_mm`
    """
    result = out if isinstance(out, TensorSpec) else out[0]
    return Work(macs=result.numel * self.shape[-1], other_flops=result.numel * (2 if bias else 1))


@rule("aten._grouped_mm", kind=Kind.MATMUL)
def grouped_mm(self: TensorSpec, mat2: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Matrix products of a mixture of experts, rows (or the contracted axis) split into groups.

    Shapes: self (m, k) or (G, m, k), mat2 (G, k, n) or (k, n); both 2-d: k is split and out is (G, m, n).

    Counts: k MACs per output element; with k split over G groups, k/G on average.
    Source: PyTorch ATen native_functions.yaml, `_grouped_mm`
    """
    split = self.ndim == mat2.ndim == 2
    swept = prod(out.shape[1:]) if split else out.numel
    return Work(macs=swept * self.shape[-1], other_flops=bias_adds(out, bias))


@rule("aten.linalg_solve_triangular", kind=Kind.MATMUL)
def solve_triangular(self: TensorSpec, unitriangular: bool = False, *, out: TensorSpec) -> Work:
    """Forward or backward substitution, as in linear attention with a delta rule.

    Shapes: self (*B, n, n), B (*B, n, k), out (*B, n, k).

    Counts: unknown i of n takes i MACs with the earlier ones, (n - 1)/2 on average, and a division.
    Source: PyTorch documentation of torch.linalg.solve_triangular
    """
    n = self.shape[-1]
    return Work(macs=products(self) * (out.numel * (n - 1) // 2), other_flops=0 if unitriangular else out.numel)


@rule("aten.affine_grid_generator", kind=Kind.MATMUL)
def affine_grid_generator(theta: TensorSpec, *, out: TensorSpec) -> Work:
    """Affine sampling grid: each position times a (d, d+1) matrix.

    Counts: d+1 MACs per output element.
    Source: PyTorch documentation of torch.nn.functional.affine_grid
    """
    return Work(macs=out.numel * theta.shape[-1])
