"""Fourier transforms, by the operation count their literature uses."""

from __future__ import annotations

from ..core.ops import Dim, Kind, TensorSpec, Work
from .registry import rule

__all__: list[str] = []


def _transformed(full: TensorSpec, dim: tuple[int, ...]) -> Dim:
    """5·n·ceil(log2 n) per transform of length n, every axis in turn over all elements."""
    return full.numel * sum(5 * max(int(full.shape[axis]) - 1, 0).bit_length() for axis in dim)


@rule("aten._fft_c2c", kind=Kind.FFT)
def fft_c2c(self: TensorSpec, dim: tuple[int, ...], *, out: TensorSpec) -> Work:
    """Complex transform along the axes `dim`.

    Counts: 5·ceil(log2 n) per element and axis of length n.
    Source: Cooley and Tukey 1965, https://doi.org/10.1090/S0025-5718-1965-0178586-1; 5·n·log2 n is the convention of
        https://www.fftw.org/speed/method.html
    """
    return Work(other_flops=_transformed(self, dim))


@rule("aten._fft_r2c", kind=Kind.FFT)
def fft_r2c(self: TensorSpec, dim: tuple[int, ...], *, out: TensorSpec) -> Work:
    """Transform of real numbers: half of a complex one.

    Counts: half of 5·ceil(log2 n) per element and axis of length n.
    Source: https://www.fftw.org/speed/method.html (2.5·n·log2 n for real data)
    """
    return Work(other_flops=_transformed(self, dim) // 2)


@rule("aten._fft_c2r", kind=Kind.FFT)
def fft_c2r(dim: tuple[int, ...], *, out: TensorSpec) -> Work:
    """Inverse transform to real numbers: half of a complex one of the output's size.

    Counts: half of 5·ceil(log2 n) per output element and axis of length n.
    Source: https://www.fftw.org/speed/method.html (2.5·n·log2 n for real data)
    """
    return Work(other_flops=_transformed(out, dim) // 2)


@rule("aten.fft_fftshift", "aten.fft_ifftshift", kind=Kind.MOVEMENT)
def fft_shift(*, out: TensorSpec) -> Work:
    """Swaps halves of an axis.

    Counts: nothing; it only moves data.
    Source: PyTorch documentation of torch.fft.fftshift
    """
    return Work()
