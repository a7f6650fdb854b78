"""Resizing and sampling at fractional positions."""

from __future__ import annotations

from math import prod

from ..core.ops import Dim, Kind, TensorSpec, Work
from .charges import first
from .registry import rule

__all__: list[str] = []

_SOURCE = "PyTorch ATen UpSample.h: every output is a weighted sum of its taps"


def _weighted(taps: int) -> int:
    """A multiply per tap and the adds between them."""
    return 2 * taps - 1


def _register(name: str, taps: int) -> None:
    def upsample(*, out: TensorSpec) -> Work:
        return Work(other_flops=out.numel * _weighted(taps) if taps > 1 else 0)

    counts = f"{_weighted(taps)} per output element ({taps} multiplies, {taps - 1} adds)" if taps > 1 else "nothing"
    upsample.__doc__ = f"{name}.\n\nCounts: {counts}."
    upsample.__qualname__ = name
    rule(f"aten.{name}", kind=Kind.INTERPOLATE, source=_SOURCE)(upsample)

    def backward(grad_output: TensorSpec, *, out: TensorSpec) -> Work:
        return Work(other_flops=grad_output.numel * (2 * taps if taps > 1 else 1))

    spread = (
        f"{2 * taps} per element of the output's gradient ({taps} multiplies, {taps} adds)" if taps > 1 else "an add"
    )
    backward.__doc__ = (
        f"{name}_backward.\n\nCounts: {spread}{'' if taps > 1 else ' per element of the output gradient'}."
    )
    backward.__qualname__ = f"{name}_backward"
    rule(f"aten.{name}_backward", kind=Kind.INTERPOLATE, source=_SOURCE)(backward)


for _axes in (1, 2, 3):
    _register(f"upsample_nearest{_axes}d", 1)
    _register(f"_upsample_nearest_exact{_axes}d", 1)
_register("upsample_linear1d", 2)
_register("upsample_bilinear2d", 4)
_register("upsample_trilinear3d", 8)
_register("upsample_bicubic2d", 16)


def _antialiased(image: TensorSpec, out: TensorSpec, support: int) -> Work:
    """Rules of two one-dimensional passes; shrinking by s widens each window to support·s taps."""
    rows, columns = (support * max(-(-n // m), 1) for n, m in zip(image.shape[-2:], out.shape[-2:], strict=True))
    between = prod(image.shape[:-1]) * out.shape[-1]  # after the first, horizontal pass
    return Work(other_flops=between * _weighted(columns) + out.numel * _weighted(rows))


def _register_antialiased(mode: str, support: int) -> None:
    """Resizing with a filter whose width grows with the scale of shrinking."""

    def upsample(input: object = None, self: object = None, *, out: TensorSpec) -> Work:
        return _antialiased(first((input, self)), out, support)

    def backward(grad_output: TensorSpec, *, out: TensorSpec) -> Work:
        return _antialiased(out, grad_output, support)

    passes = "a horizontal and a vertical pass"
    taps = f"taps = {support}·ceil(in/out), at least {support}"
    forms = (
        (upsample, "", f"2·taps − 1 per element of {passes}; {taps}"),
        (backward, "_backward", f"as forward, {passes}"),
    )
    for function, suffix, count in forms:
        name = f"_upsample_{mode}2d_aa{suffix}"
        function.__doc__, function.__qualname__ = f"{name}.\n\nCounts: {count}.", name
        rule(f"aten.{name}", kind=Kind.INTERPOLATE, source=_SOURCE)(function)


_register_antialiased("bilinear", 2)
_register_antialiased("bicubic", 4)


_MODES = ("bilinear", "nearest", "bicubic")


@rule("aten.grid_sampler", "aten.grid_sampler_2d", "aten.grid_sampler_3d",
      kind=Kind.INTERPOLATE)  # fmt: skip
def grid_sampler(input: TensorSpec, grid: TensorSpec, interpolation_mode: int = 0, *, out: TensorSpec) -> Work:
    """Sampling at positions given by a grid.

    Shapes: input (B, C, *S), grid (B, *S', d), out (B, C, *S').

    Counts: 3 per coordinate to get pixels (add, scale, subtract), a weight per tap (d − 1 multiplies) and 2·taps − 1
        per output element; taps: 2 per axis (4 bicubic), none for nearest.
    Source: https://arxiv.org/abs/1506.02025, equations 3-5
    """
    d = grid.ndim - 2
    positions: Dim = prod(grid.shape[:-1])
    mode = _MODES[interpolation_mode]
    if mode == "nearest":
        return Work(other_flops=positions * (3 * d + d))  # and a rounding per coordinate
    taps = (4 if mode == "bicubic" else 2) ** d
    return Work(other_flops=positions * (3 * d + taps * (d - 1)) + out.numel * _weighted(taps))


@rule("aten.grid_sampler_2d_backward", "aten.grid_sampler_3d_backward", kind=Kind.INTERPOLATE)
def grid_sampler_backward(
    grad_output: TensorSpec, input: TensorSpec, grid: TensorSpec, output_mask: tuple[bool, ...],
    interpolation_mode: int = 0, *, out: object,
) -> Work:  # fmt: skip
    """Gradients of sampling, by image and by grid.

    Counts: as forward to get the pixels; by image 2 per tap and element of the output's gradient (multiply, add); by
        grid 3 per tap, axis and element (two multiplies, add); for nearest one add by image and nothing by grid.
    Source: https://arxiv.org/abs/1506.02025, equations 6 and 7
    """
    by_image, by_grid = output_mask
    d = grid.ndim - 2
    reach: Dim = prod(grid.shape[:-1]) * 3 * d
    if _MODES[interpolation_mode] == "nearest":
        return Work(other_flops=reach + grad_output.numel * by_image)
    taps = (4 if _MODES[interpolation_mode] == "bicubic" else 2) ** d
    return Work(other_flops=reach + grad_output.numel * taps * (2 * by_image + 3 * d * by_grid))
