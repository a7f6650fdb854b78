"""Pooling: the lecture estimates it from the number of operands, and so do these rules."""

from __future__ import annotations

from math import gcd, prod

from ..core.ops import Dim, Kind, TensorSpec, Work
from .charges import first
from .registry import rule

__all__ = ["taps"]


def taps(kernel_size: tuple[int, ...] | int, axes: int) -> Dim:
    """Elements under one window; a single size is the size along every axis."""
    sizes = (kernel_size,) if isinstance(kernel_size, int) else kernel_size
    return prod(sizes) if len(sizes) == axes else prod(sizes * axes)


def _register_windowed(axes: int) -> None:
    """max_pool and avg_pool over `axes` axes."""

    def max_pool(kernel_size: tuple[int, ...], *, out: object) -> Work:
        """Maximum of a window.

        Counts: taps − 1 comparisons per output element; padding taps count like data.
        Source: the lecture (pooling from the number of operands); PyTorch documentation of torch.nn.MaxPool3d
        """
        return Work(other_flops=first(out).numel * (taps(kernel_size, axes) - 1))

    def avg_pool(kernel_size: tuple[int, ...], *, out: TensorSpec) -> Work:
        """Mean of a window.

        Counts: taps per output element (taps − 1 adds and one division); padding taps count like data.
        Source: the lecture (pooling from the number of operands); PyTorch documentation of torch.nn.AvgPool3d
        """
        return Work(other_flops=out.numel * taps(kernel_size, axes))

    rule(f"aten.max_pool{axes}d", f"aten.max_pool{axes}d_with_indices", kind=Kind.POOL)(max_pool)
    rule(f"aten.avg_pool{axes}d", kind=Kind.POOL)(avg_pool)
    if axes > 1:  # a pool over one axis is one over two to torch
        rule(f"aten.fractional_max_pool{axes}d", kind=Kind.POOL)(max_pool)
        _register_windowed_backward(axes)


def _register_windowed_backward(axes: int) -> None:
    """Their gradients."""

    def max_pool_backward(grad_output: TensorSpec, *, out: object) -> Work:
        """Gradients go to the positions of the maxima.

        Counts: one add per element of the output's gradient, since windows may overlap.
        Source: PyTorch tools/autograd/derivatives.yaml, `max_pool3d_with_indices`
        """
        return Work(other_flops=grad_output.numel)

    def avg_pool_backward(grad_output: TensorSpec, kernel_size: tuple[int, ...], *, out: object) -> Work:
        """A gradient is spread over its window.

        Counts: as forward, taps per element of the output's gradient (one division, and adds where windows overlap).
        Source: PyTorch tools/autograd/derivatives.yaml, `avg_pool3d`
        """
        return Work(other_flops=grad_output.numel * taps(kernel_size, axes))

    rule(
        f"aten.max_pool{axes}d_with_indices_backward",
        f"aten.fractional_max_pool{axes}d_backward",
        f"aten.adaptive_max_pool{axes}d_backward",
        kind=Kind.POOL,
    )(max_pool_backward)
    rule(f"aten.avg_pool{axes}d_backward", kind=Kind.POOL)(avg_pool_backward)


def _covered(size: Dim, outputs: Dim) -> Dim:
    """Elements read along one axis by adaptive windows: output i reads floor(i·n/m) up to ceil((i+1)·n/m).

    Windows tile the axis where m divides n. Otherwise neighbours share an element unless m divides i·n, which it does
    for gcd(n, m) = Σ φ(d) (over the common divisors d) of i = 1 ... m: n + m − gcd(n, m) elements in all.
    """
    if size % outputs == 0:
        return size
    common = sum(_totient(d) * (size // d - (size - 1) // d) for d in range(1, outputs + 1) if outputs % d == 0)
    return size + outputs - common


def _totient(d: int) -> int:
    """How many of 1 ... d have no factor in common with d."""
    return sum(gcd(i, d) == 1 for i in range(1, d + 1))


def _register_adaptive(axes: int) -> None:
    def read(x: TensorSpec, out: TensorSpec) -> Dim:
        outer = prod(x.shape[:-axes])
        return outer * prod(_covered(n, m) for n, m in zip(x.shape[-axes:], out.shape[-axes:], strict=True))

    def adaptive_avg_pool(self: TensorSpec, *, out: TensorSpec) -> Work:
        """Mean of windows that give the requested output size.

        Counts: one add or division per element read; output i of m reads floor(i·n/m) up to ceil((i+1)·n/m).
        Source: PyTorch ATen AdaptiveAveragePooling, start_index and end_index
        """
        return Work(other_flops=read(self, out))

    def adaptive_max_pool(self: TensorSpec, *, out: object) -> Work:
        """Maximum of windows that give the requested output size.

        Counts: one comparison per element read, except the first of each output.
        Source: PyTorch ATen AdaptiveMaxPooling, start_index and end_index
        """
        return Work(other_flops=read(self, first(out)) - first(out).numel)

    def adaptive_avg_pool_backward(grad_output: TensorSpec, self: TensorSpec, *, out: object) -> Work:
        """A gradient is spread over its window.

        Counts: as forward, one add or division per element of each window.
        Source: PyTorch tools/autograd/derivatives.yaml, `_adaptive_avg_pool3d`
        """
        return Work(other_flops=read(self, grad_output))

    if axes > 1:
        rule(f"aten._adaptive_avg_pool{axes}d_backward", kind=Kind.POOL)(adaptive_avg_pool_backward)
    inner = [f"aten._adaptive_avg_pool{axes}d"] if axes > 1 else []
    rule(f"aten.adaptive_avg_pool{axes}d", *inner, kind=Kind.POOL)(adaptive_avg_pool)
    rule(f"aten.adaptive_max_pool{axes}d", kind=Kind.POOL)(adaptive_max_pool)


for _spatial in (1, 2, 3):
    _register_windowed(_spatial)
    _register_adaptive(_spatial)
