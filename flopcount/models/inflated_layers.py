"""The layers of torch.nn for images, and the layers for videos by which `inflate` replaces them.

What enters is a layer and the treatment of time; what leaves is its counterpart with weights of its own. A layer
without a counterpart is not in `LAYERS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import InputError

__all__ = ["LAYERS", "PADDINGS", "Time", "counterpart"]

PADDINGS = ("replicate", "zero")


@dataclass(frozen=True, slots=True)
class Time:
    """The treatment of time: padded with one of `PADDINGS`, strided like space or (`keep_frames`) not at all."""

    padding: str
    keep_frames: bool


@dataclass(frozen=True, slots=True)
class Frames:
    """The window of a layer along time: `kernel` frames, `dilation` apart, which moves by `stride`."""

    kernel: int
    dilation: int
    stride: int
    padding: str
    fill: float
    explicit: bool = False

    @property
    def span(self) -> int:
        """The number of frames from the first to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def native(self) -> int:
        """Zeros that the layer itself adds at both ends, if it can and the padding is not `explicit`."""
        return self.span // 2 if self.padding == "zero" and self.span % 2 and not self.explicit else 0

    def around(self, x: Tensor) -> Tensor:
        """Frames (B, C, T, H, W) with padding before and behind, as T/stride windows, rounded up, need it."""
        if self.native:
            return x
        extent = (x.shape[2] - 1) // self.stride * self.stride + self.span
        front = (self.span - 1) // 2
        back = extent - x.shape[2] - front
        if back < 0:  # a pool that rounds up would make one more window
            x, back = x[:, :, :back], 0
        if not front and not back:
            return x
        around = (0, 0, 0, 0, front, back)
        if self.padding == "replicate":
            return functional.pad(x, around, mode="replicate")
        return functional.pad(x, around, value=self.fill)


class _Conv3d(nn.Conv3d):
    """A convolution that pads time itself."""

    frames: Frames

    def forward(self, input: Tensor) -> Tensor:
        """The same as nn.Conv3d."""
        return super().forward(self.frames.around(input))


class _MaxPool3d(nn.MaxPool3d):
    """A pool that pads time itself."""

    frames: Frames

    def forward(self, input: Tensor) -> Tensor:
        """The same as nn.MaxPool3d."""
        pooled: Tensor = super().forward(self.frames.around(input))
        return pooled


class _AvgPool3d(nn.AvgPool3d):
    """A pool that pads time itself."""

    frames: Frames

    def forward(self, input: Tensor) -> Tensor:
        """The same as nn.AvgPool3d."""
        return super().forward(self.frames.around(input))


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, tuple | list):
        first, second = value
        return first, second
    return value, value


def _frames(layer: Any, time: Time, *, fill: float = 0.0) -> Frames:
    """The window of a layer, with as many frames as it has rows or columns, whichever are fewer."""
    stride = 1 if time.keep_frames else min(_pair(layer.stride))
    dilation = min(_pair(getattr(layer, "dilation", 1)))
    return Frames(min(_pair(layer.kernel_size)), dilation, stride, time.padding, fill)


def _explicit(frames: Frames) -> Frames:
    return replace(frames, explicit=True)


def _window(layer: Any, frames: Frames, padding: tuple[Any, Any]) -> dict[str, Any]:
    return {
        "kernel_size": (frames.kernel, *_pair(layer.kernel_size)),
        "stride": (frames.stride, *_pair(layer.stride)),
        "padding": (frames.native, *padding),
    }


def _conv(layer: nn.Conv2d, time: Time) -> nn.Module:
    frames = _frames(layer, time)
    if layer.padding_mode != "zeros":  # of space; time is padded separately
        frames = _explicit(frames)
    weight = layer.weight.detach()
    inflated = _Conv3d(
        layer.in_channels,
        layer.out_channels,
        **_window(layer, frames, _padding(layer)),
        dilation=(frames.dilation, *_pair(layer.dilation)),
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
        device="meta",  # its weights follow
    )
    copies = weight[:, :, None].repeat(1, 1, frames.kernel, 1, 1) / frames.kernel
    inflated.weight = nn.Parameter(copies, requires_grad=layer.weight.requires_grad)
    if layer.bias is not None:
        inflated.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=layer.bias.requires_grad)
    inflated.frames = frames
    return inflated


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        both = [dilation * (kernel - 1) for dilation, kernel in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(total % 2 for total in both):
            fix = "pad with nn.ZeroPad2d, and give the convolution padding=0"
            raise InputError(f"inflate has no padding='same' for a kernel of {layer.kernel_size}", [("fix", fix)])
        return both[0] // 2, both[1] // 2
    return _pair(layer.padding)


def _max_pool(layer: nn.MaxPool2d, time: Time) -> nn.Module:
    _refuse_indices(layer)
    frames = _frames(layer, time, fill=-float("inf"))
    frames = _explicit(frames) if layer.ceil_mode else frames  # only space is rounded up
    dilation = (frames.dilation, *_pair(layer.dilation))
    window = _window(layer, frames, _pair(layer.padding))
    inflated = _MaxPool3d(**window, dilation=dilation, ceil_mode=layer.ceil_mode)
    inflated.frames = frames
    return inflated


def _avg_pool(layer: nn.AvgPool2d, time: Time) -> nn.Module:
    frames = _explicit(_frames(layer, time))  # AvgPool3d refuses fewer frames than its kernel, padded or not
    inflated = _AvgPool3d(
        **_window(layer, frames, _pair(layer.padding)),
        ceil_mode=layer.ceil_mode,
        count_include_pad=layer.count_include_pad,
        divisor_override=layer.divisor_override and layer.divisor_override * frames.kernel,
    )
    inflated.frames = frames
    return inflated


def _adaptive(inflated: type[nn.Module]) -> Callable[[Any, Time], nn.Module]:
    def build(layer: Any, time: Time) -> nn.Module:
        _refuse_indices(layer)
        return inflated((1, *_pair(layer.output_size)))

    return build


def _refuse_indices(layer: Any) -> None:
    if getattr(layer, "return_indices", False):
        raise InputError("inflate has no pool that returns indices", [("fix", "give the pool return_indices=False")])


def _recast(inflated: type[nn.Module]) -> Callable[[Any, Time], nn.Module]:
    """A copy with the 3D class: the two classes differ only in the number of axes that they accept."""

    def build(layer: Any, time: Time) -> nn.Module:
        recast: nn.Module = copy.deepcopy(layer)
        recast.__class__ = inflated
        return recast

    return build


def _pad(inflated: type[nn.Module]) -> Callable[[Any, Time], nn.Module]:
    def build(layer: Any, time: Time) -> nn.Module:
        padding = (*layer.padding, 0, 0)  # space is unchanged, and windows pad time
        return inflated(padding, layer.value) if inflated is nn.ConstantPad3d else inflated(padding)

    return build


def _copied(layer: Any, time: Time) -> nn.Module:
    copied: nn.Module = copy.deepcopy(layer)
    return copied


_ANY_AXES: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Threshold),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink),
    *(nn.Identity, nn.Dropout, nn.AlphaDropout, nn.GroupNorm, nn.LocalResponseNorm, nn.SyncBatchNorm),
)

LAYERS: dict[type[nn.Module], Callable[[Any, Time], nn.Module]] = {
    nn.Conv2d: _conv,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive(nn.AdaptiveAvgPool3d),
    nn.AdaptiveMaxPool2d: _adaptive(nn.AdaptiveMaxPool3d),
    nn.BatchNorm2d: _recast(nn.BatchNorm3d),
    nn.InstanceNorm2d: _recast(nn.InstanceNorm3d),
    nn.Dropout2d: _recast(nn.Dropout3d),
    nn.ConstantPad2d: _pad(nn.ConstantPad3d),
    nn.ZeroPad2d: _pad(nn.ConstantPad3d),
    nn.ReflectionPad2d: _pad(nn.ReflectionPad3d),
    nn.ReplicationPad2d: _pad(nn.ReplicationPad3d),
    **dict.fromkeys(_ANY_AXES, _copied),
}
"""Class of torch.nn -> the function that builds its counterpart."""


def counterpart(layer: nn.Module, time: Time) -> nn.Module | None:
    """The layer for videos, in the same mode; None if there is none."""
    build = next((LAYERS[kind] for kind in type(layer).__mro__ if kind in LAYERS), None)
    if build is None:
        return None
    inflated = build(layer, time)
    inflated.training = layer.training
    return inflated
